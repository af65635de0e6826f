"""Where the ground truth stands among all candidates, from scores that come in tiles.

Photos x sentences are never held whole. Axis names: N photos, L sentences; n photos and l sentences of a tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

ScoreTile: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Which photos, (n,), which sentences, (l,), and their scores, (n, l). No photo and no sentence is in a tile twice."""

_MATRIX_TILE = 2**22
"""Scores of a saved matrix that are looked at together."""


class Scores(Protocol):
    """Scores of N photos and L sentences, the higher the better, a tile at a time.

    Attributes:
        photos: N.
        owners: (L,) integers in 0..N-1, the photo that each sentence was written for.
    """

    photos: int
    owners: np.ndarray

    def own(self) -> np.ndarray:
        """The score of each sentence with its own photo: (L,), the very numbers that `tiles` gives."""
        ...

    def tiles(self) -> Iterator[ScoreTile]:
        """Tiles that hold every pair once, in any order."""
        ...


@dataclass(frozen=True, eq=False)
class Ranks:
    """The place of the closest ground truth, from 1. Ties count against the system.

    Attributes:
        photos: (N,) int64, the place of each photo's best placed own sentence among all that are not its own.
        sentences: (L,) int64, the place of each sentence's own photo.
        owners: (L,) int64, that photo.
    """

    photos: np.ndarray
    sentences: np.ndarray
    owners: np.ndarray


def rank(scores: Scores, advance: Callable[[int], None] = lambda pairs: None) -> Ranks:
    """Ranks every sentence for every photo and the other way round.

    Two passes: the ground truths' own scores, then how many wrong candidates score as high or higher. That is the plain
    definition, whatever the tiles. Whatever is wrong and scores alike stands in front, so a model that scores
    everything alike comes last.

    Args:
        scores: every photo has at least one sentence.
        advance: called with the number of pairs done since the last call.

    Raises:
        ValueError: if a score is not finite, or not every photo has a sentence.
    """
    owners, own = np.asarray(scores.owners), scores.own()
    check_owners(owners, scores.photos)
    best = np.full(scores.photos, -np.inf, own.dtype)  # (N,): each photo with the best of its sentences
    np.maximum.at(best, owners, own)
    ranks = Ranks(np.ones(scores.photos, np.int64), np.ones(len(owners), np.int64), owners.astype(np.int64))
    for photos, sentences, tile in scores.tiles():
        _check_finite(photos, sentences, tile)
        wrong = owners[sentences] != photos[:, None]
        ranks.photos[photos] += (wrong & (tile >= best[photos, None])).sum(axis=1)
        ranks.sentences[sentences] += (wrong & (tile >= own[sentences])).sum(axis=0)
        advance(tile.size)
    return ranks


class MatrixScores:
    """Scores that stand in a matrix, which may be a memory-mapped file: it is read a few rows at a time.

    Args:
        matrix: of a float type, photos by sentences.
        owners: (L,) the photo of each sentence.
        columns: (L,) the sentences' columns in the matrix; None if all columns are sentences, in order.

    Raises:
        ValueError: if the shapes or types are others.
    """

    def __init__(self, matrix: np.ndarray, owners: np.ndarray, columns: np.ndarray | None = None) -> None:
        sentences = matrix.shape[1:] if columns is None else columns.shape
        if matrix.ndim != 2 or owners.shape != sentences or not np.issubdtype(owners.dtype, np.integer):
            raise ValueError(
                f"scores (N, L) need L integers, the photo of each sentence; found {matrix.shape} and {owners.shape}"
            )
        if not np.issubdtype(matrix.dtype, np.floating):
            raise ValueError(f"scores must be finite numbers of a float type, found {matrix.dtype}")
        self.photos, self.owners = len(matrix), owners
        self._matrix, self._columns = matrix, columns
        check_owners(owners, self.photos)

    def own(self) -> np.ndarray:
        """As `Scores` says."""
        columns = np.arange(len(self.owners)) if self._columns is None else self._columns
        own: np.ndarray = self._matrix[self.owners, columns]
        return own

    def tiles(self) -> Iterator[ScoreTile]:
        """As `Scores` says: whole rows."""
        sentences = np.arange(len(self.owners))
        step = max(1, _MATRIX_TILE // len(sentences))
        for start in range(0, self.photos, step):
            rows = np.asarray(self._matrix[start : start + step])
            photos = np.arange(start, start + len(rows))
            yield photos, sentences, rows if self._columns is None else rows[:, self._columns]


def check_owners(owners: np.ndarray, photos: int) -> None:
    """Refuses sentences of photos that do not exist, and photos without a sentence.

    Raises:
        ValueError: which says what was expected.
    """
    with_sentence = np.unique(owners)
    if len(with_sentence) == 0 or not np.array_equal(with_sentence, np.arange(photos)):
        raise ValueError(f"photos 0 to {photos - 1} must each have a sentence and be all that sentences name")


def _check_finite(photos: np.ndarray, sentences: np.ndarray, tile: np.ndarray) -> None:
    finite = np.isfinite(tile)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise ValueError(
            f"scores must be finite; photo {photos[row]} and sentence {sentences[column]} score {tile[row, column]}"
        )
