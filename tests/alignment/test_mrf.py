from __future__ import annotations

import math
from dataclasses import replace
from itertools import groupby, pairwise, product
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.alignment import align, pad, phrases, score_matrix, viterbi
from regiontalk.alignment.mrf import unary_potentials
from regiontalk.alignment.score import Kind
from regiontalk.errors import ConfigError, PackError
from regiontalk.structures import Regions, Sentence


def energy(unary: np.ndarray, path: tuple[int, ...], beta: float) -> float:
    """Eq. 10 to 12 as they stand."""
    total = sum(float(unary[j, region]) for j, region in enumerate(path))
    return total + sum(beta for a, b in pairwise(path) if a == b)


@st.composite
def problems(draw: st.DrawFn) -> np.ndarray:
    words, regions = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    # Whole numbers: sums are exact, and ties are common.
    values = draw(st.lists(st.integers(-4, 4), min_size=words * regions, max_size=words * regions))
    return np.array(values, np.float64).reshape(words, regions)


@given(problems(), st.integers(0, 12).map(lambda quarters: quarters / 4))
def test_equals_brute_force_over_every_path(unary: np.ndarray, beta: float) -> None:
    paths = list(product(range(unary.shape[1]), repeat=len(unary)))
    most = max(energy(unary, path, beta) for path in paths)
    lowest = min(path for path in paths if energy(unary, path, beta) == most)
    path, total = viterbi(unary, beta)
    assert total == most
    assert tuple(path) == lowest
    assert path.dtype == np.int64


@given(st.integers(0, 10_000), st.floats(0, 5))
def test_equals_brute_force_on_real_numbers(seed: int, beta: float) -> None:
    unary = np.random.default_rng(seed).normal(size=(5, 3))
    path, total = viterbi(unary, beta)
    most = max(energy(unary, every, beta) for every in product(range(3), repeat=5))
    assert math.isclose(total, most, rel_tol=1e-9)
    assert math.isclose(energy(unary, tuple(path), beta), most, rel_tol=1e-9)


@given(problems())
def test_without_beta_every_word_chooses_for_itself(unary: np.ndarray) -> None:
    path, total = viterbi(unary, 0)
    assert np.array_equal(path, unary.argmax(axis=1))
    assert total == unary.max(axis=1).sum()


@given(problems())
def test_a_large_beta_keeps_the_sentence_on_one_region(unary: np.ndarray) -> None:
    path, _ = viterbi(unary, 1000)
    assert path.tolist() == [unary.sum(axis=0).argmax()] * len(unary)


def test_long_sentences_are_exact_too() -> None:
    unary = np.zeros((5000, 20), np.float32)
    unary[:2500, 7] = unary[2500:, 3] = 1
    path, total = viterbi(unary, 0.5)
    assert path.tolist() == [7] * 2500 + [3] * 2500
    assert total == 5000 + 0.5 * 4998


@pytest.mark.parametrize("beta", [-0.1, math.nan, math.inf, 1e7])
def test_impossible_beta_is_refused(beta: float) -> None:
    with pytest.raises(ConfigError, match="beta must be a number from 0 to 1,000,000, not"):
        viterbi(np.ones((2, 2)), beta)


@pytest.mark.parametrize(
    "unary",
    [np.ones((0, 2)), np.ones((2, 0)), np.ones(3), np.array([[1.0, np.nan]]), np.array([[np.inf]])],
)
def test_impossible_unary_is_refused(unary: np.ndarray) -> None:
    with pytest.raises(ValueError, match="finite matrix"):
        viterbi(unary, 1)


def make(region_vectors: np.ndarray, word_vectors: np.ndarray) -> tuple[Regions, Sentence]:
    boxes = np.array([[0, 0, 40, 30], [1, 2, 10, 12], [20, 5, 39, 29]], np.float32)[
        : len(region_vectors)
    ]
    regions = Regions(
        file="photo.jpg",
        width=40,
        height=30,
        boxes_xyxy=boxes,
        scores=np.ones(len(boxes), np.float32),
        features=np.zeros((len(boxes), 1), np.float32),
        vectors=region_vectors.astype(np.float32),
    )
    words = tuple(["the", "red", "dog", "sleeps"])[: len(word_vectors)]
    ids = np.arange(2, 2 + len(words))
    return regions, Sentence(" ".join(words), words, ids, word_vectors.astype(np.float32))


