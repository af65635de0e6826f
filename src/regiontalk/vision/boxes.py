"""Boxes: overlap, non-maximum suppression, and the choice of a photo's regions.

Boxes are xyxy: left, top, right, bottom. Axis names: N, K, M boxes.
"""

from __future__ import annotations

import numpy as np

WHOLE = np.array([0, 0, 1, 1], np.float32)
"""The whole photo, in 0..1."""


def area(boxes: np.ndarray) -> np.ndarray:
    """Areas of (N, 4) boxes -> (N,); a box whose edges are swapped has none."""
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
        >>> iou(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 3.0, 2.0], [0.0, 0.0, 2.0, 2.0]])).round(3)
        array([[0.333, 1.   ]])
    """
    low = np.maximum(a[:, None, :2], b[None, :, :2])  # (N, M, 2)
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    union = area(a)[:, None] + area(b)[None, :] - shared
    overlap: np.ndarray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap


def nms(boxes: np.ndarray, scores: np.ndarray, threshold: float, limit: int | None = None) -> np.ndarray:
    """Greedy non-maximum suppression: take the best box, drop those that overlap it, go on.

    Args:
        boxes: (K, 4) in any unit.
        scores: (K,) higher is better; of equal ones the first wins.
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
    """A photo's regions: the whole photo, then its best boxes (the paper, section 3.1.1: the top 19 and the photo).

    Args:
        boxes: (K, 4) xyxy in 0..1 of the photo; what lies outside is cut off, boxes without area are left out.
        objectness: (K,) in 0..1.
        proposals: the most boxes to keep beside the whole photo.
        nms_iou: threshold of `nms`.
        min_objectness: boxes below are left out.

    Returns:
        (M, 4) float32 boxes in 0..1 and (M,) float32 scores, 1 <= M <= proposals + 1. Row 0 is the whole photo
        with score 1; the others follow, best first.
    """
    boxes = np.clip(boxes, 0, 1).astype(np.float32)
    fit = np.flatnonzero((objectness >= min_objectness) & (area(boxes) > 0))
    kept = fit[nms(boxes[fit], objectness[fit], nms_iou, proposals)]
    scores = np.concatenate([[1.0], np.clip(objectness[kept], 0, 1)])
    return np.concatenate([WHOLE[None], boxes[kept]]), scores.astype(np.float32)
