"""Scores of region and word vectors (Eq. 7 and 8), computed a tile at a time as the ranking asks for them.

Axis names: N photos, M regions, L sentences, h dimensions; n photos and l sentences of a tile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from regiontalk.alignment.distinct import Distinct, key_of
from regiontalk.alignment.score import TILE, Kind, TileScorer, tiles_of_photos, tiles_of_rows
from regiontalk.evaluation.retrieval.ranks import ScoreTile, check_owners

_KEPT = 2**24
"""Scores that are kept from the first pass for the second: what does not fit is computed again."""
_MEMBERS = 4096
"""Photos or sentences with the vectors of one tile that are handed out together."""


class VectorScores:
    """Scores of photos and sentences that are given by their vectors. Satisfies `Scores`.

    Equal photos, and equal sentences, are scored once, see `Distinct`.

    Args:
        region_vectors: (N, M, h), v_i, the regions of photo k in its first `region_counts[k]` rows.
        region_counts: (N,) integers in 1..M.
        sentences: L arrays (T, h), s_t of each word, at least one word each.
        owners: (L,) the photo of each sentence.
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
        owners: np.ndarray,
        kind: Kind = "max",
        tile: int = TILE,
    ) -> None:
        _check(region_vectors, region_counts, sentences, owners)
        self.photos, self.owners = len(region_vectors), owners
        order = np.argsort(owners, kind="stable")  # so that a photo's sentences share a tile
        real = (vectors[:count] for vectors, count in zip(region_vectors, region_counts, strict=True))
        self._photos = Distinct(key_of(each) for each in real)
        self._sentences = Distinct((key_of(sentences[each]) for each in order), order)
        self._regions, self._counts = region_vectors, region_counts
        if self._photos.repeats:
            self._regions, self._counts = region_vectors[self._photos.first], region_counts[self._photos.first]
        self._words = [sentences[each] for each in self._sentences.first]
        self._word_counts = np.array([len(words) for words in self._words])
        self._photo_tiles = tiles_of_photos(len(self._regions), self._regions.shape[1], tile)
        self._sentence_tiles = list(tiles_of_rows(self._word_counts, tile))
        self._scorer = TileScorer(kind)
        self._kept: dict[tuple[int, int], np.ndarray] = {}

    def own(self) -> np.ndarray:
        """As `Scores` says. Only tiles in which a photo meets its own sentences are scored: few, if most differ."""
        photos, sentences = self._photos.number[self.owners], self._sentences.number  # (L,) each
        photo_tile = _tile_of(photos, self._photo_tiles)
        sentence_tile = _tile_of(sentences, self._sentence_tiles)
        own, room = np.empty(len(sentences), np.float32), _KEPT
        for column, part in enumerate(self._sentence_tiles):
            words = np.concatenate(self._words[part])
            here = np.flatnonzero(sentence_tile == column)
            for row in np.unique(photo_tile[here]):
                rows, both = self._photo_tiles[row], here[photo_tile[here] == row]
                scores = self._score(rows, part, words)
                own[both] = scores[photos[both] - rows.start, sentences[both] - part.start]
                room -= scores.size
                if room >= 0:
                    self._kept[int(row), column] = scores
        return own

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
        """A tile of distinct photos and sentences as one of all that are equal to them."""
        for photos in _runs(self._photos.members(rows)):
            for sentences in _runs(self._sentences.members(part)):
                across = self._photos.number[photos] - rows.start
                yield photos, sentences, scores[np.ix_(across, self._sentences.number[sentences] - part.start)]

    def _score(self, photos: slice, sentences: slice, words: np.ndarray) -> np.ndarray:
        return self._scorer(self._regions[photos], self._counts[photos], words, self._word_counts[sentences])


def _tile_of(numbers: np.ndarray, tiles: Sequence[slice]) -> np.ndarray:
    return np.searchsorted([each.stop for each in tiles], numbers, side="right")


def _runs(members: np.ndarray) -> Iterator[np.ndarray]:
    return (members[start : start + _MEMBERS] for start in range(0, len(members), _MEMBERS))


def _check(
    region_vectors: np.ndarray, region_counts: np.ndarray, sentences: Sequence[np.ndarray], owners: np.ndarray
) -> None:
    if region_vectors.ndim != 3 or region_counts.shape != region_vectors.shape[:1]:
        raise ValueError(f"expected vectors (N, M, h) and N counts, found {region_vectors.shape} {region_counts.shape}")
    if owners.shape != (len(sentences),):
        raise ValueError(f"{len(sentences)} sentences need the photo of each, found {owners.shape}")
    for number, words in enumerate(sentences):
        if words.ndim != 2 or not len(words) or words.shape[1] != region_vectors.shape[2]:
            raise ValueError(f"sentence {number}: expected (T, {region_vectors.shape[2]}), found {words.shape}")
    check_owners(owners, len(region_vectors))
