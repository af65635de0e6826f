"""Exact scores against the plain definition; the best k against a full sort."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.alignment.score import pad, score_matrix
from regiontalk.search import scoring
from regiontalk.search.scoring import cosines, gathered, of_kind, photo_scores, row_scores, top
from regiontalk.search.storage import decode, encode
from regiontalk.structures import Sentence

NONE = np.empty(0, np.float32)


def plain(vectors: np.ndarray, row_ends: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Σ_t max_i v_i·s_t, a photo and a word at a time."""
    starts = [0, *row_ends[:-1]]
    return np.array(
        [
            sum(max(v @ s for v in vectors[a:b]) for s in words)
            for a, b in zip(starts, row_ends, strict=True)
        ]
    )


def test_by_hand() -> None:
    vectors = np.array([[1, 0], [0, 2], [-1, -1]], np.float32)
    words = np.array([[3, 1], [-1, -1]], np.float32)
    # First photo: max(3, 2) + max(-1, -2); second: -4 + 2. Its best word is below zero and stays
    # so.
    assert photo_scores(vectors, NONE, np.array([2, 3]), words).tolist() == [2.0, -2.0]
    assert row_scores(vectors, NONE, words.sum(axis=0)).tolist() == [2.0, 0.0, -2.0]


def test_kinds() -> None:
    photo, words = np.array([[1, 0], [0, 2]], np.float32), np.array([[3, 1], [-1, -1]], np.float32)
    (score,) = photo_scores(photo, NONE, np.array([2]), words).tolist()
    sentence = Sentence("a dog", ("a", "dog"), np.array([2, 3]), words)
    for kind in ("max", "mean"):
        assert (
            of_kind(score, sentence, kind) == score_matrix(*pad([photo]), *pad([words]), kind)[0, 0]
        )
    assert of_kind(6.0, replace(sentence, hubness=0.5), "mean") == 2.5
    with pytest.raises(ValueError, match=r"Eq\. 7 does not follow"):
        of_kind(score, sentence, "sum")


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
@pytest.mark.parametrize("same", [True, False], ids=["as many regions each", "ragged"])
@pytest.mark.parametrize("threads", [1, 3])
def test_is_the_plain_definition(
    storage: str, same: bool, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "TILE_NUMBERS", 2000)  # 166 rows a tile, so that there are many
    rng = np.random.default_rng(0)
    counts = np.full(300, 7) if same else rng.integers(1, 12, 300)
    row_ends, words = np.cumsum(counts), rng.normal(0, 1, (5, 12)).astype(np.float32)
    stored, scales = encode(rng.normal(0, 3, (counts.sum(), 12)), storage)
    scores = photo_scores(stored, scales, row_ends, words, threads)
    decoded = decode(stored, scales).astype(np.float64)
    np.testing.assert_allclose(scores, plain(decoded, row_ends, words), rtol=1e-5, atol=1e-4)
    query = words.sum(axis=0)
    np.testing.assert_allclose(
        row_scores(stored, scales, query, threads), decoded @ query, rtol=1e-5, atol=1e-4
    )


def test_some_photos_score_as_among_all() -> None:
    rng = np.random.default_rng(1)
    row_ends = np.cumsum(rng.integers(1, 5, 40))
    stored, scales = encode(rng.normal(0, 1, (row_ends[-1], 6)), "int8")
    words, some = rng.normal(0, 1, (3, 6)).astype(np.float32), np.array([0, 3, 4, 17, 39])
    vectors, ends = gathered(stored, scales, row_ends, some)
    few = photo_scores(vectors, NONE, ends, words)
    np.testing.assert_allclose(
        few, photo_scores(stored, scales, row_ends, words)[some], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("threads", [1, 3])
def test_cosines(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "TILE_NUMBERS", 24)
    rng = np.random.default_rng(2)
    vectors, query = (
        rng.normal(0, 3, (200, 6)).astype(np.float32),
        rng.normal(0, 9, 6).astype(np.float32),
    )
    vectors[7], vectors[8] = 0, query * 5
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    expected = [
        0 if not length else v @ query / length for v, length in zip(vectors, lengths, strict=True)
    ]
    found = cosines(vectors, query, threads)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert (found[7], found.max()) == (0, found[8])
    assert found.max() <= 1
    assert not cosines(vectors, np.zeros(6, np.float32), threads).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [np.s_[0, 0], np.s_[0]], ids=["a number", "a vector"])
def test_damage_shows_in_the_scores(value: float, place: int | tuple[int, int]) -> None:
    vectors, words = (
        np.ones((3, 4), np.float32),
        np.array([[1, -1, 2, 3], [-1, 3, -1, 1]], np.float32),
    )
    vectors[place] = value
    for scores in (
        photo_scores(vectors, NONE, np.arange(1, 4), words),
        row_scores(vectors, NONE, words[0]),
        cosines(vectors, words[0]),
    ):
        assert np.isfinite(scores).tolist() == [False, True, True]


def test_no_photo() -> None:
    assert (
        len(
            photo_scores(
                np.empty((0, 4), np.float32),
                NONE,
                np.empty(0, np.int64),
                np.ones((2, 4), np.float32),
            )
        )
        == 0
    )


@given(st.lists(st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0]), max_size=30), st.integers(1, 35))
def test_top_is_a_stable_sort_cut_off(scores: list[float], k: int) -> None:
    order = sorted(
        (place for place, score in enumerate(scores) if score > -np.inf),
        key=lambda i: (-scores[i], i),
    )
    assert top(np.array(scores), k).tolist() == order[:k]
