"""BLEU (Papineni et al. 2002), CIDEr-D and CIDEr (Vedantam et al. 2015), vectorised.

N-grams are counted for all captions at once. BLEU's counts are additive over captions. CIDEr is the
similarity to the references by n-grams with tf-idf weights.

Axis names: C captions, N photos with a candidate each, R references, concatenated over photos, S
sets of photos, E entries (an n-gram in a caption), G different n-grams.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

ORDERS = 4
"""Orders of n-grams: 1 to 4."""

Words = Sequence[str]

# coco-caption's smoothing: 0 / 0 n-grams is defined, and published scores are reproduced to their
# last digit.
_TINY = 1e-15
_SMALL = 1e-9

_SIGMA = 6.0
_SCALE = 10.0
_FEW = 50


@dataclass(frozen=True)
class NgramCounts:
    """Sparse counts of the n-grams of one order; entries are sorted by caption, then n-gram.

    Attributes:
        order: n.
        caption: (E,) int64.
        ngram: (E,) int64, ids in 0..G-1, shared by all captions.
        count: (E,) int64, at least 1.
        ngrams: the n-grams by id.
    """

    order: int
    caption: np.ndarray
    ngram: np.ndarray
    count: np.ndarray
    ngrams: Ngrams

    def of(self, captions: slice) -> NgramCounts:
        """The entries of a slice of captions, renumbered from 0."""
        low, high = np.searchsorted(self.caption, (captions.start, captions.stop))
        part = slice(int(low), int(high))
        caption = self.caption[part] - captions.start
        return NgramCounts(self.order, caption, self.ngram[part], self.count[part], self.ngrams)


@dataclass(frozen=True)
class Ngrams:
    """Distinct n-grams, each by its first position in the concatenated words of all captions."""

    order: int
    words: list[str]
    first: np.ndarray  # (G,)

    def __len__(self) -> int:
        return len(self.first)

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return (tuple(self.words[at : at + self.order]) for at in self.first.tolist())


def count_ngrams(captions: Iterable[Words]) -> list[NgramCounts]:
    """Counts the n-grams of each caption, for each order from 1 to 4."""
    lengths: list[int] = []
    words: list[str] = []
    for caption in captions:
        lengths.append(len(caption))
        words.extend(caption)
    number: dict[str, int] = {}
    word = np.array([number.setdefault(each, len(number)) for each in words], np.int64)
    caption_of = np.repeat(np.arange(len(lengths)), lengths)
    # words from here to the caption's end
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(words))

    result = []
    positions, ids = np.arange(len(words)), word
    for order in range(1, ORDERS + 1):
        if order > 1:
            inside = left[positions] >= order
            positions, ids = positions[inside], ids[inside]
            # Key of the n-gram: id of the shorter one, and the next word
            ids = ids * len(number) + word[positions + order - 1]
        distinct, first, ids = np.unique(ids, return_index=True, return_inverse=True)
        ngrams = Ngrams(order, words, positions[first])
        keys, count = np.unique(
            caption_of[positions] * max(1, len(distinct)) + ids, return_counts=True
        )
        caption, ngram = np.divmod(keys, max(1, len(distinct)))
        result.append(NgramCounts(order, caption, ngram, count, ngrams))
    return result


def count_both(
    candidates: Sequence[Words], references: Sequence[Sequence[Words]]
) -> tuple[list[NgramCounts], list[NgramCounts]]:
    """N-grams of candidates and of all references, concatenated, with the same ids."""
    flat = [truth for truths in references for truth in truths]
    counts = count_ngrams([*candidates, *flat])
    middle, end = len(candidates), len(candidates) + len(flat)
    return [each.of(slice(0, middle)) for each in counts], [
        each.of(slice(middle, end)) for each in counts
    ]


def photo_of_reference(references: Sequence[Sequence[Words]]) -> np.ndarray:
    """The photo of each reference, (R,) int64."""
    return np.repeat(np.arange(len(references)), [len(truths) for truths in references])


def lookup(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Values by key, 0 for missing keys.

    Args:
        keys: (E,), ascending.
        values: (E,).
        wanted: keys, (K,).
    """
    if not len(keys):
        return np.zeros(len(wanted), values.dtype)
    at = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)


