"""What requests ask of a model, and how a batch of them is answered in one pass of the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from regiontalk.errors import ConfigError, SentenceError
from regiontalk.language.tokenise import tokenise
from regiontalk.language.vocabulary import Vocabulary
from regiontalk.model import Model, distinct
from regiontalk.photos import Photo
from regiontalk.structures import Alignment, Description, Regions


@dataclass(frozen=True)
class Describe:
    """Caption a photo and its regions; see `Model.describe_regions`."""

    photo: Photo
    beam: int | None
    temperature: float | None


@dataclass(frozen=True)
class Align:
    """Tie a sentence to a photo's regions; see `Model.align`."""

    photo: Photo
    sentence: str
    beta: float | None


@dataclass(frozen=True)
class LookAt:
    """Caption one given box of a photo: xyxy in pixels of the upright photo, with an area inside it."""

    photo: Photo
    box_xyxy: tuple[float, float, float, float]


@dataclass(frozen=True)
class Look:
    """Only find a photo's regions."""

    photo: Photo


Question: TypeAlias = Describe | Align | LookAt | Look
Reply: TypeAlias = Description | Alignment | Regions


def answer(model: Model, questions: Sequence[Question]) -> list[Reply]:
    """Answers questions about photos together: one pass of vision, one of each captioner for each way to caption.

    Given boxes have passes of their own.

    Returns:
        For each question, in order: a Description, an Alignment, or Regions. The description for a `LookAt` has the
        photo and the box, not the regions that would be found.
    """
    looked = _looked(model, questions)
    replies: list[Reply] = list(looked)
    captions: dict[tuple[int | None, float | None], list[int]] = {}
    for place, question in enumerate(questions):
        if isinstance(question, Align):
            replies[place] = model.align(looked[place], question.sentence, question.beta)
        elif isinstance(question, Describe):
            captions.setdefault((question.beam, question.temperature), []).append(place)
        elif isinstance(question, LookAt):
            (replies[place],) = model.describe_regions([looked[place]])
    for how, places in captions.items():
        described = model.describe_regions([distinct(looked[place]) for place in places], *how)
        for place, description in zip(places, described, strict=True):
            replies[place] = description
    return replies


def _looked(model: Model, questions: Sequence[Question]) -> list[Regions]:
    """The regions that each question is about."""
    found: dict[int, Regions] = {}
    given = [place for place, each in enumerate(questions) if isinstance(each, LookAt)]
    others = [place for place, each in enumerate(questions) if not isinstance(each, LookAt)]
    if others:
        found.update(zip(others, model.look([questions[place].photo for place in others]), strict=True))
    if given:
        boxes = [np.array([each.box_xyxy], np.float32) for each in questions if isinstance(each, LookAt)]
        found.update(zip(given, model.look([questions[place].photo for place in given], boxes), strict=True))
    return [found[place] for place in range(len(questions))]


def check_box(photo: Photo, box_xyxy: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """A box, cut to the photo.

    Raises:
        ConfigError: if less than a pixel of it lies in the photo.
    """
    left, top = max(0.0, box_xyxy[0]), max(0.0, box_xyxy[1])
    right, bottom = min(float(photo.width), box_xyxy[2]), min(float(photo.height), box_xyxy[3])
    if not (right - left >= 1 and bottom - top >= 1):
        size = f"{photo.width} by {photo.height} pixels"
        raise ConfigError(f"box: expected x0,y0,x1,y1 with at least a pixel inside the photo, which has {size}")
    return left, top, right, bottom


def check_sentence(vocabulary: Vocabulary, sentence: str) -> None:
    """What a model would refuse while it answers others too is refused before.

    Raises:
        SentenceError: if the sentence has no word, or none that the pack knows.
    """
    words = tokenise(sentence)
    if not words:
        raise SentenceError("The sentence is empty or has no word. Give one with at least one word.")
    if (vocabulary.encode(words) == Vocabulary.UNKNOWN).all():
        raise SentenceError("The pack knows none of the sentence's words. Say it with more common English words.")
