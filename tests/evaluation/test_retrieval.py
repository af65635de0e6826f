from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.evaluation import retrieval


def numbers(ranks: list[int]) -> dict[str, float]:
    recalls = {f"r{k}": 100 * sum(rank <= k for rank in ranks) / len(ranks) for k in (1, 5, 10)}
    return {**recalls, "median_rank": float(np.median(ranks))}


def retrieve_slowly(scores: np.ndarray, owners: list[int]) -> dict[str, dict[str, float]]:
    """The worst order that the scores allow, then look up the first ground truth."""
    photo_ranks = []
    for k, row in enumerate(scores):
        order = sorted(range(len(row)), key=lambda sentence: (-row[sentence], owners[sentence] == k))
        photo_ranks.append(1 + next(place for place, sentence in enumerate(order) if owners[sentence] == k))
    sentence_ranks = []
    for l_, column in enumerate(scores.T):
        order = sorted(range(len(column)), key=lambda photo: (-column[photo], photo == owners[l_]))
        sentence_ranks.append(1 + order.index(owners[l_]))
    return {"image_to_text": numbers(photo_ranks), "text_to_image": numbers(sentence_ranks)}


def test_one_caption_a_photo_by_hand() -> None:
    scores = np.array([[9, 1, 1], [8, 7, 1], [5, 6, 4]], np.float32)
    result = retrieval(scores, np.arange(3))
    # Photos: own 9 leads (1); 8 before own 7 (2); 5 and 6 before own 4 (3).
    assert result["image_to_text"] == numbers([1, 2, 3])
    # Sentences: 9 leads (1); 7 leads (1); 4 leads (1).
    assert result["text_to_image"] == {"r1": 100.0, "r5": 100.0, "r10": 100.0, "median_rank": 1.0}


def test_several_captions_a_photo_by_hand() -> None:
    owners = np.array([1, 0, 0, 1, 1])
    scores = np.array([[5, 1, 4, 6, 0], [2, 3, 9, 7, 8]], np.float32)
    result = retrieval(scores, owners)
    # Photo 0: its best is 4, behind 5 and 6 (3). Photo 1: its best is 8, behind 9 (2).
    assert result["image_to_text"] == numbers([3, 2])
    # Sentences: 2 < 5 (2), 1 < 3 (2), 4 < 9 (2), 7 > 6 (1), 8 > 0 (1).
    assert result["text_to_image"] == numbers([2, 2, 2, 1, 1])


def test_ties_count_against_the_system() -> None:
    result = retrieval(np.zeros((4, 8)), np.arange(8) % 4)
    # Six wrong sentences in front of a photo's own two, three wrong photos in front of a sentence's own.
    assert result["image_to_text"] == numbers([7] * 4)
    assert result["text_to_image"] == numbers([4] * 8)


def test_ties_between_own_captions_cost_nothing() -> None:
    result = retrieval(np.array([[3.0, 3.0, 1.0], [0.0, 0.0, 2.0]]), np.array([0, 0, 1]))
    assert result["image_to_text"]["r1"] == 100
    assert result["text_to_image"]["r1"] == 100


def test_recall_steps() -> None:
    # Sentence k of 20 has k photos before its own.
    scores = np.tril(np.ones((20, 20)), -1).T + np.eye(20) * 0.5
    assert retrieval(scores, np.arange(20))["text_to_image"] == {
        "r1": 5.0,
        "r5": 25.0,
        "r10": 50.0,
        "median_rank": 10.5,
    }


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, list[int]]:
    photos = draw(st.integers(1, 6))
    owners = [*range(photos), *draw(st.lists(st.integers(0, photos - 1), max_size=10))]
    owners = draw(st.permutations(owners))
    # Few values: ties are common.
    values = draw(st.lists(st.integers(0, 4), min_size=photos * len(owners), max_size=photos * len(owners)))
    return np.array(values, np.float32).reshape(photos, len(owners)), owners


@given(problems())
def test_equals_sorting(problem: tuple[np.ndarray, list[int]]) -> None:
    scores, owners = problem
    assert retrieval(scores, np.array(owners)) == retrieve_slowly(scores, owners)


@given(st.integers(1, 8), st.integers(0, 1000))
def test_swapping_photos_and_sentences_swaps_the_numbers(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, owners = rng.integers(0, 5, (count, count)).astype(np.float64), rng.permutation(count)
    swapped = retrieval(scores.T, np.argsort(owners))
    assert retrieval(scores, owners) == {
        "image_to_text": swapped["text_to_image"],
        "text_to_image": swapped["image_to_text"],
    }


@pytest.mark.parametrize(
    ("scores", "owners", "message"),
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
def test_wrong_input_is_refused(scores: np.ndarray, owners: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        retrieval(scores, owners)
