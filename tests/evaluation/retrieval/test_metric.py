from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regiontalk.errors import ConfigError
from regiontalk.evaluation.results import Reporting
from regiontalk.evaluation.retrieval.metric import (
    NAMES,
    WAYS,
    RetrievalResult,
    RetrievalScores,
    WayScores,
    bootstrap,
    cut_folds,
    retrieval,
)
from regiontalk.evaluation.retrieval.metric import numbers as averaged
from regiontalk.evaluation.retrieval.ranks import MatrixScores, Ranks, rank


def numbers(ranks: list[int]) -> WayScores:
    recalls = [100 * sum(rank <= k for rank in ranks) / len(ranks) for k in (1, 5, 10)]
    return WayScores(*recalls, float(np.median(ranks)), float(np.mean(ranks)))


def retrieve_slowly(scores: np.ndarray, photo_of: list[int]) -> RetrievalScores:
    """The worst order that the scores allow, then look up the first ground truth."""
    photo_ranks = []
    for k, row in enumerate(scores):
        order = sorted(
            range(len(row)), key=lambda sentence: (-row[sentence], photo_of[sentence] == k)
        )
        photo_ranks.append(
            1 + next(place for place, sentence in enumerate(order) if photo_of[sentence] == k)
        )
    sentence_ranks = []
    for l_, column in enumerate(scores.T):
        order = sorted(
            range(len(column)), key=lambda photo: (-column[photo], photo == photo_of[l_])
        )
        sentence_ranks.append(1 + order.index(photo_of[l_]))
    return RetrievalScores(numbers(photo_ranks), numbers(sentence_ranks))


def test_one_caption_a_photo_by_hand() -> None:
    scores = np.array([[9, 1, 1], [8, 7, 1], [5, 6, 4]], np.float32)
    result = retrieval(scores, np.arange(3))
    # Photos: own 9 leads (1); 8 before own 7 (2); 5 and 6 before own 4 (3).
    assert result.image_to_text == numbers([1, 2, 3])
    # Sentences: 9 leads (1); 7 leads (1); 4 leads (1).
    assert result.text_to_image == numbers([1, 1, 1])
    assert result.image_to_text.mean_rank == 2


def test_several_captions_a_photo_by_hand() -> None:
    photo_of = np.array([1, 0, 0, 1, 1])
    scores = np.array([[5, 1, 4, 6, 0], [2, 3, 9, 7, 8]], np.float32)
    result = retrieval(scores, photo_of)
    # Photo 0: its best is 4, behind 5 and 6 (3). Photo 1: its best is 8, behind 9 (2).
    assert result.image_to_text == numbers([3, 2])
    # Sentences: 2 < 5 (2), 1 < 3 (2), 4 < 9 (2), 7 > 6 (1), 8 > 0 (1).
    assert result.text_to_image == numbers([2, 2, 2, 1, 1])


def test_ties_count_against_the_system() -> None:
    result = retrieval(np.zeros((4, 8)), np.arange(8) % 4)
    # Six wrong sentences in front of a photo's own two, three wrong photos in front of a sentence's
    # own.
    assert result.image_to_text == numbers([7] * 4)
    assert result.text_to_image == numbers([4] * 8)


def test_ties_between_own_captions_cost_nothing() -> None:
    result = retrieval(np.array([[3.0, 3.0, 1.0], [0.0, 0.0, 2.0]]), np.array([0, 0, 1]))
    assert result.image_to_text.r1 == 100
    assert result.text_to_image.r1 == 100


def test_recall_steps() -> None:
    # Sentence k of 20 has k photos before its own.
    scores = np.tril(np.ones((20, 20)), -1).T + np.eye(20) * 0.5
    expected = WayScores(r1=5.0, r5=25.0, r10=50.0, median_rank=10.5, mean_rank=10.5)
    assert retrieval(scores, np.arange(20)).text_to_image == expected


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, list[int]]:
    photos = draw(st.integers(1, 6))
    photo_of = [*range(photos), *draw(st.lists(st.integers(0, photos - 1), max_size=10))]
    photo_of = draw(st.permutations(photo_of))
    # Few values: ties are common.
    values = draw(
        st.lists(
            st.integers(0, 4), min_size=photos * len(photo_of), max_size=photos * len(photo_of)
        )
    )
    return np.array(values, np.float32).reshape(photos, len(photo_of)), photo_of


