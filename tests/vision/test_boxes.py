"""Boxes against hand-worked values and a plain-Python reference."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from regiontalk.vision.boxes import WHOLE, iou, nms, pick_regions


def random_boxes(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(size=(count, 2, 2)).round(2)
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)
    return boxes, rng.uniform(size=count).round(1).astype(np.float32)  # rounded, so that some scores are equal


def plain_iou(a: np.ndarray, b: np.ndarray) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = width * height if width > 0 and height > 0 else 0.0
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return float(shared / union) if union > 0 else 0.0


def plain_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    kept: list[int] = []
    for candidate in sorted(range(len(boxes)), key=lambda k: (-scores[k], k)):
        if all(plain_iou(boxes[candidate], boxes[other]) <= threshold for other in kept):
            kept.append(candidate)
    return kept


def test_iou_by_hand() -> None:
    a = np.array([[0, 0, 2, 2], [5, 5, 5, 5]], np.float32)
    b = np.array([[1, 1, 3, 3], [0, 0, 2, 2], [2, 0, 4, 2], [5, 5, 5, 5], [3, 3, 1, 1]], np.float32)
    # 1 of 7 shared; itself; only an edge in common; no area; edges swapped
    np.testing.assert_allclose(iou(a, b), [[1 / 7, 1, 0, 0, 0], [0, 0, 0, 0, 0]], rtol=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 6), st.integers(0, 6))
def test_iou_is_the_reference_and_symmetric(seed: int, n: int, m: int) -> None:
    a, b = random_boxes(seed, n)[0], random_boxes(seed + 1, m)[0]
    found = iou(a, b)
    assert found.shape == (n, m)
    np.testing.assert_allclose(found, np.array([[plain_iou(x, y) for y in b] for x in a]).reshape(n, m), atol=1e-5)
    np.testing.assert_array_equal(found, iou(b, a).T)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 30), st.sampled_from([0.0, 0.303, 0.6, 1.0]), st.integers(0, 10))
def test_nms_is_the_reference(seed: int, count: int, threshold: float, limit: int) -> None:
    boxes, scores = random_boxes(seed, count)
    expected = plain_nms(boxes, scores, threshold)
    assert nms(boxes, scores, threshold).tolist() == expected
    assert nms(boxes, scores, threshold, limit).tolist() == expected[:limit]


def test_nms_drops_only_what_overlaps_more_than_the_threshold() -> None:
    boxes = np.array([[0, 0, 2, 1], [1, 0, 3, 1]], np.float32)  # IoU 1/3
    assert nms(boxes, np.array([0.5, 0.9]), 0.3).tolist() == [1]
    assert nms(boxes, np.array([0.5, 0.9]), 0.34).tolist() == [1, 0]


def test_regions_by_hand() -> None:
    boxes = np.array(
        [
            [0.0, 0.0, 0.5, 0.5],
            [0.0, 0.0, 0.5, 0.51],  # overlaps the first, and is better
            [0.6, 0.6, 1.5, 2.0],  # beyond the edge
            [0.2, 0.2, 0.2, 0.9],  # no area
            [0.7, 0.0, 0.9, 0.1],  # not likely enough
            [1.2, 1.2, 1.5, 1.5],  # wholly outside
        ],
        np.float32,
    )
    objectness = np.array([0.5, 0.6, 0.9, 1.0, 0.04, 1.0], np.float32)
    found, scores = pick_regions(boxes, objectness, proposals=19, nms_iou=0.6, min_objectness=0.05)
    np.testing.assert_allclose(found, [[0, 0, 1, 1], [0.6, 0.6, 1, 1], [0, 0, 0.5, 0.51]], rtol=1e-6)
    np.testing.assert_allclose(scores, [1, 0.9, 0.6], rtol=1e-6)
    assert found.dtype == scores.dtype == np.float32


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 60), st.integers(0, 19))
def test_regions_are_at_most_the_proposals_and_the_photo(seed: int, count: int, proposals: int) -> None:
    boxes, objectness = random_boxes(seed, count)
    found, scores = pick_regions(boxes * 1.4 - 0.2, objectness, proposals)
    assert 1 <= len(found) == len(scores) <= proposals + 1
    np.testing.assert_array_equal(found[0], WHOLE)
    assert scores[0] == 1
    assert (np.diff(scores[1:]) <= 0).all()
    assert ((found >= 0) & (found <= 1)).all()
    overlap = iou(found[1:], found[1:])
    assert (overlap[~np.eye(len(overlap), dtype=bool)] <= 0.6).all()


def test_the_whole_photo_does_not_suppress_a_box_that_fills_it() -> None:
    found, _ = pick_regions(np.array([[0.01, 0, 1, 1]], np.float32), np.array([0.9], np.float32))
    assert len(found) == 2
