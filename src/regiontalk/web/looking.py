"""What requests ask of a model, and how a batch of them is answered in one pass of the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from regiontalk.errors import SentenceError
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
class Look:
    """Only find a photo's regions."""

    photo: Photo


Question: TypeAlias = Describe | Align | Look
Reply: TypeAlias = Description | Alignment | Regions


def answer(model: Model, questions: Sequence[Question]) -> list[Reply]:
    """Answers questions about photos together: one pass of vision, one of each captioner for each way to caption.

    Returns:
        For each question, in order: a Description, an Alignment, or Regions.
    """
    looked = model.look([each.photo for each in questions])
    replies: list[Reply] = list(looked)
    captions: dict[tuple[int | None, float | None], list[int]] = {}
    for place, question in enumerate(questions):
        if isinstance(question, Align):
            replies[place] = model.align(looked[place], question.sentence, question.beta)
        elif isinstance(question, Describe):
            captions.setdefault((question.beam, question.temperature), []).append(place)
    for how, places in captions.items():
        described = model.describe_regions([distinct(looked[place]) for place in places], *how)
        for place, description in zip(places, described, strict=True):
            replies[place] = description
    return replies


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
