"""Deduplicate inputs before a matrix product, so that equal inputs get bit-equal results.

A matrix product rounds a little differently from row to row and from column to column, and each
processor in its own way. Scores of equal photos, or of equal sentences, would differ in the last
bit, and rounding would decide their tie.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable

import numpy as np


class Distinct:
    """Deduplication: D distinct items of K, in order of appearance, with the inverse index.

    Args:
        keys: one per item, K in all; equal items have equal keys, see `key_of` for arrays.
        names: (K,) a permutation of 0..K-1, the items' indices; None for their order.

    Attributes:
        first: (D,) index of the first occurrence of each distinct item.
        number: (K,) the inverse index: for each item the number, in 0..D-1, of its distinct item.

    >>> words = Distinct(["a dog", "a cat", "a dog"])
    >>> words.first.tolist(), words.number.tolist()
    ([0, 1], [0, 1, 0])
    """

    def __init__(self, keys: Iterable[Hashable], names: np.ndarray | None = None) -> None:
        seen: dict[Hashable, int] = {}
        numbers = np.array([seen.setdefault(key, len(seen)) for key in keys], np.int64)
        names = np.arange(len(numbers)) if names is None else names
        counts = np.bincount(numbers)
        self.number = np.empty(len(names), np.int64)
        self.number[names] = numbers
        self._names = names[np.argsort(numbers, kind="stable")]
        self._ends = np.cumsum(counts)
        self.first = self._names[self._ends - counts]

    def __len__(self) -> int:
        """The number of distinct items, D."""
        return len(self.first)

    @property
    def repeats(self) -> bool:
        return len(self.first) < len(self.number)

    def members(self, numbers: slice) -> np.ndarray:
        """Indices of all items that equal a slice's distinct items, in the order of these."""
        start = self._ends[numbers.start - 1] if numbers.start else 0
        return self._names[start : self._ends[numbers.stop - 1]]


def key_of(*arrays: np.ndarray) -> bytes:
    """BLAKE2b digest of arrays, the same for arrays of the same bytes, dtype and shape."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.digest()
