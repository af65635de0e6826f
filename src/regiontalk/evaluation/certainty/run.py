"""Evaluation of a pack's calibration on photos with boxes or captions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from regiontalk.alignment.certainty import log_odds_of, phrase_probability
from regiontalk.data import BoxedDataset, Dataset
from regiontalk.errors import ConfigError, DataError
from regiontalk.evaluation.certainty.metric import CertaintyScores, certainty_scores
from regiontalk.evaluation.certainty.questions import SEED, Question, of_boxes, of_captions
from regiontalk.evaluation.looking import CLASSES, boxed_regions, photo_regions
from regiontalk.evaluation.results import SILENT, Progress, printed
from regiontalk.evaluation.signature import box_signature, evaluation_signature
from regiontalk.language import tokenise
from regiontalk.model import Model
from regiontalk.structures import ABSENT, Alignment, Regions

_PLACE = "{}"
SENTENCE = _PLACE
"""Query template: the bare name."""
_MOST_PLACES = 2


@dataclass(frozen=True)
class CertaintyResult:
    """Scores with a signature."""

    scores: CertaintyScores
    signature: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As printed."""
        return printed(self.signature, **self.scores.to_json())


def evaluate_certainty(
    model: Model,
    dataset: BoxedDataset | Dataset,
    sentence: str = SENTENCE,
    selection: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
) -> CertaintyResult:
    """Query a pack for classes that photos show, and for as many that they do not show.

    Args:
        model: queried by `Model.align`.
        dataset: photos with the names of classes on their boxes, which are queried; or with
            captions, and the queries are those of COCO's classes that they name.
        sentence: query template, {} standing for the name. With a second {} one query has both
            names: first the class that is shown, then the one that is not.
        selection: how the photos were chosen, for the signature.

    Raises:
        ConfigError: if the pack is not calibrated, or `sentence` has not one {} or two.
        DataError: if the boxes have no classes, or there is no question.
        PhotoError: if a photo is broken.
    """
    if not model.pack.settings.certainty.slope:
        raise ConfigError(
            f"{model.pack.folder}: this pack tells no probabilities; export it anew with calibrate"
        )
    parts = _parts(sentence)
    questions = _questions(model, dataset)
    if not questions:
        raise DataError(
            f"{dataset.name}: nothing can be asked; the pack knows no word for what its photos show"
        )
    looked = _looked(model, dataset, progress)
    pairs = list(zip(questions[::2], questions[1::2], strict=True))
    answers = [
        answer for pair in pairs for answer in _answers(model, looked[pair[0].photo], pair, parts)
    ]
    sure, found = (np.array(column) for column in zip(*answers, strict=True))
    shown = np.array([question.shown for question in questions])
    if isinstance(dataset, BoxedDataset):
        signature = box_signature(model, dataset, selection or {}, progress)
    else:
        signature = evaluation_signature(model, dataset, progress)
    signature |= {
        "sentence": sentence,
        "asked": "as often for what is not there, drawn",
        "seed": SEED,
    }
    return CertaintyResult(
        certainty_scores(sure.astype(np.float64), found.astype(bool), shown), signature
    )


def _looked(model: Model, dataset: BoxedDataset | Dataset, progress: Progress) -> list[Regions]:
    if isinstance(dataset, BoxedDataset):
        return [
            each
            for _, batch in boxed_regions(model, dataset.photos, progress, extra=True)
            for each in batch
        ]
    return [
        each
        for batch in photo_regions(model, dataset.files, progress, extra=True)
        for each in batch
    ]


def _questions(model: Model, dataset: BoxedDataset | Dataset) -> list[Question]:
    if not isinstance(dataset, BoxedDataset):
        return of_captions(dataset.photos, model.pack.vocabulary)
    if dataset.kind != "labels":
        raise DataError(f"{dataset.name}: its boxes have no {CLASSES}")
    return of_boxes(dataset.photos, dataset.classes, model.pack.vocabulary)


def _answers(
    model: Model, regions: Regions, pair: Sequence[Question], parts: Sequence[str]
) -> list[tuple[float, bool]]:
    """Probability, and whether it is found, of a class that is shown and one that is not."""
    asked = [[question] for question in pair] if len(parts) == 2 else [list(pair)]
    return [answer for questions in asked for answer in _asked(model, regions, questions, parts)]


def _asked(
    model: Model, regions: Regions, questions: Sequence[Question], parts: Sequence[str]
) -> list[tuple[float, bool]]:
    text, places = parts[0], []
    for question, after in zip(questions, parts[1:], strict=True):
        start = len(tokenise(text))
        places.append((start, start + len(question.words)))
        text = f"{text} {' '.join(question.words)} {after}"
    alignment = model.align(regions, text)
    return [probability_and_found(alignment, start, end) for start, end in places]


def probability_and_found(alignment: Alignment, start: int, end: int) -> tuple[float, bool]:
    """The probability that a run of words is shown, and whether all of them are found.

    Args:
        alignment: of a sentence that holds them.
        start, end: their places, end exclusive.
    """
    sure = alignment.word_sure[start:end]
    overlapping = [
        phrase for phrase in alignment.phrases if phrase.start < end and phrase.end > start
    ]
    found = all(phrase.found for phrase in overlapping) and all(
        each is None or each >= ABSENT for each in sure
    )
    return phrase_probability(
        [None if each is None else log_odds_of(each) for each in sure]
    ) or 0.0, found


def _parts(sentence: str) -> list[str]:
    """The template's parts before, between and after the names.

    Raises:
        ConfigError: if there are not one or two placeholders.
    """
    parts = sentence.split(_PLACE)
    if not 2 <= len(parts) <= _MOST_PLACES + 1 or any("{" in part or "}" in part for part in parts):
        raise ConfigError(
            f"--sentence {sentence!r}: expected one {_PLACE} where the name goes, or two of them"
        )
    return parts
