from __future__ import annotations

import itertools
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.evaluation.grounding.metric import (
    METHODS,
    METRICS,
    GroundingRow,
    Query,
    centres_inside,
    grounding,
    grounding_intervals,
    overlapping,
    random_recall,
    rank_of_first_hit,
    times_best_baseline,
    union,
)
from regiontalk.evaluation.results import draws, interval

WHOLE = [0, 0, 8, 8]
TRUTH = np.array([[0, 0, 4, 4]], np.float32)
REGIONS = np.array([WHOLE, [0, 0, 4, 3], [4, 4, 8, 8], [0, 4, 8, 8]], np.float32)
"""The whole photo, a good box, a bad one and a large bad one."""


def query(
    scores: list[float], label: str = "dog", truth: np.ndarray = TRUTH, weight: float = 1.0
) -> Query:
    return Query(
        label,
        truth,
        REGIONS,
        np.array(scores, np.float32),
        np.array([1, 0.5, 0.9, 0.1], np.float32),
        weight,
    )


def test_one_query_by_hand() -> None:
    found = grounding([query([1, 3, 4, 2])])  # the bad box leads, the good one is second
    assert found.micro == found.macro == found.by_class["dog"]
    table = found.micro
    assert tuple(asdict(table)) == METHODS
    assert all(tuple(row) == METRICS for row in asdict(table).values())
    assert table.model == GroundingRow(0, 0, 100, 100)
    # the centre (4, 4) is a corner of the true box, and edges count
    assert table.whole_photo == GroundingRow(100, 0, 0, 0)
    # IoU 4 / 28
    assert table.centre_box == GroundingRow(100, 0, 0, 0)
    assert table.largest_region == GroundingRow(0, 0, 100, 100)
    assert table.surest_region == GroundingRow(0, 0, 100, 100)
    assert table.random_region == GroundingRow(50, 25, 100, 100)
    assert table.best_region == GroundingRow(100, 100, 100, 100)
    assert times_best_baseline(table) == 0
    assert times_best_baseline(table, "recall1") == 0


def test_the_right_region_first() -> None:
    table = grounding([query([1, 5, 4, 2])]).micro
    assert table.model == GroundingRow(100, 100, 100, 100)
    assert times_best_baseline(table) == 1
    assert times_best_baseline(table, "recall1") == 4  # the random region's 25


def test_micro_macro_and_weights() -> None:
    right, wrong = [1, 5, 4, 2], [1, 3, 4, 2]
    found = grounding([query(right), query(right), query(wrong), query(wrong, "cat")])
    assert found.micro.model.pointing == 50
    assert found.by_class["dog"].model.pointing == pytest.approx(200 / 3)
    assert found.macro.model.pointing == pytest.approx(100 / 3)
    weighted = grounding(
        [query(right, weight=0.25), query(wrong, weight=0.75), query(right, "cat")]
    )
    assert weighted.micro.model.pointing == pytest.approx(62.5)
    assert weighted.by_class["dog"].model.pointing == 25


def test_no_region_but_the_photo() -> None:
    alone = Query("dog", TRUTH, REGIONS[:1], np.zeros(1), np.ones(1))
    table = grounding([alone]).micro
    for method in ("model", "largest_region", "surest_region", "random_region", "best_region"):
        assert getattr(table, method) == table.whole_photo


def test_several_true_boxes() -> None:
    truth = np.array([[0, 0, 1, 1], [4, 4, 8, 8]], np.float32)
    table = grounding([query([1, 3, 4, 2], truth=truth)]).micro
    assert table.model == GroundingRow(100, 100, 100, 100)
    assert union(truth).tolist() == [[0, 0, 8, 8]]


def test_a_model_that_scores_all_alike_never_points_right_by_luck() -> None:
    table = grounding([query([0, 0, 0, 0])]).micro
    assert table.model == GroundingRow(0, 0, 100, 100)


def test_no_baseline_right() -> None:
    truth = np.array([[7, 0, 8, 1]], np.float32)
    table = grounding([query([1, 2, 3, 4], truth=truth)]).micro
    assert times_best_baseline(table) is None


def test_overlap_threshold_is_reached_by_equality() -> None:
    boxes = np.array([[0, 0, 4, 4]], np.float32)
    assert overlapping(boxes, np.array([[0, 0, 4, 8]], np.float32)).tolist() == [True]
    assert overlapping(boxes, np.array([[0, 0, 4, 8.1]], np.float32)).tolist() == [False]
    assert centres_inside(boxes, np.array([[0, 0, 1, 1], [2, 2, 3, 3]], np.float32)).tolist() == [
        True
    ]


@pytest.mark.parametrize(
    "change", [{"truth": np.zeros((0, 4))}, {"scores": np.zeros(3)}, {"truth": np.zeros((1, 3))}]
)
def test_shapes_are_checked(change: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="expected"):
        replace(query([1, 2, 3, 4]), **change)
    with pytest.raises(ValueError, match="not finite"):
        query([1, 2, 3, math.nan])
    with pytest.raises(ValueError, match="no query"):
        grounding([])