@dataclass(frozen=True)
class BleuCounts:
    """Statistics of each caption for BLEU, additive over captions.

    BLEU-n is the geometric mean of the clipped precisions of 1-grams to n-grams, times the brevity
    penalty exp(1 - r/c) where the captions' length c falls short of r, the length of the closest
    references. A corpus has sums of all these.

    Attributes:
        correct: (N, 4) n-grams that match a reference, each clipped to its count in the reference
            that has most.
        guessed: (N, 4) n-grams.
        length: (N,) words.
        reference_length: (N,) words of the closest reference; of two equally close ones the
            shorter.
    """

    correct: np.ndarray
    guessed: np.ndarray
    length: np.ndarray
    reference_length: np.ndarray

    def summed(self, weights: np.ndarray) -> BleuCounts:
        """Sums over S sets of captions, with the multiplicity of each caption as weights (S, N)."""
        return BleuCounts(
            weights @ self.correct,
            weights @ self.guessed,
            weights @ self.length,
            weights @ self.reference_length,
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
    """Statistics of N candidates; n-grams come from `count_both`."""
    length = np.array([len(candidate) for candidate in candidates])
    closest = [
        min((abs(len(truth) - own), len(truth)) for truth in truths)[1]
        for own, truths in zip(length.tolist(), references, strict=True)
    ]
    photo_of = photo_of_reference(references)
    correct = [
        _matches(mine, theirs, photo_of, len(candidates))
        for mine, theirs in zip(candidate_ngrams, reference_ngrams, strict=True)
    ]
    guessed = np.maximum(0, length[:, None] - np.arange(ORDERS))
    return BleuCounts(np.stack(correct, axis=1), guessed, length, np.array(closest))


def _matches(
    mine: NgramCounts, theirs: NgramCounts, photo_of: np.ndarray, photos: int
) -> np.ndarray:
    """Clipped matches of one order, (N,)."""
    different = len(mine.ngrams)
    keys = photo_of[theirs.caption] * different + theirs.ngram
    by_key = np.argsort(keys, kind="stable")
    keys, starts = np.unique(keys[by_key], return_index=True)
    most = np.maximum.reduceat(theirs.count[by_key], starts) if len(starts) else theirs.count
    allowed = lookup(keys, most, mine.caption * different + mine.ngram)
    return np.bincount(mine.caption, np.minimum(mine.count, allowed), photos)


@dataclass(frozen=True)
class DocumentFrequencies:
    """Document frequencies: in how many photos' captions each n-gram occurs.

    With frozen ones a single caption can be scored.

    Attributes:
        photos: how many photos were counted, at least 1.
        counts: number of photos with the n-gram in any of their captions, by n-gram.
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
        photo_of = photo_of_reference(references)
        for each in count_ngrams([truth for truths in references for truth in truths]):
            frequencies = _photos_with(each, photo_of).tolist()
            counts.update(dict(zip(each.ngrams, frequencies, strict=True)))
        return cls(len(references), dict(counts))


@dataclass(frozen=True)
class Cider:
    """Both scores of each caption, (N,), 0..10.

    Attributes:
        d: CIDEr-D, which coco-caption prints as "CIDEr": counts are clipped to the reference's, and
            a Gaussian (sigma 6) of the difference in length penalises captions that repeat
            themselves.
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
    """CIDEr-D and CIDEr of candidates; n-grams come from `count_both`.

    For n = 1..4 a caption is the tf-idf vector of its n-grams, counts times log(photos / photos
    with the n-gram); an n-gram that no photo has counts as if one had. The cosines with each
    reference are averaged over n and references, times 10.

    Args:
        references: for each photo one or more captions.
        candidate_ngrams: of the N candidates.
        reference_ngrams: of the R references.
        frequencies: None takes those of the references.
    """
    photo_of = photo_of_reference(references)
    delta = _bigrams(candidate_ngrams, len(references))[photo_of] - _bigrams(
        reference_ngrams, len(photo_of)
    )
    penalty = np.exp(-(delta**2) / (2 * _SIGMA**2))
    clipped, plain = np.zeros(len(photo_of)), np.zeros(len(photo_of))
    for mine, theirs in zip(candidate_ngrams, reference_ngrams, strict=True):
        weight = _weights(theirs, photo_of, len(references), frequencies)
        both = _products(mine, theirs, photo_of, weight)
        clipped += both[0] * penalty
        plain += both[1]
    share = _SCALE / ORDERS / np.bincount(photo_of)[photo_of]
    return Cider(np.bincount(photo_of, clipped * share), np.bincount(photo_of, plain * share))


def caution(photos: int) -> str | None:
    """A warning if CIDEr's frequencies come from few photos; None if they are many.

    >>> print(caution(1))
    CIDEr is 0: of 1 photo, every word is in all photos' captions;
    take frequencies from a larger set
    """
    if photos == 1:
        return (
            "CIDEr is 0: of 1 photo, every word is in all photos' captions; "
            "take frequencies from a larger set"
        )
    if photos < _FEW:
        return (
            f"CIDEr means little: frequencies come from the captions of {photos} photos; "
            "take them from a larger set"
        )
    return None


def _photos_with(counts: NgramCounts, photo_of: np.ndarray) -> np.ndarray:
    """Document frequency of each n-gram, (G,)."""
    different = max(1, len(counts.ngrams))
    pairs = np.sort(photo_of[counts.caption] * different + counts.ngram)
    first = np.diff(pairs, prepend=-1) > 0  # faster than np.unique, which hashes
    return np.bincount(pairs[first] % different, minlength=len(counts.ngrams))


def _weights(
    theirs: NgramCounts, photo_of: np.ndarray, photos: int, frequencies: DocumentFrequencies | None
) -> np.ndarray:
    """Inverse document frequency log(photos / photos with it) of each n-gram, (G,)."""
    if frequencies is None:
        found = _photos_with(theirs, photo_of)
    else:
        photos = frequencies.photos
        found = np.array([frequencies.counts.get(ngram, 0) for ngram in theirs.ngrams], np.int64)
    weights: np.ndarray = np.log(photos) - np.log(np.maximum(1, found))
    return weights


def _products(
    mine: NgramCounts, theirs: NgramCounts, photo_of: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of each reference with its candidate, with and without clipped counts: (R,) each."""
    different = len(mine.ngrams)
    wanted = photo_of[theirs.caption] * different + theirs.ngram
    shared = lookup(mine.caption * different + mine.ngram, mine.count, wanted)
    squared = weight[theirs.ngram] ** 2
    references = len(photo_of)
    clipped = np.bincount(
        theirs.caption, np.minimum(shared, theirs.count) * theirs.count * squared, references
    )
    plain = np.bincount(theirs.caption, shared * theirs.count * squared, references)
    lengths = _length(mine, weight, int(photo_of[-1]) + 1)[photo_of] * _length(
        theirs, weight, references
    )
    lengths[lengths == 0] = 1  # then the product is 0 as well
    return clipped / lengths, plain / lengths


def _length(counts: NgramCounts, weight: np.ndarray, captions: int) -> np.ndarray:
    """Norm of each caption's vector, (captions,)."""
    return np.sqrt(
        np.bincount(counts.caption, (counts.count * weight[counts.ngram]) ** 2, captions)
    )


def _bigrams(counts: Sequence[NgramCounts], captions: int) -> np.ndarray:
    """coco-caption's length of each caption, (captions,): its number of 2-grams."""
    return np.bincount(counts[1].caption, counts[1].count, captions)
