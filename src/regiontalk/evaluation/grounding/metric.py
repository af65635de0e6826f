"""Grounding metrics: pointing accuracy and recall at an IoU of 0.5, beside baselines.

A query asks one photo for one thing. The regions are ranked by their score (v_i · s_t of a word,
the sum over the words of a phrase), and a region is right

- for *pointing* if its centre lies inside one of the true boxes, edges included. This is the
  pointing game (Zhang et al. 2016, "Top-down Neural Attention by Excitation Backprop") with the
  best region's centre as the point, and without that paper's 15 pixels of tolerance;
- for *recall* if its IoU with one of the true boxes is at least 0.5.

Ties are broken pessimistically.

Axis names: B true boxes, M regions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from regiontalk.evaluation.results import draws, interval
from regiontalk.structures import WHOLE_PHOTO
from regiontalk.vision.boxes import area, iou

IOU = 0.5
RECALL_AT = (1, 5, 10)
METRICS = ("pointing", *(f"recall{k}" for k in RECALL_AT))
BASELINES = ("whole_photo", "centre_box", "largest_region", "surest_region", "random_region")
METHODS = ("model", *BASELINES, "best_region")


@dataclass(frozen=True, slots=True)
class GroundingRow:
    """Pointing accuracy, and recall at 1, 5 and 10 regions at an IoU of 0.5, in percent."""

    pointing: float
    recall1: float
    recall5: float
    recall10: float


@dataclass(frozen=True, slots=True)
class GroundingTable:
    """Metrics of the model and of the baselines.

    Attributes:
        model: its regions by their scores.
        whole_photo: the box of the whole photo. Single boxes have the same recall at every k.
        centre_box: half the photo's width and height, with the same centre.
        largest_region: the regions but the whole photo, by size.
        surest_region: by objectness.
        random_region: by the exact expected value.
        best_region: no baseline but the upper bound (oracle): right if any region is.
    """

    model: GroundingRow
    whole_photo: GroundingRow
    centre_box: GroundingRow
    largest_region: GroundingRow
    surest_region: GroundingRow
    random_region: GroundingRow
    best_region: GroundingRow


@dataclass(frozen=True, slots=True)
class GroundingScores:
    """Scores of some queries: averaged over queries (micro), over labels (macro), and by label."""

    micro: GroundingTable
    macro: GroundingTable
    by_class: Mapping[str, GroundingTable]

    @property
    def times_best_baseline(self) -> dict[str, float]:
        """`times_best_baseline` of "micro" and "macro", without those that are None."""
        times = {way: times_best_baseline(getattr(self, way)) for way in ("micro", "macro")}
        return {way: each for way, each in times.items() if each is not None}

    def to_json(self) -> dict[str, Any]:
        """The numbers by name."""
        return asdict(self) | {"times_best_baseline": self.times_best_baseline}


@dataclass(frozen=True, slots=True)
class GroundingIntervals:
    """Bootstrap intervals of `GroundingScores`.

    Attributes:
        micro, macro: `[low, high]` by method and metric. In each sample, macro averages over the
            labels that it holds.
        times_best_baseline: `[low, high]` of "micro" and "macro"; missing if the baselines have 0
            in a sample.
    """

    micro: Mapping[str, Mapping[str, list[float]]]
    macro: Mapping[str, Mapping[str, list[float]]]
    times_best_baseline: Mapping[str, list[float]]


@dataclass(frozen=True, eq=False)
class Query:
    """A word or phrase to be grounded in one photo.

    Attributes:
        label: the class, or type of entity, under which its result is counted.
        truth: (B, 4) xyxy, B at least 1, the true boxes.
        regions: (M, 4) xyxy in the same unit, the whole photo first.
        scores: (M,) finite, of each region for this query.
        objectness: (M,) of each region, for a baseline.
        weight: in averages; several queries for the same thing share a weight of 1.
        photo: which photo it is about, for the bootstrap.

    Raises:
        ValueError: if the shapes disagree or a score is not finite.
    """

    label: str
    truth: np.ndarray
    regions: np.ndarray
    scores: np.ndarray
    objectness: np.ndarray
    weight: float = 1.0
    photo: int = 0

    def __post_init__(self) -> None:
        count = len(self.regions)
        shapes = (
            self.truth.shape[1:],
            self.regions.shape[1:],
            self.scores.shape,
            self.objectness.shape,
        )
        if shapes != ((4,), (4,), (count,), (count,)) or not len(self.truth) or not count:
            raise ValueError(
                "expected (B, 4), (M, 4), (M,) and (M,), "
                f"found axes {shapes} and B = {len(self.truth)}"
            )
        if not np.isfinite(self.scores).all():
            raise ValueError("a score is not finite")


def grounding(queries: Sequence[Query]) -> GroundingScores:
    """Pointing accuracy and recalls of the model and of baselines.

    Args:
        queries: at least one.

    Raises:
        ValueError: if there is no query.
    """
    rows, weights, labels = _stacked(queries)
    by_class = {
        label: _mean(rows[labels == label], weights[labels == label])
        for label in sorted(set(labels.tolist()))
    }
    return GroundingScores(
        micro=_table(_mean(rows, weights)),
        macro=_table(np.mean(list(by_class.values()), axis=0)),
        by_class={label: _table(each) for label, each in by_class.items()},
    )


def grounding_intervals(
    queries: Sequence[Query], samples: int, seed: int = 0
) -> GroundingIntervals:
    """Bootstrap intervals of the numbers of `grounding` over photos, see `evaluation.results`.

    Args:
        queries: at least one; those of one photo are drawn together.
        samples, seed: of the bootstrap.

    Raises:
        ValueError: if there is no query, or `samples` is below 1.
    """
    queries = sorted(queries, key=lambda query: query.label)
    rows, weights, labels = _stacked(queries)
    starts = np.flatnonzero(np.append(True, labels[1:] != labels[:-1]))  # of each label's queries
    drawn = [
        _micro_and_macro(rows, weights * times, starts)
        for times in draws(np.array([query.photo for query in queries]), samples, seed)
    ]  # samples x (2, methods, metrics)
    edges = np.apply_along_axis(interval, 0, np.stack(drawn))  # (low or high, 2, methods, metrics)
    micro, macro = (
        {
            method: {
                metric: (100 * edges[:, which, m, k]).tolist() for k, metric in enumerate(METRICS)
            }
            for m, method in enumerate(METHODS)
        }
        for which in range(2)
    )
    multiples = {}
    for which, way in enumerate(("micro", "macro")):
        times = [times_best_baseline(_table(each[which])) for each in drawn]
        if None not in times:
            multiples[way] = interval([each for each in times if each is not None])
    return GroundingIntervals(micro, macro, multiples)


def times_best_baseline(table: GroundingTable, metric: str = "pointing") -> float | None:
    """The model's number as a multiple of the best baseline's; None if every baseline has 0."""
    best = max(float(getattr(getattr(table, name), metric)) for name in BASELINES)
    return float(getattr(table.model, metric)) / best if best else None


def centres_inside(boxes: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Which boxes (M, 4) have their centre inside a true box (B, 4), edges included: (M,) bool.

    >>> centres_inside(np.array([[0, 0, 4, 4], [4, 4, 8, 8]]), np.array([[2, 2, 3, 3]])).tolist()
    [True, False]
    """
    centres = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2  # (M, 1, 2)
    after, before = (
        np.greater_equal(centres, truth[None, :, :2]),
        np.less_equal(centres, truth[None, :, 2:]),
    )
    inside: np.ndarray = np.logical_and(after, before).all(axis=2).any(axis=1)  # of (M, B, 2)
    return inside


