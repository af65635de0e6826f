"""The n-grams of many captions, numbered and counted at once: what BLEU and CIDEr are made of.

Axis names: C captions, E entries (an n-gram in a caption), G different n-grams.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

ORDERS = 4
"""1-grams to 4-grams count."""

Words = Sequence[str]


@dataclass(frozen=True)
class NgramCounts:
    """How often which n-gram of one order is in which caption; entries by caption, then n-gram.

    Attributes:
        order: n.
        caption: (E,) int64.
        ngram: (E,) int64, 0..G-1: the same number for the same words in every caption.
        count: (E,) int64, at least 1.
        ngrams: the n-grams themselves, by number.
    """

    order: int
    caption: np.ndarray
    ngram: np.ndarray
    count: np.ndarray
    ngrams: Ngrams

    def of(self, captions: slice) -> NgramCounts:
        """The entries of some neighbouring captions, which are counted from 0 again."""
        low, high = np.searchsorted(self.caption, (captions.start, captions.stop))
        part = slice(int(low), int(high))
        caption = self.caption[part] - captions.start
        return NgramCounts(self.order, caption, self.ngram[part], self.count[part], self.ngrams)


@dataclass(frozen=True)
class Ngrams:
    """Different n-grams: where each one first stands in the words of all captions, one after the other."""

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
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(words))  # words from here to the caption's end

    result = []
    positions, ids = np.arange(len(words)), word
    for order in range(1, ORDERS + 1):
        if order > 1:
            inside = left[positions] >= order
            positions, ids = positions[inside], ids[inside]
            ids = ids * len(number) + word[positions + order - 1]  # the shorter n-gram, then one word more
        distinct, first, ids = np.unique(ids, return_index=True, return_inverse=True)
        ngrams = Ngrams(order, words, positions[first])
        keys, count = np.unique(caption_of[positions] * max(1, len(distinct)) + ids, return_counts=True)
        caption, ngram = np.divmod(keys, max(1, len(distinct)))
        result.append(NgramCounts(order, caption, ngram, count, ngrams))
    return result


def count_both(
    candidates: Sequence[Words], references: Sequence[Sequence[Words]]
) -> tuple[list[NgramCounts], list[NgramCounts]]:
    """The n-grams of candidates and of all references in a row, under the same numbers."""
    flat = [truth for truths in references for truth in truths]
    counts = count_ngrams([*candidates, *flat])
    middle, end = len(candidates), len(candidates) + len(flat)
    return [each.of(slice(0, middle)) for each in counts], [each.of(slice(middle, end)) for each in counts]


def owners(references: Sequence[Sequence[Words]]) -> np.ndarray:
    """For each reference, all in a row, the photo that it belongs to, int64."""
    return np.repeat(np.arange(len(references)), [len(truths) for truths in references])


def lookup(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The values under some keys, 0 where a key is not there.

    Args:
        keys: (E,), ascending.
        values: (E,).
        wanted: keys, (K,).
    """
    if not len(keys):
        return np.zeros(len(wanted), values.dtype)
    at = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)
