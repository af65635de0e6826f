"""RoIAlign's weights against hand-worked values and a plain bilinear sampler."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regiontalk.vision.roi_align import roi_align, roi_weights


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


def test_by_hand() -> None:
    """Two cells a side, two samples an axis: x at 0.25 and 0.75 are the centres; y at 0.375 lies a quarter down."""
    weights = roi_weights(np.array([[0, 0.25, 1, 0.5]]), side=2, samples=1)  # one point: x = 0.5, y = 0.375
    np.testing.assert_allclose(weights, [[0.375, 0.375, 0.125, 0.125]])
    weights = roi_weights(np.array([[0, 0, 1, 1]]), side=2, samples=2)
    np.testing.assert_allclose(weights, [[0.25, 0.25, 0.25, 0.25]])


def test_points_beyond_the_outermost_centres_read_the_edge() -> None:
    corner = roi_weights(np.array([[0.97, 0.97, 1, 1], [0, 0, 0.03, 0.03], [-0.5, -0.5, -0.2, -0.2]]), side=4)
    assert corner[0].argmax() == 15
    np.testing.assert_allclose(corner.max(axis=1), 1, rtol=1e-6)
    assert corner[1].argmax() == corner[2].argmax() == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 7), st.integers(1, 5))
def test_is_the_plain_sampler(seed: int, side: int, samples: int) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-0.1, 1.1, size=(3, 2, 2))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    grid = rng.normal(size=(side, side, 3))
    found = roi_align(boxes, grid.reshape(side * side, 3), samples)
    np.testing.assert_allclose(found, [plain_roi_align(box, grid, samples) for box in boxes], atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 20), st.integers(1, 20))
def test_rows_are_weights(seed: int, side: int, samples: int) -> None:
    boxes = np.random.default_rng(seed).uniform(-1, 2, size=(5, 4))  # edges may even be swapped
    weights = roi_weights(boxes, side, samples)
    assert weights.shape == (5, side * side)
    assert weights.dtype == np.float32
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)


def test_whole_photo_with_as_many_samples_as_cells_is_the_mean() -> None:
    np.testing.assert_allclose(roi_weights(np.array([[0, 0, 1, 1]]), side=14), np.full((1, 196), 1 / 196), rtol=1e-5)


def test_agrees_with_grid_sample() -> None:
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
    np.testing.assert_allclose(roi_align(box[None], grid.reshape(81, 4), samples), expected, atol=1e-5)


def test_no_box() -> None:
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
def test_senseless_arguments(boxes: np.ndarray, side: int, samples: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        roi_weights(boxes, side, samples)


def test_a_map_is_square() -> None:
    with pytest.raises(ValueError, match="square number of cells, found 6"):
        roi_align(np.zeros((1, 4)), np.zeros((6, 2)))
