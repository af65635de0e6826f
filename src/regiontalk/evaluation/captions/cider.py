"""CIDEr-D and CIDEr (Vedantam et al. 2015): likeness to the references, words that many photos share counting less.

Axis names: N photos with a candidate each, R references all in a row, E entries (an n-gram in a caption).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regiontalk.evaluation.captions.ngrams import ORDERS, NgramCounts, Words, count_ngrams, lookup, owners

_SIGMA = 6.0
_SCALE = 10.0
_FEW = 50


@dataclass(frozen=True)
class DocumentFrequencies:
    """In how many photos' captions each n-gram occurs. Frozen ones let a single caption be scored.

    Attributes:
        photos: how many photos were looked at, at least 1.
        counts: of those that have the n-gram in any of their captions, by n-gram.
    """

    photos: int
    counts: dict[tuple[str, ...], int]

    @classmethod
    def of(cls, references: Sequence[Sequence[Words]]) -> DocumentFrequencies:
        """Counts n-grams of 1 to 4 words in the captions of photos.

        Raises:
            ValueError: if there is no photo.
        """
        if not references:
            raise ValueError("document frequencies need the captions of at least one photo")
        counts: Counter[tuple[str, ...]] = Counter()
        owner = owners(references)
        for each in count_ngrams([truth for truths in references for truth in truths]):
            frequencies = _photos_with(each, owner).tolist()
            counts.update(dict(zip(each.ngrams, frequencies, strict=True)))
        return cls(len(references), dict(counts))


@dataclass(frozen=True)
class Cider:
    """Both scores of each caption, (N,), 0..10.

    Attributes:
        d: CIDEr-D, which coco-caption prints as "CIDEr": counts are clipped to the reference's, and a Gaussian
            (sigma 6) of the difference in length punishes captions that repeat themselves.
        plain: CIDEr without either, the cosine alone. Words are not stemmed for either.
    """

    d: np.ndarray
    plain: np.ndarray


def cider(
    references: Sequence[Sequence[Words]],
    candidate_ngrams: Sequence[NgramCounts],
    reference_ngrams: Sequence[NgramCounts],
    frequencies: DocumentFrequencies | None = None,
) -> Cider:
    """Scores candidates; n-grams come from `ngrams.count_both`.

    For n = 1..4 a caption is the vector of its n-grams' counts times log(photos / photos with the n-gram); an n-gram
    that no photo has counts as if one had. The cosines with each reference are averaged over n and references, times
    10.

    Args:
        references: for each photo one or more captions.
        candidate_ngrams: of the N candidates.
        reference_ngrams: of the R references.
        frequencies: None takes those of the references.
    """
    owner = owners(references)
    delta = _bigrams(candidate_ngrams, len(references))[owner] - _bigrams(reference_ngrams, len(owner))
    penalty = np.exp(-(delta**2) / (2 * _SIGMA**2))
    clipped, plain = np.zeros(len(owner)), np.zeros(len(owner))
    for mine, theirs in zip(candidate_ngrams, reference_ngrams, strict=True):
        weight = _weights(theirs, owner, len(references), frequencies)
        both = _products(mine, theirs, owner, weight)
        clipped += both[0] * penalty
        plain += both[1]
    share = _SCALE / ORDERS / np.bincount(owner)[owner]
    return Cider(np.bincount(owner, clipped * share), np.bincount(owner, plain * share))


def caution(photos: int) -> str | None:
    """What to know of CIDEr when its frequencies come from few photos; None if they are many.

    >>> print(caution(1))
    CIDEr is 0: of 1 photo, every word is in all photos' captions; take frequencies from a larger set
    """
    if photos == 1:
        return "CIDEr is 0: of 1 photo, every word is in all photos' captions; take frequencies from a larger set"
    if photos < _FEW:
        return f"CIDEr means little: frequencies come from the captions of {photos} photos; take them from a larger set"
    return None


def _photos_with(counts: NgramCounts, owner: np.ndarray) -> np.ndarray:
    """In how many photos' captions each n-gram is, (G,)."""
    different = max(1, len(counts.ngrams))
    pairs = np.sort(owner[counts.caption] * different + counts.ngram)
    first = np.diff(pairs, prepend=-1) > 0  # faster than np.unique, which hashes
    return np.bincount(pairs[first] % different, minlength=len(counts.ngrams))


def _weights(
    theirs: NgramCounts, owner: np.ndarray, photos: int, frequencies: DocumentFrequencies | None
) -> np.ndarray:
    """log(photos / photos with it) of each n-gram, (G,)."""
    if frequencies is None:
        found = _photos_with(theirs, owner)
    else:
        photos = frequencies.photos
        found = np.array([frequencies.counts.get(ngram, 0) for ngram in theirs.ngrams], np.int64)
    weights: np.ndarray = np.log(photos) - np.log(np.maximum(1, found))
    return weights


def _products(
    mine: NgramCounts, theirs: NgramCounts, owner: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Products of each reference's vector with its candidate's, over both lengths: clipped and plain, (R,) each."""
    different = len(mine.ngrams)
    wanted = owner[theirs.caption] * different + theirs.ngram
    shared = lookup(mine.caption * different + mine.ngram, mine.count, wanted)
    squared = weight[theirs.ngram] ** 2
    references = len(owner)
    clipped = np.bincount(theirs.caption, np.minimum(shared, theirs.count) * theirs.count * squared, references)
    plain = np.bincount(theirs.caption, shared * theirs.count * squared, references)
    lengths = _length(mine, weight, int(owner[-1]) + 1)[owner] * _length(theirs, weight, references)
    lengths[lengths == 0] = 1  # then the product is 0 as well
    return clipped / lengths, plain / lengths


def _length(counts: NgramCounts, weight: np.ndarray, captions: int) -> np.ndarray:
    """Length of each caption's vector, (captions,)."""
    return np.sqrt(np.bincount(counts.caption, (counts.count * weight[counts.ngram]) ** 2, captions))


def _bigrams(counts: Sequence[NgramCounts], captions: int) -> np.ndarray:
    """coco-caption's length of each caption, (captions,): its number of 2-grams."""
    return np.bincount(counts[1].caption, counts[1].count, captions)
