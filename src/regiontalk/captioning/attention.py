"""Visual inputs of captioners, and multi-head attention over regions (Vaswani et al., 2017).

The recurrence's state h is the query; after each step it attends to the regions r_1 ... r_M:

    a = softmax_i(h W_qh · r_i W_kr / sqrt(A / heads))
    e = tanh(h W_sh + Σ_i a_i (r_i W_vr) W_sa + b_s)

The logits are W_w e + b_o: input and output share one table of word vectors (weight tying).

Row-vector convention, x @ W + b. Axis names: N captions, n hypotheses of them, X context
dimensions, D dimensions of the visual features, M regions, R = D + 6 dimensions of a region's
input, H hidden dimensions, A dimensions of all heads together, d word-vector dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from regiontalk.alignment.score import pad
from regiontalk.recurrence import Weights
from regiontalk.settings import HEADS
from regiontalk.structures import WHOLE_PHOTO, Regions

GEOMETRY = 6
"""Inputs of a region beside its features: x1, y1, x2, y2 and the area in 0..1 of the photo, and its
score."""


@dataclass(frozen=True, eq=False)
class Contexts:
    """Visual input of N captions.

    Attributes:
        whole: (N, X) float32, initialises the recurrence: a photo's features, X = D; for captions
            of regions the region's features, then the photo's, X = 2 D.
        regions: (N, M, R) float32, zero-padded; M = 0 for a captioner without attention.
        counts: (N,) int64, regions of each.
    """

    whole: np.ndarray
    regions: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.whole)

    @property
    def there(self) -> np.ndarray:
        """Mask of `regions`, False for padding.  # (N, M) bool"""
        found: np.ndarray = np.arange(self.regions.shape[1]) < self.counts[:, None]
        return found

    def __getitem__(self, rows: slice | np.ndarray) -> Contexts:
        return Contexts(self.whole[rows], self.regions[rows], self.counts[rows])


def without_regions(whole: np.ndarray) -> Contexts:
    """Contexts (N, X) of a captioner without attention."""
    return Contexts(whole, np.zeros((len(whole), 0, 0), np.float32), np.zeros(len(whole), np.int64))


def photo_contexts(photos: Sequence[Regions], attention: bool) -> Contexts:
    """Contexts of the photo captioner.

    Args:
        photos: N, each with the regions that it attends to.
        attention: whether the captioner attends to regions.
    """
    whole = np.stack([each.features[WHOLE_PHOTO] for each in photos])
    if not attention:
        return without_regions(whole)
    rows = [region_inputs(each.features, unit_boxes(each), each.scores) for each in photos]
    return Contexts(whole, *pad(rows))


def region_contexts(photos: Sequence[Regions]) -> Contexts:
    """Contexts of the region captioner, one for every region but the whole photo; X = 2 D."""
    rows = []
    for each in photos:
        own = np.delete(each.features, WHOLE_PHOTO, axis=0)  # (M - 1, D)
        rows.append(
            np.concatenate([own, np.broadcast_to(each.features[WHOLE_PHOTO], own.shape)], axis=1)
        )
    return without_regions(np.concatenate(rows))


def region_inputs(features: np.ndarray, boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Regions' inputs to attention: features, box, area, score.  # (..., R)

    Args:
        features: (..., D).
        boxes: (..., 4) xyxy in 0..1 of the photo's sides.
        scores: (...,) in 0..1.
    """
    area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return np.concatenate(
        [features, boxes, area[..., None], scores[..., None]], axis=-1, dtype=np.float32
    )


def unit_boxes(regions: Regions) -> np.ndarray:
    """Boxes in 0..1 of the photo's width and height.  # (M, 4) float32"""
    sides = np.array([regions.width, regions.height] * 2, np.float32)
    boxes: np.ndarray = regions.boxes_xyxy / sides
    return boxes


@dataclass(frozen=True, eq=False)
class View:
    """Attention keys and values, projected once for each caption and shared by its hypotheses.

    Indexed as the arrays of the beam's state are; only `row` is gathered.

    Attributes:
        keys, values: (N, heads, M, A / heads).
        hidden: (N, 1, M), additive mask: -inf for padding, else 0.
        row: (n,) int64, the caption, of N, that each hypothesis belongs to.
    """

    keys: np.ndarray
    values: np.ndarray
    hidden: np.ndarray
    row: np.ndarray

    def __getitem__(self, picked: np.ndarray) -> View:
        return replace(self, row=self.row[picked])


def view_of(contexts: Contexts, weights: Weights) -> View:
    """Attention keys and values of the regions of N contexts.

    Args:
        contexts: N, with regions.
        weights: `W_kr`, `W_vr` (R, A).
    """
    rows, regions, _ = contexts.regions.shape

    def in_heads(matrix: np.ndarray) -> np.ndarray:
        projected = contexts.regions @ matrix  # (N, M, A)
        return np.ascontiguousarray(
            projected.reshape(rows, regions, HEADS, matrix.shape[1] // HEADS).swapaxes(1, 2)
        )

    hidden = np.where(contexts.there, np.float32(0), np.float32(-np.inf))[:, None]
    return View(in_heads(weights["W_kr"]), in_heads(weights["W_vr"]), hidden, np.arange(rows))


def attend(h: np.ndarray, view: View, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """One step of multi-head attention for n hypotheses.

    Args:
        h: (n, H), the recurrence's states.
        view: of the same hypotheses.
        weights: `W_qh` (H, A), `W_sh` (H, d), `W_sa` (A, d), `b_s` (d,).

    Returns:
        e (n, d), and the attention weights (n, heads, M), each row of them a distribution.
    """
    count, (_, heads, _, width) = len(h), view.keys.shape
    # Keys were projected once a photo, in `view_of`; only the query changes from step to step.
    queries = (h @ weights["W_qh"]).reshape(count, heads, width, 1) * np.float32(width**-0.5)
    scores = (view.keys[view.row] @ queries)[..., 0] + view.hidden[view.row]  # (n, heads, M)
    scores -= scores.max(axis=-1, keepdims=True)  # so that exp cannot overflow
    looks = np.exp(scores)
    looks /= looks.sum(axis=-1, keepdims=True)
    attended = (looks[:, :, None] @ view.values[view.row]).reshape(count, heads * width)  # (n, A)
    return np.tanh(h @ weights["W_sh"] + attended @ weights["W_sa"] + weights["b_s"]), looks


def attention_shapes(
    region: int, hidden: int, embedding: int, attention: int
) -> dict[str, tuple[int, ...]]:
    """The tensors that attention adds to a captioner, in place of `W_oh`.

    Args:
        region: R; hidden: H; embedding: d; attention: A.
    """
    return {
        "W_kr": (region, attention),
        "W_vr": (region, attention),
        "W_qh": (hidden, attention),
        "W_sh": (hidden, embedding),
        "W_sa": (attention, embedding),
        "b_s": (embedding,),
    }
