"""Boxes, and RoIAlign's weights, against hand-worked values and plain-Python references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regiontalk.vision.boxes import WHOLE, iou, nms, pick_regions, roi_align, roi_weights


def random_boxes(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(size=(count, 2, 2)).round(2)
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)
    # Rounded, so that some scores are equal
    return boxes, rng.uniform(size=count).round(1).astype(np.float32)


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
    np.testing.assert_allclose(
        found, np.array([[plain_iou(x, y) for y in b] for x in a]).reshape(n, m), atol=1e-5
    )
    np.testing.assert_array_equal(found, iou(b, a).T)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(0, 30),
    st.sampled_from([0.0, 0.303, 0.6, 1.0]),
    st.integers(0, 10),
)
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
    np.testing.assert_allclose(
        found, [[0, 0, 1, 1], [0.6, 0.6, 1, 1], [0, 0, 0.5, 0.51]], rtol=1e-6
    )
    np.testing.assert_allclose(scores, [1, 0.9, 0.6], rtol=1e-6)
    assert found.dtype == scores.dtype == np.float32


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 60), st.integers(0, 19))
def test_regions_are_at_most_the_proposals_and_the_photo(
    seed: int, count: int, proposals: int
) -> None:
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


# RoIAlign


def plain_roi_align(box: np.ndarray, grid: np.ndarray, samples: int) -> np.ndarray:
    """(4,), (s, s, D) -> (D,): sample point by sample point, four neighbours each."""
    side, total = len(grid), np.zeros(grid.shape[2])
    for j in range(samples):
        for i in range(samples):
            x = box[0] + (box[2] - box[0]) * (i + 0.5) / samples
            y = box[1] + (box[3] - box[1]) * (j + 0.5) / samples
            gx, gy = (min(max(v * side - 0.5, 0), side - 1) for v in (x, y))
            x0, y0 = int(gx), int(gy)
            x1, y1 = min(x0 + 1, side - 1), min(y0 + 1, side - 1)
            fx, fy = gx - x0, gy - y0
            upper = (1 - fx) * grid[y0, x0] + fx * grid[y0, x1]
            lower = (1 - fx) * grid[y1, x0] + fx * grid[y1, x1]
            total += (1 - fy) * upper + fy * lower
    return total / samples**2


def test_roi_weights_by_hand() -> None:
    """Two cells a side, two samples an axis: x at 0.25 and 0.75 are the centres.

    Y at 0.375 lies a quarter down.
    """
    # One point: x = 0.5, y = 0.375
    weights = roi_weights(np.array([[0, 0.25, 1, 0.5]]), side=2, samples=1)
    np.testing.assert_allclose(weights, [[0.375, 0.375, 0.125, 0.125]])
    weights = roi_weights(np.array([[0, 0, 1, 1]]), side=2, samples=2)
    np.testing.assert_allclose(weights, [[0.25, 0.25, 0.25, 0.25]])


def test_points_beyond_the_outermost_centres_read_the_edge() -> None:
    corner = roi_weights(
        np.array([[0.97, 0.97, 1, 1], [0, 0, 0.03, 0.03], [-0.5, -0.5, -0.2, -0.2]]), side=4
    )
    assert corner[0].argmax() == 15
    np.testing.assert_allclose(corner.max(axis=1), 1, rtol=1e-6)
    assert corner[1].argmax() == corner[2].argmax() == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 7), st.integers(1, 5))
def test_roi_align_is_the_plain_sampler(seed: int, side: int, samples: int) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-0.1, 1.1, size=(3, 2, 2))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    grid = rng.normal(size=(side, side, 3))
    found = roi_align(boxes, grid.reshape(side * side, 3), samples)
    np.testing.assert_allclose(
        found, [plain_roi_align(box, grid, samples) for box in boxes], atol=1e-5
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 20), st.integers(1, 20))
def test_rows_of_roi_weights_are_weights(seed: int, side: int, samples: int) -> None:
    boxes = np.random.default_rng(seed).uniform(-1, 2, size=(5, 4))  # edges may even be swapped
    weights = roi_weights(boxes, side, samples)
    assert weights.shape == (5, side * side)
    assert weights.dtype == np.float32
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)


def test_whole_photo_with_as_many_samples_as_cells_is_the_mean() -> None:
    np.testing.assert_allclose(
        roi_weights(np.array([[0, 0, 1, 1]]), side=14), np.full((1, 196), 1 / 196), rtol=1e-5
    )


def test_roi_align_agrees_with_grid_sample() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    grid = rng.normal(size=(9, 9, 4)).astype(np.float32)
    box, samples = np.array([0.13, 0.02, 0.91, 0.55], np.float32), 14
    steps = (np.arange(samples) + 0.5) / samples
    x, y = box[0] + (box[2] - box[0]) * steps, box[1] + (box[3] - box[1]) * steps
    points = np.stack(np.meshgrid(x, y, indexing="xy"), axis=2)[None].astype(np.float32) * 2 - 1
    sampled = torch.nn.functional.grid_sample(
        torch.from_numpy(grid).permute(2, 0, 1)[None],
        torch.from_numpy(points),
        padding_mode="border",
        align_corners=False,
    )
    expected = sampled.mean(dim=(2, 3)).numpy()
    np.testing.assert_allclose(
        roi_align(box[None], grid.reshape(81, 4), samples), expected, atol=1e-5
    )


def test_roi_weights_of_no_box() -> None:
    assert roi_weights(np.zeros((0, 4)), side=3).shape == (0, 9)


@pytest.mark.parametrize(
    ("boxes", "side", "samples", "message"),
    [
        (np.zeros(4), 3, 2, r"expected \(M, 4\)"),
        (np.zeros((2, 5)), 3, 2, r"expected \(M, 4\)"),
        (np.full((1, 4), np.nan), 3, 2, "not finite"),
        (np.zeros((1, 4)), 0, 2, "at least 1, found 0 and 2"),
        (np.zeros((1, 4)), 3, 0, "at least 1, found 3 and 0"),
    ],
)
def test_senseless_arguments_of_roi_weights(
    boxes: np.ndarray, side: int, samples: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        roi_weights(boxes, side, samples)


def test_a_map_is_square() -> None:
    with pytest.raises(ValueError, match="square number of cells, found 6"):
        roi_align(np.zeros((1, 4)), np.zeros((6, 2)))
