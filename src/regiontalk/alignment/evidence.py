"""Evidence that what words name is shown: max_i v_i·s of each word read alone.

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
    """Evidence of words for regions, and the log-odds that a pack's settings make of it.

    Args:
        vocabulary: of the words.
        read: ids of sentences -> their word vectors (T, h).
        settings: how evidence becomes a probability.
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
        """For each of T words max_i v_i·s of the word read alone.

        None for words that name nothing or are unknown.

        Args:
            vectors: (M, h), v_i.
            words: T words.
            ids: (T,), their ids.
        """
        pairs = zip(words, ids.tolist(), strict=True)
        naming = [
            None if word in FUNCTION_WORDS or id_ == Vocabulary.UNKNOWN else id_
            for word, id_ in pairs
        ]
        said = [id_ for id_ in naming if id_ is not None]
        # Captions say the same words again
        new = [id_ for id_ in dict.fromkeys(said) if id_ not in self._read_alone]
        self._read_alone |= zip(new, self._read([np.array([id_]) for id_ in new]), strict=True)
        alone = [self._read_alone[id_] for id_ in said]
        best = iter(products(np.concatenate(alone), vectors).max(axis=1).tolist() if alone else ())
        return [None if id_ is None else next(best) for id_ in naming]

    def odds(self, vectors: np.ndarray, sentence: Sentence) -> list[float | None] | None:
        """For each word of a sentence the log-odds, in nats, that what it names is shown.

        On a photo, or in a part of it.

        Args:
            vectors: (M, h) of its regions, or of those that count.
            sentence: what `Model.read` made of the sentence.

        Returns:
            None for words that name nothing or are unknown, and None if the pack tells no
            probabilities: see `regiontalk.alignment.certainty`.
        """
        if not self._settings.slope:
            return None
        return [
            None if each is None else float(log_odds(np.float64(each), self._settings))
            for each in self.of_words(vectors, sentence.words, sentence.ids)
        ]

    def naming_odds(self, caption: Caption, vectors: np.ndarray) -> list[float]:
        """Log-odds of a caption's naming words, among the regions (M, h) that it is about."""
        words = caption.text.split()
        evidence = self.of_words(vectors, words, self._vocabulary.encode(words))
        naming = np.array([each for each in evidence if each is not None])
        odds: list[float] = log_odds(naming, self._settings).tolist()
        return odds
