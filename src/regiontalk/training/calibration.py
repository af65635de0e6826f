"""How a pack's scores become probabilities, fitted on captioned photos that nothing was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regiontalk.alignment.certainty import caption_evidence, fit, log_odds
from regiontalk.data.captions import CaptionedPhoto
from regiontalk.errors import DataError
from regiontalk.evaluation.certainty.questions import caption_answers, of_captions
from regiontalk.evaluation.looking import photo_regions
from regiontalk.evaluation.results import SILENT
from regiontalk.model import Model
from regiontalk.settings import CertaintySettings
from regiontalk.structures import Regions


def calibrated(model: Model, photos: Sequence[CaptionedPhoto]) -> CertaintySettings:
    """Asks a pack for things that photos' captions name and for as many that they do not; then has it caption them.

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
    evidence = [_evidence(model, seen[each.photo], each.words)[0] for each in questions]
    words = CertaintySettings(*fit(np.array(evidence), np.array([each.shown for each in questions])))
    captions = model.caption(seen)
    right = caption_answers(photos, [each.text for each in captions])
    rows = [row for row, answer in enumerate(right) if answer is not None]
    odds = [log_odds(np.array(_evidence(model, seen[row], captions[row].text.split())), words).tolist() for row in rows]
    answers = np.array([bool(right[row]) for row in rows])
    if not 0 < answers.sum() < len(answers):
        return words
    line = fit(np.array([caption_evidence(each or [words.offset]) for each in odds]), answers, even=False)
    return CertaintySettings(words.slope, words.offset, *line)


def _evidence(model: Model, regions: Regions, words: Sequence[str]) -> list[float]:
    """Of those words that name something."""
    found = model.word_evidence(regions.vectors, words, model.pack.vocabulary.encode(words))
    return [each for each in found if each is not None]