@given(problems())
def test_equals_sorting(problem: tuple[np.ndarray, list[int]]) -> None:
    scores, photo_of = problem
    assert retrieval(scores, np.array(photo_of)) == retrieve_slowly(scores, photo_of)


@given(st.integers(1, 8), st.integers(0, 1000))
def test_swapping_photos_and_sentences_swaps_the_numbers(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, photo_of = rng.integers(0, 5, (count, count)).astype(np.float64), rng.permutation(count)
    swapped = retrieval(scores.T, np.argsort(photo_of))
    assert retrieval(scores, photo_of) == RetrievalScores(
        swapped.text_to_image, swapped.image_to_text
    )


@pytest.mark.parametrize(
    ("scores", "photo_of", "message"),
    [
        (np.zeros((2, 3)), np.array([0, 1]), "need L integers"),
        (np.zeros((2, 2)), np.array([0.0, 1.0]), "need L integers"),
        (np.zeros(2), np.array([0, 1]), "need L integers"),
        (np.array([[0, np.nan], [0, 0]]), np.array([0, 1]), "finite"),
        (np.array([[0, -np.inf], [0, 0]]), np.array([0, 1]), "finite"),
        (np.zeros((2, 2), np.int64), np.array([0, 1]), "float type"),
        (np.zeros((2, 2)), np.array([0, 0]), "photos 0 to 1 must each have a sentence"),
        (np.zeros((2, 3)), np.array([0, 1, 2]), "photos 0 to 1 must each have a sentence"),
        (np.zeros((2, 3)), np.array([0, 1, -1]), "photos 0 to 1 must each have a sentence"),
        (np.zeros((0, 0)), np.zeros(0, np.int64), "must each have a sentence"),
    ],
)
def test_wrong_input_is_refused(scores: np.ndarray, photo_of: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        retrieval(scores, photo_of)


@given(problems(), st.integers(0, 1000))
def test_the_order_of_photos_and_sentences_does_not_matter(
    problem: tuple[np.ndarray, list[int]], seed: int
) -> None:
    scores, photo_of = problem[0], np.array(problem[1])
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(len(scores)), rng.permutation(len(photo_of))
    assert retrieval(scores[rows][:, columns], np.argsort(rows)[photo_of[columns]]) == retrieval(
        scores, photo_of
    )


@given(problems())
def test_a_perfect_system_has_100(problem: tuple[np.ndarray, list[int]]) -> None:
    scores, photo_of = problem
    scores[photo_of, np.arange(len(photo_of))] += 5  # above every other
    result = retrieval(scores, np.array(photo_of))
    best = WayScores(r1=100.0, r5=100.0, r10=100.0, median_rank=1.0, mean_rank=1.0)
    assert result == RetrievalScores(best, best)
    assert result.rsum == 600


@given(problems())
def test_numbers_are_bounded(problem: tuple[np.ndarray, list[int]]) -> None:
    scores, photo_of = problem
    result = retrieval(scores, np.array(photo_of))
    assert 0 <= result.rsum <= 600
    for way, candidates in zip(WAYS, (len(photo_of), len(scores)), strict=True):
        row = getattr(result, way)
        assert 0 <= row.r1 <= row.r5 <= row.r10 <= 100
        assert 1 <= row.median_rank <= candidates and 1 <= row.mean_rank <= candidates


def test_rsum_by_hand() -> None:
    recalls = WayScores(r1=1.0, r5=2.0, r10=3.0, median_rank=50.0, mean_rank=60.0)
    assert RetrievalScores(recalls, replace(recalls, r1=10.0)).rsum == 6 + 15


def test_folds_by_hand() -> None:
    parts = cut_folds(np.array([3, 0, 2, 1, 0]), 4, 2)
    assert [part for part, _, _ in parts] == [slice(0, 2), slice(2, 4)]
    assert [sentences.tolist() for _, sentences, _ in parts] == [[1, 3, 4], [0, 2]]
    assert [photo_of.tolist() for _, _, photo_of in parts] == [[0, 1, 0], [1, 0]]
    with pytest.raises(
        ConfigError, match=r"--folds 3: 4 photos cannot be cut into 3 folds .*divides 4"
    ):
        cut_folds(np.arange(4), 4, 3)


@settings(max_examples=50)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 1000))
def test_folds_are_averages_of_smaller_problems(folds: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, photo_of = (
        rng.normal(size=(folds * size, 2 * folds * size)),
        rng.permutation(2 * folds * size) // 2,
    )
    expected, ranks = [], []
    for part, sentences, own in cut_folds(photo_of, folds * size, folds):
        expected.append(asdict(retrieval(scores[part][:, sentences], own)))
        ranks.append(rank(MatrixScores(scores[part], own, sentences)))
    for way in WAYS:
        for name, value in asdict(averaged(ranks))[way].items():
            assert value == pytest.approx(np.mean([each[way][name] for each in expected]))


def some_ranks(photos: int, seed: int) -> Ranks:
    """Ranks of photos with three sentences each."""
    rng = np.random.default_rng(seed)
    photo_of = np.repeat(np.arange(photos), 3)
    return Ranks(rng.integers(1, 20, photos), rng.integers(1, 20, 3 * photos), photo_of)


class FixedDraws(np.random.Generator):
    """Draws the photos that it is told to."""

    def __init__(self, draws: list[list[int]]) -> None:
        super().__init__(np.random.PCG64(0))
        self.draws = iter(draws)

    def integers(self, *_: object, **__: object) -> np.ndarray:  # type: ignore[override]
        return np.array(next(self.draws))


def test_a_bootstrap_sample_takes_photos_with_all_their_sentences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ranks = Ranks(np.array([1, 7, 30]), np.array([2, 1, 9, 4, 11, 1]), np.array([0, 0, 1, 1, 2, 2]))
    draws = [[0, 0, 2], [1, 1, 1]]
    monkeypatch.setattr(np.random, "default_rng", lambda seed: FixedDraws(draws))
    found = bootstrap([ranks], 2)
    photo = [numbers([1, 1, 30]), numbers([7, 7, 7])]
    sentence = [numbers([2, 1, 2, 1, 11, 1]), numbers([9, 4, 9, 4, 9, 4])]
    for way, samples in (("image_to_text", photo), ("text_to_image", sentence)):
        for name in NAMES:
            low, high = sorted(getattr(each, name) for each in samples)
            # The middle 95 % between two values: 2.5 % of the way in from each.
            assert getattr(found, way)[name] == pytest.approx(
                [low + 0.025 * (high - low), high - 0.025 * (high - low)]
            )


def test_the_bootstrap_is_seeded_and_holds_the_number() -> None:
    folds = [some_ranks(60, seed) for seed in range(2)]
    first, again, other = (
        bootstrap(folds, 200),
        bootstrap(folds, 200),
        bootstrap(folds, 200, seed=1),
    )
    assert first == again != other
    found = averaged(folds)
    for way in WAYS:
        for name, (low, high) in getattr(first, way).items():
            assert low <= getattr(getattr(found, way), name) <= high
            assert low < high
    assert first.rsum[0] < found.rsum < first.rsum[1]


def test_the_bootstrap_of_equal_ranks_has_no_width() -> None:
    ranks = Ranks(np.full(5, 3), np.full(10, 7), np.repeat(np.arange(5), 2))
    found = bootstrap([ranks], 20)
    for way, rank_ in (("image_to_text", 3), ("text_to_image", 7)):
        expected = {name: [value] * 2 for name, value in asdict(numbers([rank_])).items()}
        assert getattr(found, way) == expected
    with pytest.raises(ValueError, match="at least 1"):
        bootstrap([ranks], 0)


def test_a_result_to_json() -> None:
    """Rounded to four digits, in this order; the interval only with a bootstrap."""
    ranks = Ranks(np.array([1, 2, 7]), np.array([1, 1, 3]), np.arange(3))
    plain = RetrievalResult.of([ranks], {"scores": "a.npy"}, Reporting())
    assert json.dumps(plain.to_json()) == (
        '{"image_to_text": {"r1": 33.3333, "r5": 66.6667, "r10": 100.0, "median_rank": 2.0, '
        '"mean_rank": 3.3333}, "text_to_image": {"r1": 66.6667, "r5": 100.0, "r10": 100.0, '
        '"median_rank": 1.0, "mean_rank": 1.6667}, "rsum": 466.6667, "signature": {"scores": '
        '"a.npy", "ties": "count against the system", "folds": "1"}}'
    )
    sampled = RetrievalResult.of([ranks], {}, Reporting(samples=9)).to_json()
    assert list(sampled) == [*WAYS, "rsum", "interval", "signature"]
    assert list(sampled["interval"]) == [*WAYS, "rsum"]
    assert list(sampled["interval"]["image_to_text"]) == list(NAMES)
