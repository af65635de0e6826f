"""Balanced yes/no questions: whether a photo shows something.

For each class that a photo shows, one that it does not show is drawn. Ground truth comes from its
boxes, or from its captions: a class that two of them name, or the only one. A class that none of
its captions names is taken as absent, which is wrong now and then: people do not mention all that
they see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from regiontalk.data import BoxedPhoto
from regiontalk.data.captions import CaptionedPhoto
from regiontalk.evaluation.class_words import CLASSES, ClassNamer, Mention, Words, known, synonyms
from regiontalk.evaluation.objects.run import named
from regiontalk.language import tokenise

SEED = 0
"""Of the draw of absent classes."""
_CAPTIONS = 2
"""Captions that must agree on a class, if there are so many."""


Labels: TypeAlias = AbstractSet[str]
Captions: TypeAlias = Sequence[Sequence[Mention]]
"""A photo's captions, each as its mentions of classes."""


@dataclass(frozen=True)
class Question:
    """Whether a photo shows something: row of the photo, words for it, and the correct answer."""

    photo: int
    words: Words
    shown: bool


def of_boxes(
    photos: Sequence[BoxedPhoto],
    classes: Sequence[str],
    vocabulary: Container[str],
    seed: int = SEED,
) -> list[Question]:
    """Questions about the boxes' classes, each by its first synonym in the vocabulary.

    Args:
        photos: with their boxes.
        classes: the annotators'.
        vocabulary: the pack's.
        seed: of the draw, uniform over absent classes.
    """
    return _questions(
        [(photo.shown - photo.unclear, photo.shown) for photo in photos], classes, vocabulary, seed
    )


def of_captions(photos: Sequence[CaptionedPhoto], vocabulary: Container[str]) -> list[Question]:
    """Questions about COCO's classes, with the photos' captions as ground truth.

    Args:
        photos: with their captions.
        vocabulary: the pack's.
    """
    namer = ClassNamer(each.name for each in CLASSES)
    mentions = [
        [namer.mentions(tokenise(caption)) for caption in photo.captions] for photo in photos
    ]
    return _questions(
        [(_agreed(each), _mentioned(each)) for each in mentions], namer.labels, vocabulary, SEED
    )


def caption_answers(photos: Sequence[CaptionedPhoto], captions: Sequence[str]) -> list[bool | None]:
    """Whether generated captions of photos are correct, by people's captions of the same photos.

    Args:
        photos: N, with people's captions.
        captions: N, a generated one of each.

    Returns:
        For each whether it names one of COCO's classes that a person names too, and for sure none
        that nobody names; None where people name none.
    """
    return [right for right, _ in _named_rightly(photos, captions)]


def region_caption_answers(
    photos: Sequence[CaptionedPhoto], captions: Sequence[str]
) -> list[bool | None]:
    """As `caption_answers`, for captions of regions.

    None too where a caption names no class, as people do not mention all that they see.

    Args:
        photos: N, the photo of each region, with people's captions.
        captions: N.
    """
    return [right if names else None for right, names in _named_rightly(photos, captions)]


def _named_rightly(
    photos: Sequence[CaptionedPhoto], captions: Sequence[str]
) -> Iterator[tuple[bool | None, bool]]:
    """For each caption whether it is correct, and whether it names any class.

    The first is None where people name nothing.
    """
    namer = ClassNamer(each.name for each in CLASSES)
    for photo, caption in zip(photos, captions, strict=True):
        shown = frozenset(_mentioned([namer.mentions(tokenise(each)) for each in photo.captions]))
        found = named(namer.mentions(tokenise(caption)), shown)
        classes = found.sure | found.unsure
        yield not found.sure - shown and bool(classes & shown) if shown else None, bool(classes)


def _mentioned(captions: Captions) -> set[str]:
    """The classes that any caption of a photo may name."""
    return {label for mentions in captions for mention in mentions for label in mention.labels}


def _agreed(captions: Captions) -> set[str]:
    """The classes that enough captions of a photo name unambiguously."""
    sure = [
        {mention.labels[0] for mention in mentions if mention.sure and len(mention.labels) == 1}
        for mentions in captions
    ]
    counts = Counter(label for labels in sure for label in labels)
    return {label for label, count in counts.items() if count >= min(_CAPTIONS, len(captions))}


def _questions(
    photos: Sequence[tuple[Labels, Labels]],
    classes: Iterable[str],
    vocabulary: Container[str],
    seed: int,
) -> list[Question]:
    """For each class that a photo shows a question about it, and one about an absent class.

    Args:
        photos: for each the classes that it shows, and those that it may show and are not drawn.
    """
    rng = np.random.default_rng(seed)
    names = {
        label: found[0]
        for label in sorted(classes)
        if (found := known(synonyms(label), vocabulary))
    }
    questions = []
    for row, (shown, perhaps) in enumerate(photos):
        absent = [label for label in names if label not in shown | perhaps]
        for label in sorted(shown & names.keys()) if absent else ():
            questions.append(Question(row, names[label], True))
            questions.append(Question(row, names[absent[int(rng.integers(len(absent)))]], False))
    return questions
