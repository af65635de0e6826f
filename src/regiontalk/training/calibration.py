"""Calibration of a pack's scores as probabilities, on held-out captioned photos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regiontalk.alignment.certainty import fit, log_odds, region_caption_evidence
from regiontalk.data.captions import CaptionedPhoto
from regiontalk.errors import DataError
from regiontalk.evaluation.certainty.questions import (
    caption_answers,
    of_captions,
    region_caption_answers,
)
from regiontalk.evaluation.looking import photo_regions
from regiontalk.evaluation.results import SILENT
from regiontalk.model import Model
from regiontalk.settings import CertaintySettings
from regiontalk.vision.boxes import distinct


def calibrated(model: Model, photos: Sequence[CaptionedPhoto]) -> CertaintySettings:
    """Fit the certainty of words, then of generated captions, on held-out photos.

    Words are fitted on classes that the photos' captions mention and as many that they do not.

    Args:
        model: of a pack, with any certainty settings.
        photos: with captions, none of which the pack was trained on.

    Raises:
        DataError: if there is no class to fit on.
        PhotoError: if a photo is broken.
    """
    seen = [
        each
        for batch in photo_regions(model, [photo.file for photo in photos], SILENT)
        for each in batch
    ]
    questions = [
        each for each in of_captions(photos, model.pack.vocabulary) if len(each.words) == 1
    ]
    if not questions:
        raise DataError(
            "calibrate: no dev caption names one of COCO's classes in words that the pack knows"
        )
    evidence = [word_evidence(model, seen[each.photo].vectors, each.words)[0] for each in questions]
    words = CertaintySettings(
        *fit(np.array(evidence), np.array([each.shown for each in questions]))
    )
    described = model.describe_regions([distinct(each) for each in seen])
    captions = [each.caption for each in described]
    of_photos = line_of(
        caption_answers(photos, [each.text for each in captions]),
        [each.log_prob for each in captions],
    )
    own = [(photo, each) for photo, each in zip(photos, described, strict=True)]
    said = [caption.text for _, each in own for caption in each.region_captions]
    answers = region_caption_answers(
        [photo for photo, each in own for _ in each.region_captions], said
    )
    vectors = [row[None] for _, each in own for row in each.regions.vectors[1:]]
    found = [
        word_evidence(model, *each) for each in zip(vectors, map(str.split, said), strict=True)
    ]
    odds = [log_odds(np.array(each), words).tolist() or [words.offset] for each in found]
    of_regions = line_of(answers, [region_caption_evidence(each) for each in odds])
    return CertaintySettings(words.slope, words.offset, *of_photos, *of_regions)


def line_of(answers: Sequence[bool | None], evidence: Sequence[float]) -> tuple[float, float]:
    """Logistic fit of captions' correctness on evidence: slope and offset.

    Both are 0 where all answers are alike.

    Args:
        answers: whether each caption is right; None where that is undecidable.
        evidence: of each caption.
    """
    told = [
        (each, right) for each, right in zip(evidence, answers, strict=True) if right is not None
    ]
    right = np.array([right for _, right in told], bool)
    if not 0 < right.sum() < len(right):
        return 0.0, 0.0
    return fit(np.array([each for each, _ in told]), right, even=False)


def word_evidence(model: Model, vectors: np.ndarray, words: Sequence[str]) -> list[float]:
    """Evidence of the words that name something, among regions (M, h)."""
    found = model.evidence.of_words(vectors, words, model.pack.vocabulary.encode(words))
    return [each for each in found if each is not None]
