"""Calibration: how a pack's scores become probabilities, fitted on held-out photos with captions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regiontalk.alignment.certainty import caption_evidence, fit, log_odds
from regiontalk.data.captions import CaptionedPhoto
from regiontalk.errors import DataError
from regiontalk.evaluation.certainty.questions import caption_answers, of_captions, region_caption_answers
from regiontalk.evaluation.looking import photo_regions
from regiontalk.evaluation.results import SILENT
from regiontalk.model import Model
from regiontalk.settings import CertaintySettings
from regiontalk.vision.boxes import distinct


def calibrated(model: Model, photos: Sequence[CaptionedPhoto]) -> CertaintySettings:
    """Fit calibration: on things that captions name and as many that they do not, then on generated captions.

    Args:
        model: of a pack, whatever it says of certainty.
        photos: that nothing of it was trained on, with their captions.

    Raises:
        DataError: if there is too little to ask for.
        PhotoError: if a photo is broken.
    """
    seen = [each for batch in photo_regions(model, [photo.file for photo in photos], SILENT) for each in batch]
    questions = [each for each in of_captions(photos, model.pack.vocabulary) if len(each.words) == 1]
    if not questions:
        raise DataError("calibrate: no dev caption names one of COCO's classes in words that the pack knows")
    evidence = [word_evidence(model, seen[each.photo].vectors, each.words)[0] for each in questions]
    words = CertaintySettings(*fit(np.array(evidence), np.array([each.shown for each in questions])))
    described = model.describe_regions([distinct(each) for each in seen])
    captions = [each.caption.text for each in described]
    of_photos = line_of(model, words, caption_answers(photos, captions), captions, [each.vectors for each in seen])
    own = [(photo, each) for photo, each in zip(photos, described, strict=True)]
    captions = [caption.text for _, each in own for caption in each.region_captions]
    answers = region_caption_answers([photo for photo, each in own for _ in each.region_captions], captions)
    of_regions = line_of(
        model, words, answers, captions, [row[None] for _, each in own for row in each.regions.vectors[1:]]
    )
    return CertaintySettings(words.slope, words.offset, *of_photos, *of_regions)


def line_of(
    model: Model,
    words: CertaintySettings,
    answers: Sequence[bool | None],
    captions: Sequence[str],
    vectors: Sequence[np.ndarray],
) -> tuple[float, float]:
    """The line of captions: slope and offset, both 0 where all answers are alike.

    Args:
        words: how sure it is of words.
        answers: whether each caption is right; None for those that nobody can tell.
        vectors: (M, h) of the regions that each is about.
    """
    rows = [row for row, answer in enumerate(answers) if answer is not None]
    right = np.array([answers[row] for row in rows], bool)
    if not 0 < right.sum() < len(right):
        return 0.0, 0.0
    said = [word_evidence(model, vectors[row], captions[row].split()) for row in rows]
    odds = [log_odds(np.array(each), words).tolist() for each in said]
    return fit(np.array([caption_evidence(each or [words.offset]) for each in odds]), right, even=False)


def word_evidence(model: Model, vectors: np.ndarray, words: Sequence[str]) -> list[float]:
    """Evidence of those words that name something, among regions (M, h)."""
    found = model.word_evidence(vectors, words, model.pack.vocabulary.encode(words))
    return [each for each in found if each is not None]
