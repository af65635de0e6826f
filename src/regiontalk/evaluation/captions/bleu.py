"""BLEU (Papineni et al. 2002) from counts that can be summed over any set of captions.

Axis names: N photos with a candidate each, S sets of photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regiontalk.evaluation.captions.ngrams import ORDERS, NgramCounts, Words, lookup, owners

# coco-caption's, so that 0 of 0 n-grams is a number and published scores come out to their last digit.
_TINY = 1e-15
_SMALL = 1e-9


@dataclass(frozen=True)
class BleuCounts:
    """What BLEU needs to know of each caption.

    Attributes:
        correct: (N, 4) n-grams that a reference has too, each at most as often as the reference that has most.
        guessed: (N, 4) n-grams.
        length: (N,) words.
        reference_length: (N,) words of the closest reference; of two equally close ones the shorter.
    """

    correct: np.ndarray
    guessed: np.ndarray
    length: np.ndarray
    reference_length: np.ndarray

    def summed(self, weights: np.ndarray) -> BleuCounts:
        """The counts of S sets of captions, weights (S, N) saying how often each takes part."""
        return BleuCounts(
            weights @ self.correct, weights @ self.guessed, weights @ self.length, weights @ self.reference_length
        )

    def scores(self) -> np.ndarray:
        """BLEU-1 to BLEU-4 of each row on its own, (N, 4), 0..1."""
        precisions = (self.correct + _TINY) / (self.guessed + _SMALL)
        means = np.cumprod(precisions, axis=1) ** (1 / np.arange(1, ORDERS + 1))
        ratio = (self.length + _TINY) / (self.reference_length + _SMALL)
        penalty = np.exp(np.minimum(0, 1 - 1 / ratio))
        return means * penalty[:, None]


def bleu_counts(
    candidates: Sequence[Words],
    references: Sequence[Sequence[Words]],
    candidate_ngrams: Sequence[NgramCounts],
    reference_ngrams: Sequence[NgramCounts],
) -> BleuCounts:
    """Counts for N candidates; their n-grams and those of their references come from `ngrams.count_both`."""
    length = np.array([len(candidate) for candidate in candidates])
    closest = [
        min((abs(len(truth) - own), len(truth)) for truth in truths)[1]
        for own, truths in zip(length.tolist(), references, strict=True)
    ]
    owner = owners(references)
    correct = [
        _matches(mine, theirs, owner, len(candidates))
        for mine, theirs in zip(candidate_ngrams, reference_ngrams, strict=True)
    ]
    guessed = np.maximum(0, length[:, None] - np.arange(ORDERS))
    return BleuCounts(np.stack(correct, axis=1), guessed, length, np.array(closest))


def _matches(mine: NgramCounts, theirs: NgramCounts, owner: np.ndarray, photos: int) -> np.ndarray:
    """Clipped matches of one order, (N,)."""
    different = len(mine.ngrams)
    keys = owner[theirs.caption] * different + theirs.ngram
    by_key = np.argsort(keys, kind="stable")
    keys, starts = np.unique(keys[by_key], return_index=True)
    most = np.maximum.reduceat(theirs.count[by_key], starts) if len(starts) else theirs.count
    allowed = lookup(keys, most, mine.caption * different + mine.ngram)
    return np.bincount(mine.caption, np.minimum(mine.count, allowed), photos)
