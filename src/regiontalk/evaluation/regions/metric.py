"""Metrics of captions of regions: class naming, and mean average precision of dense captioning.

Axis names: K described boxes of a photo, B true boxes, R records (described boxes of all photos).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from regiontalk.evaluation.class_words import names_class
from regiontalk.vision.boxes import iou

OVERLAPS = (0.3, 0.4, 0.5, 0.6, 0.7)
SIMILARITIES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25)
MERGE_FROM = 0.7
"""True boxes with at least this IoU are merged into one with all their captions."""

Similarity = Callable[
    [Sequence[Sequence[str]], Sequence[Sequence[Sequence[str]]]], Sequence[float] | np.ndarray
]
"""Candidates' words and for each the words of its references -> similarities in 0..1."""


@dataclass(frozen=True, eq=False)
class Described:
    """One photo's described boxes and the true ones.

    Attributes:
        boxes: (K, 4) xyxy, described by a system.
        confidence: (K,) of the system in each; comparable between photos.
        captions: K captions' words.
        true_boxes: (B, 4) xyxy in the same unit.
        true_captions: for each true box its captions' words, at least one.
    """

    boxes: np.ndarray
    confidence: np.ndarray
    captions: Sequence[Sequence[str]]
    true_boxes: np.ndarray
    true_captions: Sequence[Sequence[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class DenseScores:
    """Mean average precision of described boxes, in percent.

    Attributes:
        map: of boxes with their captions.
        detection_map: of boxes alone.
    """

    map: float
    detection_map: float


@dataclass(frozen=True, slots=True)
class NamedShares:
    """Boxes whose captions name classes, in percent of all boxes, and the captions' words.

    Attributes:
        micro: whose caption names the box's class.
        macro: the same, averaged over classes.
        another: whose caption names another class of the data and not the box's.
        by_class: of the boxes of each class, those whose caption names it.
        distinct_words: how many different words the captions have together.
        mean_words: how many words a caption has.
    """

    micro: float
    macro: float
    another: float
    by_class: Mapping[str, float]
    distinct_words: int
    mean_words: float


def dense_captioning(photos: Sequence[Described], similarity: Similarity) -> DenseScores:
    """Mean average precision of boxes with captions (Johnson et al. 2016, "DenseCap", section 4.3).

    True boxes that overlap by an IoU of 0.7 are merged first (their mean, all their captions). The
    described boxes of a photo are matched in order of confidence, each to the true box of the
    highest IoU, which is taken by the first match. At a threshold of IoU and one of similarity a
    described box is right if it took its true box, overlaps it by at least the first and its
    caption is *more* alike to that box's captions than the second. Average precision is the mean
    over recalls of 0, 0.01 ... 1 of the best precision at that recall or more; it is averaged over
    the 5 x 6 pairs of thresholds.

    This follows the paper and its published program, except that IoU is of continuous edges here,
    while that program adds a pixel to each side.

    Args:
        photos: at least one true box among them.
        similarity: the paper's is METEOR.

    Raises:
        ValueError: if there is no true box, or a photo's parts do not fit together.
    """
    matches = [_match(photo) for photo in photos]
    true_boxes = sum(match.true_boxes for match in matches)
    if not true_boxes:
        raise ValueError("there is no true box")
    confidence = np.concatenate([match.confidence for match in matches])  # (R,)
    order = np.argsort(-confidence, kind="stable")
    overlap = np.concatenate([match.overlap for match in matches])[order]
    first = np.concatenate([match.first for match in matches])[order]
    alike = _similarities(photos, matches, similarity)[order]
    pairs = [
        average_precision(first & (overlap >= least) & (alike > threshold), true_boxes)
        for least in OVERLAPS
        for threshold in SIMILARITIES
    ]
    found = [average_precision(first & (overlap >= least), true_boxes) for least in OVERLAPS]
    return DenseScores(100 * float(np.mean(pairs)), 100 * float(np.mean(found)))


def average_precision(right: np.ndarray, positives: int) -> float:
    """Average precision, interpolated at 101 recalls.

    The mean over recalls of 0, 0.01 ... 1 of the best precision at that recall or more.

    Args:
        right: (R,) bool, whether each answer is right, in order of confidence.
        positives: how many there are to be found, at least 1.

    Returns:
        In 0..1.

    >>> average_precision(np.array([True, False]), 1)
    1.0
    """
    if not len(right):
        return 0.0
    found = np.cumsum(right)
    precision = found / np.arange(1, len(right) + 1)
    # The best precision from each answer on
    best_from = np.maximum.accumulate(precision[::-1])[::-1]
    # recall >= t/100, in whole numbers, so that 0.07 is not 0.07000000000000001
    at = np.searchsorted(100 * found, np.arange(101) * positives, side="left")
    return float(np.where(at < len(right), best_from[np.minimum(at, len(right) - 1)], 0.0).mean())


def merge_boxes(boxes: np.ndarray, least: float = MERGE_FROM) -> list[np.ndarray]:
    """Groups overlapping boxes greedily: repeatedly the box with the most neighbours, with these.

    Args:
        boxes: (B, 4) xyxy, each with an area.
        least: least IoU of neighbours.

    Returns:
        For each group the rows of `boxes` in it; every row is in one group. Ties go to the first
        box.
    """
    near = iou(boxes, boxes) >= least  # (B, B)
    waiting = np.ones(len(boxes), bool)
    groups: list[np.ndarray] = []
    while waiting.any():
        in_reach = near & waiting & waiting[:, None]
        group = np.flatnonzero(in_reach[int(in_reach.sum(axis=1).argmax())])
        groups.append(group)
        waiting[group] = False
    return groups


def named_shares(captions: Sequence[Sequence[str]], labels: Sequence[str]) -> NamedShares:
    """Share of boxes whose caption names the box's class, or a listed synonym.

    And the share whose caption names only another class: a captioner that calls everything a dog
    names every dog, which this share and the average over classes reveal.

    Args:
        captions: the words of each box's caption, at least one box.
        labels: the class of each box.

    Raises:
        ValueError: if there is no box or the lengths differ.

    >>> named_shares([["a", "puppy"], ["a", "man"]], ["dog", "cat"]).micro
    50.0
    """
    if not captions or len(captions) != len(labels):
        raise ValueError(
            f"{len(captions)} captions need as many labels, at least one, found {len(labels)}"
        )
    named = np.array(
        [names_class(words, label) for words, label in zip(captions, labels, strict=True)]
    )
    of, classes = np.array(labels), sorted(set(labels))
    another = [
        not right and any(names_class(words, each) for each in classes)
        for words, right in zip(captions, named, strict=True)
    ]
    by_class = {label: 100 * float(named[of == label].mean()) for label in classes}
    return NamedShares(
        micro=100 * float(named.mean()),
        macro=float(np.mean(list(by_class.values()))),
        another=100 * float(np.mean(another)),
        by_class=by_class,
        distinct_words=len({word for words in captions for word in words}),
        mean_words=float(np.mean([len(words) for words in captions])),
    )


@dataclass(frozen=True, eq=False)
class _Matches:
    """K described boxes matched to true boxes, in order of confidence."""

    rows: np.ndarray  # (K,) of the photo's boxes
    confidence: np.ndarray  # (K,)
    overlap: np.ndarray  # (K,) IoU with the true box it is matched to
    first: np.ndarray  # (K,) bool: first match of that box
    references: list[list[Sequence[str]]]  # of that box; none where nothing overlaps
    true_boxes: int


def _match(photo: Described) -> _Matches:
    if not len(photo.boxes) == len(photo.confidence) == len(photo.captions):
        raise ValueError("boxes, confidence and captions differ in length")
    if len(photo.true_boxes) != len(photo.true_captions) or not all(photo.true_captions):
        raise ValueError("every true box needs a caption")
    groups = merge_boxes(photo.true_boxes)
    merged = np.array([photo.true_boxes[group].mean(axis=0) for group in groups]).reshape(-1, 4)
    texts = [[words for row in group for words in photo.true_captions[row]] for group in groups]
    rows = np.argsort(-photo.confidence, kind="stable")
    overlaps = iou(photo.boxes[rows], merged)  # (K, groups)
    best = overlaps.argmax(axis=1) if groups else np.zeros(len(rows), np.int64)
    overlap = overlaps.max(axis=1, initial=0)
    met = overlap > 0
    first = np.zeros(len(rows), bool)
    # The first match of each true box, as rows are in order of confidence
    _, earliest = np.unique(best[met], return_index=True)
    first[np.flatnonzero(met)[earliest]] = True
    references = [texts[group] if hit else [] for group, hit in zip(best, met, strict=True)]
    return _Matches(rows, photo.confidence[rows], overlap, first, references, len(groups))


def _similarities(
    photos: Sequence[Described], matches: Sequence[_Matches], similarity: Similarity
) -> np.ndarray:
    """(R,) similarity of each described box's caption to its true box's; 0 without one."""
    pairs = [
        (photo.captions[row], texts)
        for photo, match in zip(photos, matches, strict=True)
        for row, texts in zip(match.rows, match.references, strict=True)
    ]
    scored = [index for index, (_, texts) in enumerate(pairs) if texts]
    alike = np.zeros(len(pairs))
    if scored:
        alike[scored] = similarity(
            [pairs[index][0] for index in scored], [pairs[index][1] for index in scored]
        )
    return alike
