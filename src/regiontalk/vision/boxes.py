"""Boxes: IoU, non-maximum suppression, region selection, and RoIAlign.

Boxes are xyxy: left, top, right, bottom. Axis names: N, K, M boxes, n samples on each axis of a
box, s cells on each side of the feature map, C = s * s cells, D dimensions.
"""

from __future__ import annotations

import numpy as np

from regiontalk.structures import WHOLE_PHOTO, Regions

WHOLE = np.array([0, 0, 1, 1], np.float32)
"""The whole photo, in 0..1."""
DISTINCT_IOU = 0.4
"""NMS threshold of the regions to caption."""
DISTINCT_SHARE = 0.25
"""Least objectness of the regions to caption, relative to the photo's highest."""


def area(boxes: np.ndarray) -> np.ndarray:
    """Areas of (N, 4) boxes -> (N,); 0 for boxes with swapped edges."""
    sides: np.ndarray = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)  # (N, 2)
    areas: np.ndarray = sides.prod(axis=1)
    return areas


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of every box of `a` with every box of `b`.

    Args:
        a: (N, 4) in any unit.
        b: (M, 4) in the same unit.

    Returns:
        (N, M) in 0..1; 0 where neither box has an area.

    Example:
        >>> box = np.array([[0.0, 0.0, 2.0, 2.0]])
        >>> iou(box, np.array([[1.0, 0.0, 3.0, 2.0], *box])).round(3)
        array([[0.333, 1.   ]])
    """
    low = np.maximum(a[:, None, :2], b[None, :, :2])  # (N, M, 2)
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    union = area(a)[:, None] + area(b)[None, :] - shared
    overlap: np.ndarray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap


def nms(
    boxes: np.ndarray, scores: np.ndarray, threshold: float, limit: int | None = None
) -> np.ndarray:
    """Greedy non-maximum suppression: keep the best box, drop those that overlap it, repeat.

    Args:
        boxes: (K, 4) in any unit.
        scores: (K,) higher is better; ties go to the first.
        threshold: a box is dropped if its IoU with a kept one is above this, in 0..1.
        limit: the most boxes to keep; None for all.

    Returns:
        (M,) int64 indices of the kept boxes, best first.
    """
    waiting = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(waiting) and (limit is None or len(kept) < limit):
        best, waiting = waiting[0], waiting[1:]
        kept.append(int(best))
        overlap = iou(boxes[best : best + 1], boxes[waiting])[0]
        waiting = waiting[overlap <= threshold]
    return np.array(kept, np.int64)


def pick_regions(
    boxes: np.ndarray,
    objectness: np.ndarray,
    proposals: int = 19,
    nms_iou: float = 0.6,
    min_objectness: float = 0.05,
) -> tuple[np.ndarray, np.ndarray]:
    """A photo's regions: the whole photo, then its top boxes after NMS.

    The paper, section 3.1.1, takes the top 19 and the photo.

    Args:
        boxes: (K, 4) xyxy in 0..1 of the photo, clipped to it; boxes without area are dropped.
        objectness: (K,) in 0..1.
        proposals: the most boxes to keep beside the whole photo.
        nms_iou: threshold of `nms`.
        min_objectness: boxes below are dropped.

    Returns:
        (M, 4) float32 boxes in 0..1 and (M,) float32 scores, 1 <= M <= proposals + 1. Row 0 is the
        whole photo with score 1; the others follow, best first.
    """
    boxes = np.clip(boxes, 0, 1).astype(np.float32)
    fit = np.flatnonzero((objectness >= min_objectness) & (area(boxes) > 0))
    kept = fit[nms(boxes[fit], objectness[fit], nms_iou, proposals)]
    scores = np.concatenate([[1.0], np.clip(objectness[kept], 0, 1)])
    return np.concatenate([WHOLE[None], boxes[kept]]), scores.astype(np.float32)


# RoIAlign, averaged over its bins, as a matrix: a region's features are a weighted mean of the
# map's cells.
#
# It samples the feature map at a grid of points inside the box, each point by bilinear
# interpolation between the four nearest cell centres, and here averages all samples. Bilinear
# weights are products of one weight for y and one for x, so the average factors too: all weights
# are the product of two (M, s) matrices, and RoIAlign is one matrix product.


def roi_weights(boxes: np.ndarray, side: int, samples: int = 14) -> np.ndarray:
    """RoIAlign's weight of each cell of the feature map in the average over each box.

    The sample points are the centres of `samples` equal bins on each axis of the box. The centre of
    cell c lies at (c + 0.5) / side of the photo; points beyond the outermost centres are clamped to
    them, so that a box at the edge reads the edge's cells and not zeros.

    Args:
        boxes: (M, 4) xyxy in 0..1 of the photo. One without area is sampled at its line or point.
        side: s, the cells on each side of the map.
        samples: n, points on each axis.

    Returns:
        (M, s * s) float32, cells row-major (y, then x); no weight is negative and every row sums to
        1.

    Raises:
        ValueError: if `boxes` is not (M, 4), holds a value that is not finite, or `side` or
            `samples` is below 1.

    Example:
        >>> box = np.array([[0, 0, 0.5, 0.5]])
        >>> roi_weights(box, side=2, samples=1).tolist()  # one point, on the first centre
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
    """RoIAlign, averaged over bins: CNN(I_b) of Eq. 1 for each box of one photo.

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
    # cells: (M, n) in cells: a whole number is a cell's centre
    cells = np.clip(points * side - 0.5, 0, side - 1)
    distance = np.abs(cells[:, :, None] - np.arange(side))  # (M, n, s)
    weights: np.ndarray = np.maximum(0.0, 1.0 - distance).mean(axis=1)
    return weights


def distinct(regions: Regions) -> Regions:
    """Regions to caption: those above a score threshold, deduplicated by IoU.

    Retrieval gains from overlapping regions of one object; their captions would be redundant.
    """
    main = regions.main
    return main.select(distinct_rows(main.boxes_xyxy, main.scores))


def distinct_rows(boxes_xyxy: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Rows of `distinct`, for boxes (M, 4) and scores (M,), the whole photo first.  # (K,)"""
    own = scores[1:]
    kept = nms(boxes_xyxy[1:], own, DISTINCT_IOU)
    sure = kept[own[kept] >= DISTINCT_SHARE * own.max(initial=0.0)]
    return np.concatenate([[WHOLE_PHOTO], sure + 1])
