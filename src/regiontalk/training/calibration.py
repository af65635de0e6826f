"""How a pack's scores become probabilities, fitted on captioned photos that nothing was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from regiontalk.alignment.certainty import fit
from regiontalk.alignment.mrf import products
from regiontalk.data.captions import CaptionedPhoto
from regiontalk.errors import DataError
from regiontalk.evaluation.certainty.questions import of_captions
from regiontalk.language.reader import WordsReader
from regiontalk.language.vocabulary import Vocabulary
from regiontalk.settings import CertaintySettings, PackSettings


def calibrated(
    seen: Sequence[np.ndarray],
    photos: Sequence[CaptionedPhoto],
    vocabulary: Vocabulary,
    arrays: Mapping[str, Mapping[str, np.ndarray]],
    settings: PackSettings,
) -> CertaintySettings:
    """Asks for things that the photos' captions name and for as many that they do not.

    Args:
        seen: N photos' region vectors (M, h).
        photos: the same N with their captions.
        vocabulary, arrays, settings: of the pack.

    Raises:
        DataError: if their captions name none.
    """
    questions = of_captions(photos, vocabulary)
    if not questions:
        raise DataError(
            "calibrate: the dev captions hold no word that can be asked for; give photos with more captions"
        )
    words = sorted({question.words for question in questions})
    reader = WordsReader(arrays["words"], settings.words.cell)
    alone = reader.read([vocabulary.encode(each) for each in words])
    vectors = dict(zip(words, alone, strict=True))
    evidence = [float(products(vectors[each.words], seen[each.photo]).max()) for each in questions]
    return fit(np.array(evidence), np.array([each.shown for each in questions]))
