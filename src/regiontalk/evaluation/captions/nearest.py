"""The nearest neighbour, which every captioner has to beat: a photo gets the caption of the photo most like it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from regiontalk.errors import ConfigError

_TILE = 1024
"""Queries and candidates compared at a time: their distances take 8 MB, whatever the numbers of both."""


def nearest(queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """For each query the candidate at the smallest Euclidean (L2) distance.

    Args:
        queries: (Q, D), finite.
        candidates: (C, D), finite, C at least 1.

    Returns:
        (Q,) int64, rows of `candidates`; the lowest of several that come out at the same distance.

    Raises:
        ValueError: if the shapes disagree or there is no candidate.

    >>> nearest(np.array([[0.0, 0.0], [5.0, 5.0]]), np.array([[9.0, 9.0], [1.0, 0.0]])).tolist()
    [1, 0]
    """
    if queries.ndim != 2 or candidates.ndim != 2 or queries.shape[1] != candidates.shape[1] or not len(candidates):
        raise ValueError(f"expected (Q, D) and at least one of (C, D), found {queries.shape} and {candidates.shape}")
    best = np.empty(len(queries), np.int64)
    for start in range(0, len(queries), _TILE):
        part = slice(start, start + _TILE)
        best[part] = _nearest_of_all(queries[part].astype(np.float64), candidates)
    return best


def refuse_shared(asked: Iterable[Path], lending: Iterable[Path], way_out: str) -> None:
    """Makes sure that no photo can borrow from itself.

    Args:
        asked, lending: files of the photos.
        way_out: what to do about it.

    Raises:
        ConfigError: if a file is among both.
    """
    shared = {file.resolve() for file in asked} & {file.resolve() for file in lending}
    if shared:
        raise ConfigError(
            f"{len(shared)} of the photos are among those that captions are borrowed from ({min(shared).name}): they "
            f"would find themselves. {way_out}"
        )


def _nearest_of_all(queries: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """`nearest` for the q queries of a tile, (q, D) float64, a tile of candidates after the other: (q,)."""
    best = np.zeros(len(queries), np.int64)
    least = np.full(len(queries), np.inf)
    for start in range(0, len(candidates), _TILE):
        distances = _squared(queries, candidates[start : start + _TILE].astype(np.float64))  # (q, c)
        found = distances.argmin(axis=1)
        here = distances[np.arange(len(queries)), found]
        closer = here < least
        best[closer], least[closer] = found[closer] + start, here[closer]
    return best


def _squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """|a - b|² of every pair: (q, c). In double precision: near neighbours are small differences of large sums."""
    distances: np.ndarray = (a**2).sum(axis=1)[:, None] - 2 * (a @ b.T) + (b**2).sum(axis=1)
    return distances
