"""Object metrics of captions: hallucination (CHAIR), main object named, and recall.

- *CHAIRi*: of the objects that captions name, the share that is not on the photo; *CHAIRs*: the
  share of captions that name at least one such object (Rohrbach et al. 2018, "Object Hallucination
  in Image Captioning"). An object is a class, and a caption names each class once, however often it
  says its words. Captions with no class word count in CHAIRs.
- *main thing named*: the share of photos whose main object is named.
- *recall*: of the classes that photos show, the share that is named.

An ambiguous word, which means a class among other things ("plant"), names it where it is shown, for
the last two; it can neither be right nor wrong in CHAIR. All captions have the same weight in
CHAIR; in the last two the captions of one photo share its weight.

Axis names: N photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from regiontalk.evaluation.results import draws, interval

NAMES = ("chair_i", "chair_s", "main_named", "recall")
"""The scores; lower is better for the first two."""


@dataclass(frozen=True)
class Named:
    """The classes that a caption names.

    Attributes:
        sure: by unambiguous words.
        unsure: only by ambiguous words.
    """

    sure: frozenset[str]
    unsure: frozenset[str] = frozenset()


@dataclass(frozen=True)
class NamedPhoto:
    """The classes on a photo, and those that its captions name.

    Attributes:
        shown: the classes on it.
        main: the class of its main object; None if there is no object.
        captions: at least one.

    Raises:
        ValueError: if there is no caption, or `main` is not in `shown`.
    """

    shown: frozenset[str]
    main: str | None
    captions: tuple[Named, ...]

    def __post_init__(self) -> None:
        if not self.captions:
            raise ValueError("a photo has no caption")
        if self.main is not None and self.main not in self.shown:
            raise ValueError(f"the main thing {self.main!r} is not among what the photo shows")


@dataclass(frozen=True)
class ObjectScores:
    """Scores of captions, in percent.

    Attributes:
        chair_i: None if no caption names an object for sure.
        chair_s: of all captions.
        main_named: None if no photo has a main object.
        recall: None if no photo shows an object.
        photos, captions: how many.
        mentions: classes that captions name for sure, each once a caption: the denominator of
            `chair_i`.
        wrong: those of them that are not on the photo: its numerator.
    """

    chair_i: float | None
    chair_s: float
    main_named: float | None
    recall: float | None
    photos: int
    captions: int
    mentions: int
    wrong: int

    def to_json(self) -> dict[str, Any]:
        """The scores by name, without those that are None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class ClassScores:
    """A class in the photos and in the captions.

    Attributes:
        photos: that show it.
        named: percent of these whose captions name it; None if there is no such photo.
        mentions: captions that name it for sure.
        wrong: those of them whose photo does not show it.
    """

    photos: int
    named: float | None
    mentions: int
    wrong: int

    def to_json(self) -> dict[str, Any]:
        """The scores by name, `named` only if there is a photo."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def object_scores(photos: Sequence[NamedPhoto]) -> ObjectScores:
    """CHAIRi, CHAIRs, the share of main objects named, and recall.

    Args:
        photos: at least one.

    Raises:
        ValueError: if there is none.

    >>> both = Named(frozenset({"dog", "frisbee"})), Named(frozenset({"dog"}))
    >>> scores = object_scores([NamedPhoto(frozenset({"dog", "person"}), "dog", both)])
    >>> round(scores.chair_i, 1), scores.chair_s, scores.main_named, scores.recall
    (33.3, 50.0, 100.0, 50.0)
    """
    total = _counts(photos).sum(axis=0)
    chair_i, chair_s, main_named, recall = _shares(total)
    return ObjectScores(
        chair_i=_number(chair_i),
        chair_s=float(chair_s),
        main_named=_number(main_named),
        recall=_number(recall),
        photos=len(photos),
        captions=int(total[_CAPTIONS]),
        mentions=int(total[_MENTIONS]),
        wrong=int(total[_WRONG]),
    )


def object_intervals(
    photos: Sequence[NamedPhoto], samples: int, seed: int = 0
) -> dict[str, list[float]]:
    """Bootstrap intervals of the scores over photos, see `regiontalk.evaluation.results`.

    Args:
        photos: at least one; the captions of one are drawn together.
        samples, seed: of the bootstrap.

    Returns:
        `[low, high]` for each of `NAMES` that every sample has.

    Raises:
        ValueError: if there is no photo, or `samples` is below 1.
    """
    counts = _counts(photos)
    drawn = np.stack(
        [_shares(weights @ counts) for weights in draws(np.arange(len(photos)), samples, seed)]
    )
    return {
        name: interval(values)
        for name, values in zip(NAMES, drawn.T, strict=True)
        if not np.isnan(values).any()
    }


def class_scores(photos: Sequence[NamedPhoto]) -> dict[str, ClassScores]:
    """Scores of each class that a photo shows or a caption names for sure, sorted by name."""
    shown: dict[str, list[float]] = {}
    mentions: dict[str, list[bool]] = {}
    for photo in photos:
        for label in photo.shown:
            shown.setdefault(label, []).append(_share_naming(photo, label))
        for caption in photo.captions:
            for label in caption.sure:
                mentions.setdefault(label, []).append(label not in photo.shown)
    return {
        label: ClassScores(
            len(shown.get(label, ())),
            100 * float(np.mean(shown[label])) if label in shown else None,
            len(mentions.get(label, ())),
            sum(mentions.get(label, ())),
        )
        for label in sorted(shown.keys() | mentions.keys())
    }


_WRONG, _MENTIONS, _WRONG_CAPTIONS, _CAPTIONS, _MAIN_NAMED, _MAIN, _FOUND, _SHOWN = range(8)
"""Columns of counts: a numerator and its denominator for each score, in the order of `NAMES`."""


def _counts(photos: Sequence[NamedPhoto]) -> np.ndarray:
    """Counts of each photo, (N, 8); a ValueError if there is none."""
    if not photos:
        raise ValueError("there is no photo")
    counts = np.zeros((len(photos), 8))
    for row, photo in zip(counts, photos, strict=True):
        wrong = [len(caption.sure - photo.shown) for caption in photo.captions]
        row[_WRONG], row[_MENTIONS] = (
            sum(wrong),
            sum(len(caption.sure) for caption in photo.captions),
        )
        row[_WRONG_CAPTIONS], row[_CAPTIONS] = np.count_nonzero(wrong), len(photo.captions)
        if photo.main is not None:
            row[_MAIN_NAMED], row[_MAIN] = _share_naming(photo, photo.main), 1
        row[_FOUND] = sum(_share_naming(photo, label) for label in sorted(photo.shown))
        row[_SHOWN] = len(photo.shown)
    return counts


def _share_naming(photo: NamedPhoto, label: str) -> float:
    """The share of a photo's captions that name a class on it."""
    return sum(label in each.sure or label in each.unsure for each in photo.captions) / len(
        photo.captions
    )


def _shares(counts: np.ndarray) -> np.ndarray:
    """The scores (4,) in percent, of summed counts (8,); NaN where the denominator is 0."""
    parts, wholes = counts[0::2], counts[1::2]
    shares: np.ndarray = np.where(wholes > 0, 100 * parts / np.maximum(wholes, 1), np.nan)
    return shares


def _number(share: float) -> float | None:
    return None if np.isnan(share) else float(share)
