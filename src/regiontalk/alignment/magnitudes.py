"""Learned magnitudes: how long the vectors of regions and words are, and so how much they count.

A score adds raw dot products v_i·s_t (Eq. 7, 8), none of them normalised, and |v_i·s_t| ≤ ‖v_i‖ ‖s_t‖: a word or a
region with a short vector can hardly move a score, whatever it meets.
"""

from __future__ import annotations

import math

import numpy as np

_DIGITS = 3


def lengths_of(vectors: np.ndarray) -> np.ndarray:
    """Euclidean lengths ‖v_i‖ of regions, or ‖s_t‖ of words, in units of the shared space.

    Args:
        vectors: (N, h), any float type.

    Returns:
        (N,) float64, not negative.

    >>> lengths_of(np.array([[3, 4], [0, 0]], np.float32)).tolist()
    [5.0, 0.0]
    """
    found: np.ndarray = np.linalg.norm(vectors.astype(np.float64), axis=1)
    return found


def longest(lengths: np.ndarray, k: int | None = None) -> np.ndarray:
    """The rows of the k longest vectors, the longest first; of equal ones the first row first.

    Args:
        lengths: (N,).
        k: at least 1; None, or more than N, for all.

    Returns:
        (min(k, N),) int64.

    >>> longest(np.array([2.0, 5.0, 5.0, 1.0]), 3).tolist()
    [1, 2, 0]
    """
    return np.argsort(-lengths, kind="stable")[:k]


def shortest(lengths: np.ndarray, k: int | None = None) -> np.ndarray:
    """The same for the shortest, the shortest first; of equal ones the first row first, too."""
    return np.argsort(lengths, kind="stable")[:k]


def decimals(lengths: np.ndarray) -> int:
    """Decimals that show the longest of some vectors with three digits in all, whatever the scale of the space.

    >>> [decimals(np.array([longest, 0.01])) for longest in (0.0123, 1.23, 123.0, 12300.0)]
    [4, 2, 0, 0]
    """
    top = float(lengths.max())
    return max(0, _DIGITS - 1 - math.floor(math.log10(top))) if top > 0 else _DIGITS - 1