hits_lists = st.lists(st.booleans(), min_size=1, max_size=7)


@given(hits_lists, st.integers(1, 8))
def test_random_recall_is_the_average_over_all_draws(hits: list[bool], k: int) -> None:
    draws = list(itertools.combinations(hits, min(k, len(hits))))
    assert random_recall(np.array(hits), k) == pytest.approx(np.mean([any(draw) for draw in draws]))


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=7))
def test_the_rank_is_the_worst_over_all_orders_of_ties(pairs: list[tuple[int, bool]]) -> None:
    def rank(order: list[tuple[int, bool]]) -> float:
        in_order = sorted(order, key=lambda pair: -pair[0])
        return next((place for place, (_, hit) in enumerate(in_order, start=1) if hit), math.inf)

    scores, hits = (np.array(column) for column in zip(*pairs, strict=True))
    # Stable sorting keeps wrong ones in front
    worst_first = sorted(pairs, key=lambda pair: pair[1])
    assert rank_of_first_hit(scores.astype(float), hits.astype(bool)) == rank(worst_first)


corners = st.lists(st.integers(0, 8), min_size=2, max_size=2, unique=True).map(sorted)


@given(st.data())
def test_order_changes_nothing_and_numbers_are_bounded(data: st.DataObject) -> None:
    def box() -> list[int]:
        (left, right), (top, bottom) = data.draw(corners), data.draw(corners)
        return [left, top, right, bottom]

    queries = []
    for _ in range(data.draw(st.integers(1, 3))):
        count = data.draw(st.integers(0, 4))
        regions = np.array([WHOLE, *(box() for _ in range(count))], np.float32)
        truth = np.array([box() for _ in range(data.draw(st.integers(1, 2)))], np.float32)
        scores = np.array(data.draw(st.permutations(range(count + 1))), np.float32)
        queries.append(Query(data.draw(st.sampled_from("ab")), truth, regions, scores, scores))
    found = grounding(queries)
    for method, row in asdict(grounding(queries[::-1]).micro).items():
        assert row == pytest.approx(asdict(found.micro)[method])
    for table in map(asdict, (found.micro, found.macro, *found.by_class.values())):
        for row in table.values():
            assert all(0 <= value <= 100 + 1e-9 for value in row.values())
            assert row["recall1"] <= row["recall5"] + 1e-9 <= row["recall10"] + 2e-9
        for metric in METRICS:
            assert table["model"][metric] <= table["best_region"][metric] + 1e-9


@given(st.permutations(range(3)))
def test_the_order_of_regions_changes_nothing(order: list[int]) -> None:
    rows = [0, *(1 + row for row in order)]  # the whole photo stays first
    one = query([1, 3, 4, 2])
    other = replace(
        one, regions=one.regions[rows], scores=one.scores[rows], objectness=one.objectness[rows]
    )
    assert grounding([one]) == grounding([other])


def test_a_perfect_system() -> None:
    regions = np.concatenate([REGIONS, TRUTH])
    perfect = Query(
        "dog", TRUTH, regions, overlapping(regions, TRUTH, 1.0).astype(float), np.zeros(5)
    )
    assert grounding([perfect]).micro.model == GroundingRow(100, 100, 100, 100)


def test_intervals_are_of_whole_photos_drawn_again() -> None:
    """Every sample is computed once more.

    As a list of queries that holds those of a photo as often as it is drawn.
    """
    rng = np.random.default_rng(3)
    queries = [
        replace(query(list(rng.permutation(4)), label, weight=weight), photo=photo)
        for photo, label, weight in zip(
            [0, 0, 1, 2, 2, 2, 5],
            ["dog", "cat", "dog", "cat", "cow", "dog", "cat"],
            [1, 1, 0.5, 0.5, 1, 1, 1],
            strict=True,
        )
    ]
    found = grounding_intervals(queries, 50, seed=4)
    tables = []
    for times in draws(np.array([each.photo for each in queries]), 50, seed=4):
        again = [each for each, n in zip(queries, times, strict=True) for _ in range(n)]
        tables.append(grounding(again))
    for way in ("micro", "macro"):
        for method in METHODS:
            for metric in METRICS:
                expected = interval([asdict(table)[way][method][metric] for table in tables])
                assert getattr(found, way)[method][metric] == pytest.approx(expected)
        times = [times_best_baseline(getattr(table, way)) for table in tables]
        assert None not in times
        assert found.times_best_baseline[way] == pytest.approx(
            interval([each or 0.0 for each in times])
        )


def test_intervals_of_one_photo_are_its_numbers() -> None:
    queries = [query([1, 3, 4, 2]), query([1, 5, 4, 2])]
    found, numbers = grounding_intervals(queries, 9), grounding(queries)
    assert found.micro["model"] == {
        metric: [value] * 2 for metric, value in asdict(numbers.micro.model).items()
    }
    nowhere = query([1, 3, 4, 2], truth=np.array([[20, 20, 24, 24]], np.float32))
    assert grounding_intervals([nowhere], 9).times_best_baseline == {}
    with pytest.raises(ValueError, match="no query"):
        grounding_intervals([], 9)
