"""Examples are chosen by rule, and say what the numbers say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.alignment.score import pad
from regiontalk.data import BoxedPhoto
from regiontalk.evaluation.grounding.metric import Query
from regiontalk.evaluation.results import Reporting
from regiontalk.evaluation.retrieval.metric import RetrievalResult
from regiontalk.evaluation.retrieval.ranks import MatrixScores, rank
from regiontalk.evaluation.retrieval.run import Retrieved
from regiontalk.report.examples import (
    Found,
    QueryLog,
    best_to_worst,
    photos_ask,
    right_and_wrong,
    sentences_ask,
    spread,
)


@given(st.lists(st.integers(), max_size=50), st.integers(1, 20))
def test_spread_items_are_some_of_them_in_order(items: list[int], most: int) -> None:
    found = spread(list(range(len(items))), most)
    assert found == sorted(set(found))
    assert len(found) == min(most, len(items))
    if most > 1 and items:
        assert (found[0], found[-1]) == (0, len(items) - 1)


def test_right_and_wrong() -> None:
    ranks = np.array([1, 9, 1, 2, 1, 30, 3])
    assert right_and_wrong(ranks, 2) == ([0, 4], [3, 5])
    assert right_and_wrong(ranks, 9) == ([0, 2, 4], [3, 6, 1, 5])
    assert right_and_wrong(np.array([1]), 3) == ([0], [])


def test_captions_from_the_best_to_the_worst() -> None:
    assert best_to_worst(np.array([0.5, 3.0, 0.0, 3.0, 1.0]), 5) == [1, 3, 4, 0, 2]
    assert best_to_worst(np.array([0.5, 3.0, 0.0]), 2) == [1, 2]


@pytest.fixture
def found() -> Retrieved:
    """Four photos with one region and two one-word sentences each.

    A score is a product of two numbers each.
    """
    random = np.random.default_rng(3)
    regions = random.integers(-3, 4, (4, 1, 2)).astype(np.float32)
    sentences = [random.integers(-3, 4, (1, 2)).astype(np.float32) for _ in range(8)]
    photo_of = np.arange(8) // 2
    matrix = (regions[:, 0] @ np.concatenate(sentences).T).astype(np.float32)
    captions = [f"caption {n}" for n in range(8)]
    ranks = [rank(MatrixScores(matrix, photo_of))]
    return Retrieved(
        RetrievalResult.of(ranks, {}, Reporting()),
        ranks,
        "max",
        regions,
        np.ones(4, int),
        captions,
        sentences,
        photo_of,
    )


def test_candidates_stand_where_the_ranks_say(found: Retrieved) -> None:
    photos, sentences = photos_ask(found, range(4)), sentences_ask(found, range(8))
    assert [each.rank for each in photos] == found.ranks[0].photos.tolist()
    assert [each.rank for each in sentences] == found.ranks[0].sentences.tolist()
    for question in (*photos, *sentences):
        best_right = next(each for each in question.first if each.right)
        assert best_right.place == question.rank
        scores = [each.score for each in question.first]
        assert scores == sorted(scores, reverse=True)
    for question in photos:
        for each in question.first:
            assert each.right == (found.photo_of_sentence[each.number] == question.number)
            product = found.region_vectors[question.number, 0] @ found.sentences[each.number][0]
            assert each.score == pytest.approx(float(product))


def test_a_right_one_beyond_the_first_is_shown_too() -> None:
    regions = np.ones((1, 1, 1), np.float32)
    vectors, counts = np.concatenate([regions * score for score in range(8)]), np.ones(8, int)
    sentences = [np.ones((1, 1), np.float32)] * 8
    matrix = np.repeat(np.arange(8, dtype=np.float32)[:, None], 8, axis=1)
    ranks = rank(MatrixScores(matrix, np.arange(8)))
    result = RetrievalResult.of([ranks], {}, Reporting())
    found = Retrieved(result, [ranks], "max", vectors, counts, ["a"] * 8, sentences, np.arange(8))
    (question,) = sentences_ask(found, [1])
    assert [each.number for each in question.first] == [7, 6, 5, 4, 3, 1]
    assert question.first[-1] == Found(place=7, number=1, score=1.0, right=True)
    assert pad(sentences)[1].tolist() == [1] * 8


def test_nothing_asked_nothing_found(found: Retrieved) -> None:
    assert photos_ask(found, []) == sentences_ask(found, []) == []


def test_listeners_tell_right_from_wrong() -> None:
    photo = BoxedPhoto(Path("a.jpg"), 100, 100, np.array([[0, 0, 40, 40]], np.float32), (("dog",),))
    boxes = np.array([[0, 0, 100, 100], [10, 10, 30, 30]], np.float32)
    queries = QueryLog()
    for asked, scores in (("dog", [0.0, 1.0]), ("cat", [1.0, 0.0]), ("cow", [1.0, 1.0])):
        queries(photo, asked, Query("dog", photo.boxes_xyxy, boxes, np.array(scores), np.ones(2)))
    right, wrong = queries.right_and_wrong(5)
    assert [each.asked for each in right] == ["dog"]
    assert [each.asked for each in wrong] == ["cat", "cow"]  # a tie counts against
    assert [len(part) for part in QueryLog().right_and_wrong(3)] == [0, 0]
