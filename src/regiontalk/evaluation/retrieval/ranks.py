"""Ranks of the ground truth among all candidates.

Scores come in tiles, of a matrix or of vectors, and the matrix (N, L) is never held whole. Axis
names: N photos, M regions, L sentences, h dimensions; n photos and l sentences of a tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from regiontalk.alignment.distinct import Distinct, key_of
from regiontalk.alignment.score import TILE, Kind, TileScorer, tiles_of_photos, tiles_of_rows

ScoreTile: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Indices of photos, (n,), and of sentences, (l,), each without duplicates, and scores (n, l)."""

_MATRIX_TILE = 2**22
"""Scores in a tile of a saved matrix."""
_KEPT = 2**24
"""Scores cached in the first pass for the second; the rest is computed again."""
_MEMBERS = 4096
"""Maximum number of photos, and of sentences, in a tile after expansion to duplicates."""


class Scores(Protocol):
    """Scores of N photos and L sentences, the higher the better, a tile at a time.

    Attributes:
        photos: N.
        photo_of_sentence: (L,) integers in 0..N-1, the photo that each sentence was written for.
    """

    photos: int
    photo_of_sentence: np.ndarray

    def positives(self) -> np.ndarray:
        """The score of each sentence with its own photo, (L,), as `tiles` gives these numbers."""
        ...

    def tiles(self) -> Iterator[ScoreTile]:
        """Tiles that hold every pair once, in any order."""
        ...


@dataclass(frozen=True, eq=False)
class Ranks:
    """The rank of the closest ground truth, from 1. Ties are broken pessimistically.

    Attributes:
        photos: (N,) int64, of each photo's best ranked positive among all its negatives.
        sentences: (L,) int64, of each sentence's photo.
        photo_of_sentence: (L,) int64, that photo.
    """

    photos: np.ndarray
    sentences: np.ndarray
    photo_of_sentence: np.ndarray


def rank(scores: Scores, advance: Callable[[int], None] = lambda pairs: None) -> Ranks:
    """Ranks every sentence for every photo and the other way round.

    Two passes: the ground truths' own scores, then how many wrong candidates score as high or
    higher. The result does not depend on the tiling. Ties are broken pessimistically.

    Args:
        scores: every photo has at least one sentence.
        advance: called with the number of pairs done since the last call.

    Raises:
        ValueError: if a score is not finite, or not every photo has a sentence.
    """
    photo_of, positives = np.asarray(scores.photo_of_sentence, np.int64), scores.positives()
    check_photo_of_sentence(photo_of, scores.photos)
    # best: (N,): each photo with the best of its sentences
    best = np.full(scores.photos, -np.inf, positives.dtype)
    np.maximum.at(best, photo_of, positives)
    ranks = Ranks(np.ones(scores.photos, np.int64), np.ones(len(photo_of), np.int64), photo_of)
    for photos, sentences, tile in scores.tiles():
        _check_finite(photos, sentences, tile)
        wrong = photo_of[sentences] != photos[:, None]
        ranks.photos[photos] += (wrong & (tile >= best[photos, None])).sum(axis=1)
        ranks.sentences[sentences] += (wrong & (tile >= positives[sentences])).sum(axis=0)
        advance(tile.size)
    return ranks


