"""Hubness by hand, against the plain definition, and what a foreign bank may not do."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.alignment import hubness
from regiontalk.alignment.hubness import (
    QueryBank,
    bank_shapes,
    check_counts,
    ranking_regions,
    ranking_words,
)
from regiontalk.alignment.score import pad, score_matrix
from regiontalk.errors import PackError
from regiontalk.settings import BankSettings
from regiontalk.structures import Regions, Sentence

H = 6


def made(
    photos: list[int],
    sentences: list[int],
    seed: int = 0,
    temperature: float = 2.0,
    weight: float = 0.5,
) -> tuple[dict[str, np.ndarray], BankSettings]:
    """A random bank with so many regions of each photo and words of each sentence."""
    settings = BankSettings(
        len(photos), sum(photos), len(sentences), sum(sentences), temperature, weight
    )
    rng = np.random.default_rng(seed)
    tensors = {
        name: rng.normal(size=shape).astype(np.float32)
        for name, shape in bank_shapes(settings, H).items()
    }
    counts = {
        "region_counts": np.array(photos, np.float32),
        "word_counts": np.array(sentences, np.float32),
    }
    return tensors | counts, settings


def small_bank(
    seen: list[list[float]], said: list[list[float]], temperature: float, weight: float
) -> QueryBank:
    """A bank of photos of one region and sentences of one word each."""
    settings = BankSettings(len(seen), len(seen), len(said), len(said), temperature, weight)
    tensors = {
        "regions": np.array(seen, np.float32),
        "region_counts": np.ones(len(seen), np.float32),
        "words": np.array(said, np.float32),
        "word_counts": np.ones(len(said), np.float32),
    }
    return QueryBank(tensors, settings, "bank")


def test_by_hand() -> None:
    bank = small_bank(
        seen=[[1, 0], [0, 2]], said=[[3, 0], [0, 1], [1, 1]], temperature=1.0, weight=1.0
    )
    # A photo with the regions (1, 0) and (0, 2) scores max(3, 0), max(0, 2) and max(1, 2) with the
    # three words.
    expected = math.log((math.exp(3) + math.exp(2) + math.exp(2)) / 3)
    assert bank.of_photo(np.array([[1, 0], [0, 2]], np.float32)) == pytest.approx(expected)
    # Words (2, 0) and (0, 1), read as one sentence, score 1 and 1 on average with the two photos of
    # one region each.
    one, two = (np.array(words, np.float32) for words in ([[2, 0], [0, 1]], [[1, 3]]))
    expected = [1.0, math.log((math.exp(1) + math.exp(6)) / 2)]
    np.testing.assert_allclose(bank.of_sentences([one, two]), expected)


def plain(scores: np.ndarray, settings: BankSettings) -> np.ndarray:
    """λ·τ·log mean exp(S / τ) over the last axis, in the plainest way."""
    exponentials = np.exp(scores.astype(np.float64) / settings.temperature)
    return settings.weight * settings.temperature * np.log(exponentials.mean(axis=-1))


@given(
    photos=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    sentences=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    regions=st.integers(1, 6),
    words=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    temperature=st.floats(0.5, 10),
    weight=st.floats(0, 2),
    seed=st.integers(0, 10**6),
)
def test_is_the_plain_definition(
    photos: list[int],
    sentences: list[int],
    regions: int,
    words: list[int],
    temperature: float,
    weight: float,
    seed: int,
) -> None:
    tensors, settings = made(photos, sentences, seed, temperature, weight)
    bank, rng = QueryBank(tensors, settings, "bank"), np.random.default_rng(seed + 1)
    seen = rng.normal(size=(regions, H)).astype(np.float32)
    said = [rng.normal(size=(count, H)).astype(np.float32) for count in words]
    their_words = pad(np.split(tensors["words"], np.cumsum(sentences)[:-1]))
    scores = score_matrix(*pad([seen]), *their_words, kind="mean")
    assert bank.of_photo(seen) == pytest.approx(
        float(plain(scores, settings)[0]), rel=1e-4, abs=1e-4
    )
    their_regions = pad(np.split(tensors["regions"], np.cumsum(photos)[:-1]))
    scores = score_matrix(*their_regions, *pad(said), kind="mean")
    np.testing.assert_allclose(
        bank.of_sentences(said), plain(scores.T, settings), rtol=1e-4, atol=1e-4
    )


def test_what_is_computed_together_is_what_is_computed_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tensors, settings = made([3] * 700, [9] * 500)  # several tiles of each
    bank, rng = QueryBank(tensors, settings, "bank"), np.random.default_rng(1)
    said = [rng.normal(size=(count, H)).astype(np.float32) for count in [5, 1500, 1, 700, 700, 12]]
    alone = [float(bank.of_sentences([each])[0]) for each in said]
    np.testing.assert_allclose(bank.of_sentences(said), alone, rtol=1e-5)
    seen = rng.normal(size=(20, H)).astype(np.float32)
    at_once = bank.of_photo(seen)
    # Neither a sentence's words nor all of them are a multiple of it
    monkeypatch.setattr(hubness, "WORDS", 1000)
    assert bank.of_photo(seen) == pytest.approx(at_once, rel=1e-5)
    assert bank.of_sentences([]).shape == (0,)


def test_large_scores_do_not_overflow() -> None:
    bank = small_bank(seen=[[1e4], [1e4]], said=[[1e4], [-1e4]], temperature=1.0, weight=1.0)
    assert bank.of_photo(np.array([[1.0]], np.float32)) == pytest.approx(1e4 - math.log(2))
    assert bank.of_sentences([np.array([[-1.0]], np.float32)]).tolist() == [-1e4]


def test_ranking_vectors_take_both_off() -> None:
    rng = np.random.default_rng(0)
    boxes = np.array([[0, 0, 10, 10], [1, 1, 5, 5]], np.float32)
    vectors = rng.normal(size=(2, H)).astype(np.float32)
    regions = Regions(
        "a.jpg", 10, 10, boxes, np.ones(2, np.float32), np.empty((2, 0), np.float32), vectors, 1.5
    )
    words = rng.normal(size=(3, H)).astype(np.float32)
    sentence = Sentence("a dog runs", ("a", "dog", "runs"), np.zeros(3, np.int64), words, 0.25)
    (score,) = score_matrix(*pad([vectors]), *pad([words]), kind="mean").ravel()
    (less,) = score_matrix(
        *pad([ranking_regions(regions)]), *pad([ranking_words(sentence)]), kind="mean"
    ).ravel()
    assert less == pytest.approx(score - 1.75, rel=1e-5)


@pytest.mark.parametrize("counts", [[0, 4], [-1, 5], [1.5, 2.5], [1, 4], [2, 1]])
@pytest.mark.parametrize(("name", "what"), [("region_counts", "regions"), ("word_counts", "words")])
def test_counts_must_fit(name: str, what: str, counts: list[float]) -> None:
    tensors, settings = made([2, 2], [1, 3])
    with pytest.raises(
        PackError, match=rf"b\.safetensors: expected counts of at least 1 that sum to 4 {what}"
    ):
        check_counts(tensors | {name: np.array(counts, np.float32)}, settings, "b.safetensors")


def test_a_photo_with_most_of_the_regions_takes_no_more_memory_than_they() -> None:
    tensors, settings = made([1] * 2000 + [2000], [1])
    check_counts(tensors, settings, "bank")
    words = np.random.default_rng(0).normal(size=(700, H)).astype(np.float32)
    bank = QueryBank(tensors, settings, "bank")
    tracemalloc.start()
    bank.of_sentences([words])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 4 * 2000 * 700 * 4  # padded it would be a thousand times as much


@pytest.mark.parametrize(("size", "weight"), [(3e38, 1.0), (3e38, 0.0), (1e38, 10.0)])
def test_what_is_no_float32_is_told(size: float, weight: float) -> None:
    """The last is too large only when it is multiplied by its weight."""
    tensors, settings = made([2], [3])
    words = np.zeros((3, H), np.float32)
    words[:, 0] = size
    bank = QueryBank(
        tensors | {"words": words}, replace(settings, temperature=1.0, weight=weight), "b"
    )
    with pytest.raises(PackError, match="b: gives a score that is not finite"):
        bank.of_photo(np.full((1, H), 1.0 if weight > 1 else 3e38, np.float32))