def test_alignment_worked_by_hand() -> None:
    # v·s: the (0.5, 0, 0), red (1, 3, 0), dog (1, 2, 0), sleeps (0, 1, 2)
    regions, sentence = make(np.eye(3), np.array([[0.5, 0, 0], [1, 3, 0], [1, 2, 0], [0, 1, 2]]))

    alone = align(regions, sentence, beta=0)
    assert alone.word_regions.tolist() == [0, 1, 1, 2]
    assert [(p.text, p.start, p.end, p.region, p.score) for p in alone.phrases] == [
        ("the", 0, 1, 0, 0.5),
        ("red dog", 1, 3, 1, 5.0),
        ("sleeps", 3, 4, 2, 2.0),
    ]
    assert alone.phrases[1].box_xyxy == (1, 2, 10, 12)
    assert alone.score == 0.5 + 3 + 2 + 2

    # β = 0.75 is worth more than the 0.5 of "the", and less than the 1 that "sleeps" loses on
    # region 1.
    together = align(regions, sentence, beta=0.75)
    assert together.word_regions.tolist() == [1, 1, 1, 2]
    assert together.word_scores.tolist() == [0, 3, 2, 2]
    assert [p.text for p in together.phrases] == ["the red dog", "sleeps"]
    assert together.score == alone.score
    assert together.beta == 0.75


def test_objectness_worked_by_hand() -> None:
    # ψ_U = v·s + 2 log o; log 0.5 = -0.693: red (1, 3 - 1.386), dog (1, 2.25 - 1.386 = 0.864)
    regions, sentence = make(np.eye(2), np.array([[1, 3], [1, 2.25]]))
    regions = replace(regions, scores=np.array([1, 0.5], np.float32), extra=1)
    found = align(regions, sentence, beta=0, objectness=2.0)
    assert found.word_regions.tolist() == [1, 0]
    np.testing.assert_allclose(found.word_scores, [3 + 2 * math.log(0.5), 1], rtol=1e-6)
    assert found.score == 2, "S_kl of the one region that is not extra, without objectness"
    np.testing.assert_array_equal(
        unary_potentials(np.ones((1, 2)), np.array([1, 0]), 1.0), [[1, 1 + math.log(1e-3)]]
    )
    np.testing.assert_array_equal(
        unary_potentials(np.ones((1, 2)), np.array([1, 0.5])), np.ones((1, 2))
    )


def test_the_kind_is_of_the_score_alone() -> None:
    # v·s: the (0.5, -1), red (1, 3), dog (1, 2)
    regions, sentence = make(np.eye(2), np.array([[0.5, -1], [1, 3], [1, 2]]))
    best, summed, mean = (align(regions, sentence, 0.75, kind) for kind in ("max", "sum", "mean"))
    assert (best.score, summed.score, mean.score) == (5.5, 7.5, 5.5 / 3)
    for each in (summed, mean):
        assert each.word_regions.tolist() == best.word_regions.tolist() == [0, 1, 1]
        assert each.phrases == best.phrases


@given(
    st.integers(0, 1000),
    st.integers(1, 3),
    st.integers(1, 4),
    st.floats(0, 3),
    st.sampled_from(get_args(Kind)),
)
def test_phrases_cover_the_sentence(
    seed: int, region_count: int, word_count: int, beta: float, kind: Kind
) -> None:
    rng = np.random.default_rng(seed)
    regions, sentence = make(rng.normal(size=(region_count, 5)), rng.normal(size=(word_count, 5)))
    found = align(regions, sentence, beta, kind)
    assert [p.region for p in found.phrases] == [
        region for region, _ in groupby(found.word_regions.tolist())
    ]
    assert [j for p in found.phrases for j in range(p.start, p.end)] == list(range(word_count))
    assert " ".join(p.text for p in found.phrases) == " ".join(sentence.words)
    np.testing.assert_allclose(
        sum(p.score for p in found.phrases), found.word_scores.sum(), rtol=1e-4, atol=1e-5
    )
    matrix = score_matrix(*pad([regions.vectors]), *pad([sentence.vectors]), kind)
    np.testing.assert_allclose(found.score, matrix[0, 0], rtol=1e-4, atol=1e-5)


def test_phrases_of_a_given_path() -> None:
    boxes = np.array([[0, 0, 4, 4], [1, 1, 2, 2]], np.float32)
    unary = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    one, two, three = phrases(("a", "b", "c"), np.array([1, 0, 1]), unary, boxes)
    assert (one.score, two.score, three.score) == (2, 3, 6)
    assert (two.start, two.end, two.region, two.box_xyxy) == (1, 2, 0, (0, 0, 4, 4))


def test_another_space_is_refused() -> None:
    regions, _ = make(np.ones((2, 3)), np.ones((1, 3)))
    _, sentence = make(np.ones((2, 4)), np.ones((1, 4)))
    with pytest.raises(ValueError, match="3 dimensions and words 4"):
        align(regions, sentence, 1)


def test_products_that_overflow_are_named() -> None:
    regions, sentence = make(np.full((2, 3), 1e30), np.full((2, 3), 1e30))
    with pytest.raises(PackError, match="a product that is not finite"):
        align(regions, sentence, 1)
