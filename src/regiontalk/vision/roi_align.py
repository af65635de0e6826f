"""RoIAlign, averaged over its bins, as a matrix: a region's features are a weighted mean of the map's cells.

RoIAlign samples the feature map at a grid of points inside the box, each point by bilinear interpolation between the
four nearest cell centres, and here averages all samples. Bilinear weights are products of one weight for y and one for
x, so the average factors too: two (M, s) matrices say everything, and RoIAlign becomes one matrix product.

Axis names: M boxes, n samples on each axis, s cells on each side of the map, C = s * s cells, D dimensions.
"""

from __future__ import annotations

import numpy as np


def roi_weights(boxes: np.ndarray, side: int, samples: int = 14) -> np.ndarray:
    """How much each cell of the map counts in each box.

    The sample points are the centres of `samples` equal bins on each axis of the box. The centre of cell c lies at
    (c + 0.5) / side of the photo; a point beyond the outermost centres is moved onto them, so that a box at the edge
    reads the edge's cells and not zeros.

    Args:
        boxes: (M, 4) xyxy in 0..1 of the photo. A box without area is read at its one line or point.
        side: s, the cells on each side of the map.
        samples: n, points on each axis.

    Returns:
        (M, s * s) float32, cells row-major (y, then x); no weight is negative and every row sums to 1.

    Raises:
        ValueError: if `boxes` is not (M, 4), holds a value that is not finite, or `side` or `samples` is below 1.

    Example:
        >>> roi_weights(np.array([[0, 0, 0.5, 0.5]]), side=2, samples=1).tolist()  # one point, on the first centre
        [[1.0, 0.0, 0.0, 0.0]]
    """
    boxes = np.asarray(boxes, np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes has shape {boxes.shape}, expected (M, 4)")
    if not np.isfinite(boxes).all():
        raise ValueError("boxes holds a value that is not finite")
    if side < 1 or samples < 1:
        raise ValueError(f"side and samples must be at least 1, found {side} and {samples}")
    weights_x = _axis_weights(boxes[:, 0], boxes[:, 2], side, samples)  # (M, s)
    weights_y = _axis_weights(boxes[:, 1], boxes[:, 3], side, samples)  # (M, s)
    weights: np.ndarray = weights_y[:, :, None] * weights_x[:, None, :]  # (M, s, s)
    return weights.reshape(len(boxes), side * side).astype(np.float32)


def roi_align(boxes: np.ndarray, feature_map: np.ndarray, samples: int = 14) -> np.ndarray:
    """The features of each box of one photo: CNN(I_b) of Eq. 1, read from the shared map.

    Args:
        boxes: (M, 4) xyxy in 0..1 of the photo.
        feature_map: (C, D) float32, C = s * s cells row-major.
        samples: n, points on each axis.

    Returns:
        (M, D) float32.

    Raises:
        ValueError: if C is not a square number, or as `roi_weights`.
    """
    side = round(len(feature_map) ** 0.5)
    if side * side != len(feature_map):
        raise ValueError(f"a map has a square number of cells, found {len(feature_map)}")
    features: np.ndarray = roi_weights(boxes, side, samples) @ feature_map
    return features


def _axis_weights(low: np.ndarray, high: np.ndarray, side: int, samples: int) -> np.ndarray:
    """Mean bilinear weights of one axis: (M,) edges -> (M, s) float64, rows sum to 1."""
    centres = (np.arange(samples) + 0.5) / samples  # (n,) of the box, in 0..1
    points = low[:, None] + (high - low)[:, None] * centres  # (M, n) of the photo, in 0..1
    cells = np.clip(points * side - 0.5, 0, side - 1)  # (M, n) in cells: a whole number is a cell's centre
    distance = np.abs(cells[:, :, None] - np.arange(side))  # (M, n, s)
    weights: np.ndarray = np.maximum(0.0, 1.0 - distance).mean(axis=1)
    return weights