class MatrixScores:
    """Scores in a matrix, perhaps a memory-mapped file, read in chunks of rows.

    Args:
        matrix: of a float type, photos by sentences.
        photo_of_sentence: (L,) the photo of each sentence.
        columns: (L,) the sentences' columns in the matrix; None if all columns are sentences, in
            order.

    Raises:
        ValueError: if the shapes disagree or a type is another.
    """

    def __init__(
        self, matrix: np.ndarray, photo_of_sentence: np.ndarray, columns: np.ndarray | None = None
    ) -> None:
        sentences = matrix.shape[1:] if columns is None else columns.shape
        integers = np.issubdtype(photo_of_sentence.dtype, np.integer)
        if matrix.ndim != 2 or photo_of_sentence.shape != sentences or not integers:
            found = f"{matrix.shape} and {photo_of_sentence.shape}"
            raise ValueError(
                f"scores (N, L) need L integers, the photo of each sentence; found {found}"
            )
        if not np.issubdtype(matrix.dtype, np.floating):
            raise ValueError(f"scores must be finite numbers of a float type, found {matrix.dtype}")
        self.photos, self.photo_of_sentence = len(matrix), photo_of_sentence
        self._matrix, self._columns = matrix, columns
        check_photo_of_sentence(photo_of_sentence, self.photos)

    def positives(self) -> np.ndarray:
        """As `Scores` says."""
        columns = np.arange(len(self.photo_of_sentence)) if self._columns is None else self._columns
        positives: np.ndarray = self._matrix[self.photo_of_sentence, columns]
        return positives

    def tiles(self) -> Iterator[ScoreTile]:
        """As `Scores` says: whole rows."""
        sentences = np.arange(len(self.photo_of_sentence))
        step = max(1, _MATRIX_TILE // len(sentences))
        for start in range(0, self.photos, step):
            rows = np.asarray(self._matrix[start : start + step])
            photos = np.arange(start, start + len(rows))
            yield photos, sentences, rows if self._columns is None else rows[:, self._columns]


class VectorScores:
    """Scores of photos and sentences given by their vectors (Eq. 7 and 8), a tile at a time.

    Equal photos, and equal sentences, are scored once, see `Distinct`.

    Args:
        region_vectors: (N, M, h), v_i, the regions of photo k in its first `region_counts[k]` rows.
        region_counts: (N,) integers in 1..M.
        sentences: L arrays (T, h), s_t of each word, at least one word each.
        photo_of_sentence: (L,) the photo of each sentence.
        kind: "max" (Eq. 8), "sum" (Eq. 7) or "mean" (Eq. 8 / words).
        tile: regions and words that are multiplied at a time; it changes nothing but the rounding.

    Raises:
        ValueError: if the shapes disagree.
    """

    def __init__(
        self,
        region_vectors: np.ndarray,
        region_counts: np.ndarray,
        sentences: Sequence[np.ndarray],
        photo_of_sentence: np.ndarray,
        kind: Kind = "max",
        tile: int = TILE,
    ) -> None:
        _check(region_vectors, region_counts, sentences, photo_of_sentence)
        self.photos, self.photo_of_sentence = len(region_vectors), photo_of_sentence
        # By photo, so that a photo's sentences share a tile
        order = np.argsort(photo_of_sentence, kind="stable")
        real = (
            vectors[:count] for vectors, count in zip(region_vectors, region_counts, strict=True)
        )
        self._photos = Distinct(key_of(each) for each in real)
        self._sentences = Distinct((key_of(sentences[each]) for each in order), order)
        self._regions, self._counts = region_vectors, region_counts
        if self._photos.repeats:
            self._regions, self._counts = (
                region_vectors[self._photos.first],
                region_counts[self._photos.first],
            )
        self._words = [sentences[each] for each in self._sentences.first]
        self._word_counts = np.array([len(words) for words in self._words])
        self._photo_tiles = tiles_of_photos(len(self._regions), self._regions.shape[1], tile)
        self._sentence_tiles = list(tiles_of_rows(self._word_counts, tile))
        self._scorer = TileScorer(kind)
        self._kept: dict[tuple[int, int], np.ndarray] = {}

    def positives(self) -> np.ndarray:
        """As `Scores` says.

        Only tiles that hold a photo with a sentence of its own are scored: few, if most photos
        differ.
        """
        # photos, sentences: (L,) each
        photos, sentences = self._photos.number[self.photo_of_sentence], self._sentences.number
        photo_tile = _tile_of(photos, self._photo_tiles)
        sentence_tile = _tile_of(sentences, self._sentence_tiles)
        positives, room = np.empty(len(sentences), np.float32), _KEPT
        for column, part in enumerate(self._sentence_tiles):
            words = np.concatenate(self._words[part])
            here = np.flatnonzero(sentence_tile == column)
            for row in np.unique(photo_tile[here]):
                rows, both = self._photo_tiles[row], here[photo_tile[here] == row]
                scores = self._score(rows, part, words)
                positives[both] = scores[photos[both] - rows.start, sentences[both] - part.start]
                room -= scores.size
                if room >= 0:
                    self._kept[int(row), column] = scores
        return positives

    def tiles(self) -> Iterator[ScoreTile]:
        """As `Scores` says."""
        for column, part in enumerate(self._sentence_tiles):
            words = np.concatenate(self._words[part])
            for row, rows in enumerate(self._photo_tiles):
                scores = self._kept.pop((row, column), None)
                if scores is None:
                    scores = self._score(rows, part, words)
                yield from self._handed_out(rows, part, scores)

    def _handed_out(self, rows: slice, part: slice, scores: np.ndarray) -> Iterator[ScoreTile]:
        """Expands a tile of distinct photos and sentences to all their duplicates."""
        for photos in _runs(self._photos.members(rows)):
            for sentences in _runs(self._sentences.members(part)):
                across = self._photos.number[photos] - rows.start
                yield (
                    photos,
                    sentences,
                    scores[np.ix_(across, self._sentences.number[sentences] - part.start)],
                )

    def _score(self, photos: slice, sentences: slice, words: np.ndarray) -> np.ndarray:
        return self._scorer(
            self._regions[photos], self._counts[photos], words, self._word_counts[sentences]
        )


def check_photo_of_sentence(photo_of_sentence: np.ndarray, photos: int) -> None:
    """Checks that every photo has a sentence, and that sentences name existing photos.

    Raises:
        ValueError: if not.
    """
    with_sentence = np.unique(photo_of_sentence)
    if len(with_sentence) == 0 or not np.array_equal(with_sentence, np.arange(photos)):
        raise ValueError(
            f"photos 0 to {photos - 1} must each have a sentence and be all that sentences name"
        )


def _check_finite(photos: np.ndarray, sentences: np.ndarray, tile: np.ndarray) -> None:
    finite = np.isfinite(tile)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise ValueError(
            f"scores must be finite; photo {photos[row]} and sentence {sentences[column]} score "
            f"{tile[row, column]}"
        )


def _tile_of(numbers: np.ndarray, tiles: Sequence[slice]) -> np.ndarray:
    return np.searchsorted([each.stop for each in tiles], numbers, side="right")


def _runs(members: np.ndarray) -> Iterator[np.ndarray]:
    return (members[start : start + _MEMBERS] for start in range(0, len(members), _MEMBERS))


def _check(
    region_vectors: np.ndarray,
    region_counts: np.ndarray,
    sentences: Sequence[np.ndarray],
    photo_of: np.ndarray,
) -> None:
    if region_vectors.ndim != 3 or region_counts.shape != region_vectors.shape[:1]:
        raise ValueError(
            "expected vectors (N, M, h) and N counts, "
            f"found {region_vectors.shape} {region_counts.shape}"
        )
    if photo_of.shape != (len(sentences),):
        raise ValueError(
            f"{len(sentences)} sentences need the photo of each, found {photo_of.shape}"
        )
    for number, words in enumerate(sentences):
        if words.ndim != 2 or not len(words) or words.shape[1] != region_vectors.shape[2]:
            raise ValueError(
                f"sentence {number}: expected (T, {region_vectors.shape[2]}), found {words.shape}"
            )
    check_photo_of_sentence(photo_of, len(region_vectors))