def overlapping(boxes: np.ndarray, truth: np.ndarray, threshold: float = IOU) -> np.ndarray:
    """Which boxes (M, 4) have an IoU of `threshold` or more with a true box (B, 4): (M,) bool."""
    found: np.ndarray = np.greater_equal(iou(boxes, truth), threshold).any(axis=1)
    return found


def rank_of_first_hit(scores: np.ndarray, hits: np.ndarray) -> float:
    """The rank, from 1, of the best scored region that is right; infinite if none is.

    Ties are broken pessimistically: here the right region ranks behind both others.

    >>> rank_of_first_hit(np.array([3.0, 2.0, 2.0]), np.array([False, True, False]))
    3.0
    """
    if not hits.any():
        return math.inf
    return float(1 + np.count_nonzero(~hits & (scores >= scores[hits].max())))


def random_recall(hits: np.ndarray, k: int) -> float:
    """Recall of k different regions drawn at random: the probability that one of them is right.

    That is 1 - C(M - H, k) / C(M, k) with H of M regions right.

    >>> random_recall(np.array([True, False, False, False]), 2)
    0.5
    """
    count, wrong = len(hits), int(np.count_nonzero(~hits))
    k = min(k, count)
    return 1 - math.comb(wrong, k) / math.comb(count, k)


