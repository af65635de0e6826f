"""Evidence for words in a photo's regions: max_i v_i·s of each word encoded alone.

Axis names: M regions, T words, h dimensions of the shared space.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from regiontalk.alignment.certainty import log_odds
from regiontalk.alignment.score import products
from regiontalk.language.tokenise import FUNCTION_WORDS
from regiontalk.language.vocabulary import Vocabulary
from regiontalk.settings import CertaintySettings
from regiontalk.structures import Caption, Sentence


class Evidence:
    """Evidence of words in regions and its calibrated log-odds; caches vectors of single words.

    Args:
        read: encoder, ids of sentences -> their word vectors (T, h).
        settings: calibration.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        read: Callable[[list[np.ndarray]], list[np.ndarray]],
        settings: CertaintySettings,
    ) -> None:
        self._vocabulary, self._read, self._settings = vocabulary, read, settings
        self._read_alone: dict[int, np.ndarray] = {}

    def of_words(
        self, vectors: np.ndarray, words: Sequence[str], ids: np.ndarray
    ) -> list[float | None]:
        """max_i v_i·s of each of T words, encoded alone; None for function and unknown words.

        Args:
            vectors: (M, h), v_i.
            words, ids: T words, and their ids (T,).
        """
        pairs = zip(words, ids.tolist(), strict=True)
        naming = [
            None if word in FUNCTION_WORDS or id_ == Vocabulary.UNKNOWN else id_
            for word, id_ in pairs
        ]
        said = [id_ for id_ in naming if id_ is not None]
        # Captions repeat words: each is encoded once
        new = [id_ for id_ in dict.fromkeys(said) if id_ not in self._read_alone]
        self._read_alone |= zip(new, self._read([np.array([id_]) for id_ in new]), strict=True)
        alone = [self._read_alone[id_] for id_ in said]
        best = iter(products(np.concatenate(alone), vectors).max(axis=1).tolist() if alone else ())
        return [None if id_ is None else next(best) for id_ in naming]

    def odds(self, vectors: np.ndarray, sentence: Sentence) -> list[float | None] | None:
        """Log-odds, in nats, that a photo or a part of it shows what each word names.

        Args:
            vectors: (M, h) of the photo's regions, or of those in the part.
            sentence: from `Model.read`.

        Returns:
            For each word a number, None if it is a function word or unknown; None instead of a list
            if the pack has no calibration, see `regiontalk.alignment.certainty`.
        """
        if not self._settings.slope:
            return None
        return [
            None if each is None else float(log_odds(np.float64(each), self._settings))
            for each in self.of_words(vectors, sentence.words, sentence.ids)
        ]

    def naming_odds(self, caption: Caption, vectors: np.ndarray) -> list[float]:
        """Log-odds of a caption's known content words, by the regions (M, h) that it is about."""
        words = caption.text.split()
        evidence = self.of_words(vectors, words, self._vocabulary.encode(words))
        naming = np.array([each for each in evidence if each is not None])
        odds: list[float] = log_odds(naming, self._settings).tolist()
        return odds
