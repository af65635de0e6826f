"""Evaluation of the objects that captions name against the photos' boxes, with a signature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

import regiontalk
from regiontalk.data import BoxedDataset, BoxedPhoto
from regiontalk.evaluation.class_words import CLASSES, FILE, ClassNamer, Mention
from regiontalk.evaluation.looking import no_classes
from regiontalk.evaluation.objects.metric import (
    ClassScores,
    Named,
    NamedPhoto,
    ObjectScores,
    class_scores,
    object_intervals,
    object_scores,
)
from regiontalk.evaluation.objects.photo_captions import PhotoCaptions, TracedCaption, traced_scores
from regiontalk.evaluation.results import Reporting, interval_words, printed
from regiontalk.evaluation.signature import boxes_signature, file_sha256, span
from regiontalk.language import tokenise
from regiontalk.vision.boxes import area

ClassList = Literal["data", "voc", "coco"]
CLASS_LISTS: tuple[ClassList, ...] = get_args(ClassList)
"""Classes that count: those that the data's annotators had, as far as it shows, or a list that they
had."""

MOST_WRONG = 20
"""Maximum number of wrong words in a result."""

_HOW = {
    "chair": "Rohrbach et al. 2018; a class counts once a caption; what has no box is not there",
    "main_thing": "the class of the box with the largest area, of several so large the first "
    "in the data",
    "unsure_words": "neither right nor wrong in CHAIR; for main_named and recall they "
    "name what is there",
    "averages": (
        "CHAIR over all captions; main_named and recall over photos, "
        "the captions of one sharing its weight"
    ),
}


@dataclass(frozen=True)
class WrongWords:
    """Words for a class that is not on the photo: the words, the class, in how many captions."""

    words: str
    label: str
    captions: int


@dataclass(frozen=True)
class ObjectResult:
    """Scores of the objects that captions name.

    Attributes:
        captions: their scores.
        human: those of people's captions of the same photos; None without these.
        boxes_or_people: the captions' scores with the classes that a person names for sure added to
            those on the photo, as in the paper; None without people's captions.
        by_class: of `captions`.
        traced: pointing accuracy of words for objects on the photo, see `traced_scores`; None for
            captions of a file.
        wrong_words: of `captions`, the most frequent first.
        interval: with a bootstrap, by the names of the scores above, `[low, high]` of each of
            `objects.NAMES`.
        signature: settings and origin of the numbers.
        each: for each caption `{"image", "caption", "named", "wrong", "main", "main_named"}`.
    """

    captions: ObjectScores
    human: ObjectScores | None
    boxes_or_people: ObjectScores | None
    by_class: Mapping[str, ClassScores]
    traced: Mapping[str, Any] | None
    wrong_words: Sequence[WrongWords]
    interval: Mapping[str, Mapping[str, list[float]]]
    signature: Mapping[str, Any]
    each: Sequence[dict[str, Any]] = field(repr=False)

    def rows(self) -> dict[str, ObjectScores]:
        """The available scores, by name."""
        found = {
            "captions": self.captions,
            "boxes_or_people": self.boxes_or_people,
            "human": self.human,
        }
        return {name: scores for name, scores in found.items() if scores is not None}

    def to_json(self) -> dict[str, Any]:
        """As printed: rounded, without missing scores and without `each`."""
        numbers: dict[str, Any] = {name: scores.to_json() for name, scores in self.rows().items()}
        numbers["by_class"] = {label: scores.to_json() for label, scores in self.by_class.items()}
        if self.traced is not None:
            numbers["traced"] = dict(self.traced)
        if self.interval:
            numbers["interval"] = {name: dict(edges) for name, edges in self.interval.items()}
        wrong = [
            {"words": each.words, "class": each.label, "captions": each.captions}
            for each in self.wrong_words
        ]
        return printed(self.signature, **numbers, wrong_words=wrong)


def evaluate_objects(
    dataset: BoxedDataset,
    captions: PhotoCaptions,
    human: PhotoCaptions | None = None,
    classes: ClassList = "data",
    selection: Mapping[str, Any] | None = None,
    reporting: Reporting | None = None,
) -> ObjectResult:
    """Score captions by the objects that they name: those not on the photo, and those that are.

    Args:
        dataset: photos with the names of classes on their boxes; see `with_captions`.
        captions: one or more for each photo.
        human: people's captions of each photo, for comparison.
        classes: those that count. Words for others are neither right nor wrong, and their boxes are
            ignored.
        selection: how the photos were chosen, for the signature.
        reporting: the bootstrap.

    Raises:
        DataError: if the boxes have no classes.
        KeyError: if a photo has no caption.
    """
    if dataset.kind != "labels" or not dataset.classes:
        raise no_classes(dataset)
    reporting = reporting or Reporting()
    namer = ClassNamer(_labels(dataset, classes))
    mine = [_Read.of(photo, captions.captions[photo.name], namer) for photo in dataset.photos]
    measured = {"captions": [read.scored() for read in mine]}
    if human is not None:
        theirs = [_Read.of(photo, human.captions[photo.name], namer) for photo in dataset.photos]
        pairs = zip(mine, theirs, strict=True)
        measured["boxes_or_people"] = [
            read.scored(also=people.named_for_sure()) for read, people in pairs
        ]
        measured["human"] = [read.scored() for read in theirs]
    scores = {name: object_scores(photos) for name, photos in measured.items()}
    intervals = {
        name: object_intervals(photos, reporting.samples, reporting.seed)
        for name, photos in measured.items()
        if reporting.samples
    }
    return ObjectResult(
        captions=scores["captions"],
        human=scores.get("human"),
        boxes_or_people=scores.get("boxes_or_people"),
        by_class=class_scores(measured["captions"]),
        traced=_traced(mine, captions.traced, namer) if captions.traced else None,
        wrong_words=_wrong_words(mine),
        interval=intervals,
        signature={
            "regiontalk": regiontalk.__version__,
            **captions.signature,
            **boxes_signature(dataset, selection or {}),
            "captions_per_photo": span([len(read.texts) for read in mine]),
            **_of_people(human),
            **_how(namer, classes, reporting),
        },
        each=[row for read in mine for row in read.rows()],
    )


def named(mentions: Iterable[Mention], shown: frozenset[str]) -> Named:
    """The classes that a caption names, on a photo that shows these."""
    found = [(each.label(shown), each.sure) for each in mentions]
    sure = frozenset(label for label, certain in found if certain)
    return Named(sure, frozenset(label for label, _ in found) - sure)


def main_thing(photo: BoxedPhoto, namer: ClassNamer) -> str | None:
    """Class of the main object: that of the largest box by area, the first of equal ones.

    Boxes of classes that do not count are ignored.

    Returns:
        None if there is no box.
    """
    sizes = area(photo.boxes_xyxy)
    counted = [
        (row, label)
        for row, (text, *_) in enumerate(photo.texts)
        if (label := namer.counted(text)) is not None
    ]
    return max(counted, key=lambda each: sizes[each[0]])[1] if counted else None


@dataclass(frozen=True, eq=False)
class _Read:
    """A photo with its classes, and its captions with the classes that they mention."""

    photo: BoxedPhoto
    shown: frozenset[str]
    main: str | None
    texts: Sequence[str]
    words: list[list[str]]
    mentions: list[list[Mention]]

    @classmethod
    def of(cls, photo: BoxedPhoto, texts: Sequence[str], namer: ClassNamer) -> _Read:
        shown = frozenset(
            label for text in photo.shown if (label := namer.counted(text)) is not None
        )
        words = [tokenise(text) for text in texts]
        return cls(
            photo,
            shown,
            main_thing(photo, namer),
            texts,
            words,
            [namer.mentions(each) for each in words],
        )

    def captions(self, shown: frozenset[str]) -> tuple[Named, ...]:
        return tuple(named(mentions, shown) for mentions in self.mentions)

    def scored(self, also: frozenset[str] = frozenset()) -> NamedPhoto:
        """Input of the scores; `also` is added to the classes on the photo."""
        shown = self.shown | also
        return NamedPhoto(shown, self.main, self.captions(shown))

    def named_for_sure(self) -> frozenset[str]:
        return frozenset[str]().union(*(caption.sure for caption in self.captions(self.shown)))

    def boxes_of(self, label: str, namer: ClassNamer) -> np.ndarray:
        """The boxes of a class that counts, (B, 4)."""
        rows = [
            row for row, texts in enumerate(self.photo.texts) if label in map(namer.counted, texts)
        ]
        return self.photo.boxes_xyxy[rows]

    def wrong_words(self) -> list[tuple[str, str]]:
        """Words and class of the wrong mentions, each once per caption."""
        return [
            wrong
            for words, mentions in zip(self.words, self.mentions, strict=True)
            for wrong in dict.fromkeys(
                (" ".join(words[each.start : each.end]), each.label(self.shown))
                for each in mentions
                if each.sure and each.label(self.shown) not in self.shown
            )
        ]

    def rows(self) -> list[dict[str, Any]]:
        """What each caption names."""
        return [
            {
                "image": self.photo.name,
                "caption": text,
                "named": sorted((caption.sure | caption.unsure) & self.shown),
                "wrong": sorted(caption.sure - self.shown),
                "main": self.main,
                "main_named": self.main in caption.sure | caption.unsure,
            }
            for text, caption in zip(self.texts, self.captions(self.shown), strict=True)
        ]


def _traced(
    read: Sequence[_Read], traced: Mapping[str, TracedCaption], namer: ClassNamer
) -> dict[str, Any]:
    """Pointing accuracy of words for objects on the photo."""
    queries = []
    for row, each in enumerate(read):
        (mentions,) = each.mentions  # a model writes one caption a photo
        for mention in mentions:
            label = mention.label(each.shown)
            if mention.sure and label in each.shown and len(truth := each.boxes_of(label, namer)):
                queries.append(traced[each.photo.name].query(mention, label, truth, row))
    return traced_scores(queries)


def _labels(dataset: BoxedDataset, classes: ClassList) -> Sequence[str]:
    if classes == "data":
        return dataset.classes
    return (
        [each.voc for each in CLASSES if each.voc]
        if classes == "voc"
        else [each.name for each in CLASSES]
    )


def _how(namer: ClassNamer, classes: ClassList, reporting: Reporting) -> dict[str, Any]:
    """What the numbers mean, for the signature."""
    counted = {"classes": list(namer.labels), "classes_from": classes}
    interval = {"interval": interval_words(reporting)} if reporting.samples else {}
    return {**counted, "class_words_sha256": file_sha256(FILE), **_HOW, **interval}


def _wrong_words(read: Sequence[_Read]) -> list[WrongWords]:
    counts = Counter(wrong for each in read for wrong in each.wrong_words())
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return [WrongWords(words, label, count) for (words, label), count in ranked[:MOST_WRONG]]


def _of_people(human: PhotoCaptions | None) -> dict[str, Any]:
    """Origin and use of people's captions, for the signature."""
    if human is None:
        return {}
    origin = {
        key.replace("captions", "human", 1): value
        for key, value in human.signature.items()
        if "captions" in key
    }
    return origin | {
        "boxes_or_people": "what people's captions name for sure is there too, as in that paper"
    }