def union(boxes: np.ndarray) -> np.ndarray:
    """The smallest box around all of (B, 4): (1, 4)."""
    around: np.ndarray = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])[None]
    return around


def _stacked(queries: Sequence[Query]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hits (queries, methods, metrics) in 0..1, and each query's weight and label, (queries,) both.

    Raises:
        ValueError: if there is no query.
    """
    if not queries:
        raise ValueError("there is no query")
    weights, labels = zip(*((query.weight, query.label) for query in queries), strict=True)
    return np.stack([_rows(query) for query in queries]), np.array(weights), np.array(labels)


def _rows(query: Query) -> np.ndarray:
    """Hits of one query: (methods, metrics) in 0..1."""
    centre = _centre_box(query.regions[WHOLE_PHOTO])
    boxes = np.concatenate([query.regions, centre])  # the last row is the centre box
    points, overlaps = centres_inside(boxes, query.truth), overlapping(boxes, query.truth)
    # The whole photo itself if there is no other region
    others = slice(1, len(query.regions)) if len(query.regions) > 1 else slice(0, 1)
    largest, surest = area(query.regions[others]), query.objectness[others]
    return np.array(
        [
            _ranked(query.scores, points[:-1], overlaps[:-1]),
            [points[0], *[overlaps[0]] * len(RECALL_AT)],
            [points[-1], *[overlaps[-1]] * len(RECALL_AT)],
            _ranked(largest, points[others], overlaps[others]),
            _ranked(surest, points[others], overlaps[others]),
            [random_recall(points[:-1], 1), *(random_recall(overlaps[:-1], k) for k in RECALL_AT)],
            [points[:-1].any(), *[overlaps[:-1].any()] * len(RECALL_AT)],
        ],
        np.float64,
    )


def _ranked(scores: np.ndarray, points: np.ndarray, overlaps: np.ndarray) -> list[bool]:
    rank = rank_of_first_hit(scores, overlaps)
    return [rank_of_first_hit(scores, points) == 1, *(rank <= k for k in RECALL_AT)]


def _centre_box(photo: np.ndarray) -> np.ndarray:
    """Half the width and height, in the middle: (4,) -> (1, 4)."""
    middle, quarter = (photo[:2] + photo[2:]) / 2, (photo[2:] - photo[:2]) / 4
    return np.concatenate([middle - quarter, middle + quarter])[None]


def _mean(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    averaged: np.ndarray = np.average(rows, axis=0, weights=weights)
    return averaged


def _micro_and_macro(rows: np.ndarray, weights: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Micro average over queries and macro over labels with any weight: (2, methods, metrics).

    Args:
        rows: (queries, methods, metrics), sorted by label.
        weights: (queries,).
        starts: where each label begins.
    """
    sums = np.add.reduceat(rows * weights[:, None, None], starts)  # (labels, methods, metrics)
    totals = np.add.reduceat(weights, starts)[:, None, None]
    present = totals[:, 0, 0] > 0
    return np.stack(
        [sums.sum(axis=0) / totals.sum(), (sums[present] / totals[present]).mean(axis=0)]
    )


def _table(rows: np.ndarray) -> GroundingTable:
    return GroundingTable(*(GroundingRow(*(100 * float(value) for value in row)) for row in rows))
