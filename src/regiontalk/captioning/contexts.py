"""What a captioner sees: the features of a whole photo, and for one that attends to regions these as well.

Axis names: N captions to be written, X context dimensions, D dimensions of the visual features, M regions,
R = D + 6 dimensions of a region as the attention reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regiontalk.alignment.score import pad
from regiontalk.structures import WHOLE_PHOTO, Regions

GEOMETRY = 6
"""Numbers of a region beside its features: x1, y1, x2, y2 and the area in 0..1 of the photo, and how sure it is."""


@dataclass(frozen=True, eq=False)
class Contexts:
    """What is seen when each of N captions is written.

    Attributes:
        whole: (N, X) float32, what sets the recurrence's first state: a photo's features D; for captions of regions
            the region's own features come first, 2 D in all.
        regions: (N, M, R) float32, zeros after each photo's own; M = 0 for a captioner without attention.
        counts: (N,) int64, regions of each.
    """

    whole: np.ndarray
    regions: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.whole)

    @property
    def there(self) -> np.ndarray:
        """Which rows of `regions` are regions.  # (N, M) bool"""
        found: np.ndarray = np.arange(self.regions.shape[1]) < self.counts[:, None]
        return found

    def __getitem__(self, rows: slice | np.ndarray) -> Contexts:
        return Contexts(self.whole[rows], self.regions[rows], self.counts[rows])


def without_regions(whole: np.ndarray) -> Contexts:
    """Contexts (N, X) of a captioner that sees nothing else."""
    return Contexts(whole, np.zeros((len(whole), 0, 0), np.float32), np.zeros(len(whole), np.int64))


def photo_contexts(photos: Sequence[Regions], attention: bool) -> Contexts:
    """Photos as the photo captioner sees them.

    Args:
        photos: N, each with the regions that it attends to.
        attention: whether it does.
    """
    whole = np.stack([each.features[WHOLE_PHOTO] for each in photos])
    if not attention:
        return without_regions(whole)
    rows = [region_inputs(each.features, unit_boxes(each), each.scores) for each in photos]
    return Contexts(whole, *pad(rows))


def region_contexts(photos: Sequence[Regions]) -> Contexts:
    """Every region of some photos but the whole as the region captioner sees it: its features, then the photo's."""
    rows = []
    for each in photos:
        own = np.delete(each.features, WHOLE_PHOTO, axis=0)  # (M - 1, D)
        rows.append(np.concatenate([own, np.broadcast_to(each.features[WHOLE_PHOTO], own.shape)], axis=1))
    return without_regions(np.concatenate(rows))


def region_inputs(features: np.ndarray, boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Regions as the attention reads them.  # (..., R)

    Args:
        features: (..., D).
        boxes: (..., 4) xyxy in 0..1 of the photo's sides.
        scores: (...,) in 0..1.
    """
    area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return np.concatenate([features, boxes, area[..., None], scores[..., None]], axis=-1, dtype=np.float32)


def unit_boxes(regions: Regions) -> np.ndarray:
    """A photo's boxes in 0..1 of its sides.  # (M, 4) float32"""
    sides = np.array([regions.width, regions.height] * 2, np.float32)
    boxes: np.ndarray = regions.boxes_xyxy / sides
    return boxes
