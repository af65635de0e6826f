"""Search engines that rank the photos and boxes of an index, behind one protocol.

Axis names: P photos of a segment, R regions of all of them, T words, h dimensions of the shared
space.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from regiontalk.alignment.distinct import key_of
from regiontalk.search.columns import Columns
from regiontalk.search.filters import EVERYTHING, Where
from regiontalk.search.index import Index, Segment
from regiontalk.search.ranking import Best, BestWithTexts
from regiontalk.search.scoring import best_rows, cosines, gathered, photo_scores, row_scores
from regiontalk.search.storage import Entry
from regiontalk.search.texts import TextQuery
from regiontalk.structures import Regions


@dataclass(frozen=True, eq=False)
class Hit:
    """A photo found by an engine.

    Attributes:
        entry: its metadata.
        score: for a sentence, Eq. 8 less the photo's hubness for each word (`scoring.of_kind`
            converts it to the score of a model); for a photo, the cosine of `Engine.like`.
        regions: its boxes and stored vectors; features, (M, 0), are not kept.
    """

    entry: Entry
    score: float
    regions: Regions


@dataclass(frozen=True, eq=False)
class BoxHit:
    """A box found by an engine.

    Attributes:
        entry: metadata of its photo.
        region: its number in the photo; 0 is the whole photo.
        score: v_i·Σ_t s_t.
        regions: of the photo.
    """

    entry: Entry
    region: int
    score: float
    regions: Regions


class Engine(Protocol):
    """Protocol of search engines.

    Scores by words are raw dot products, never normalised, exact for the stored vectors; those of
    photos are less the photo's hubness.
    """

    def photos(
        self, words: np.ndarray, k: int, where: Where = EVERYTHING, query: TextQuery | None = None
    ) -> list[Hit]:
        """The k best photos for a query by Σ_t (max_i v_i·s_t - hubness), the best first.

        Ties are broken by the order in which photos were added.

        Args:
            words: (T, h) float32: a sentence's s_t.
            k: at least 1.
            where: conditions on the photos.
            query: the sentence's words, for text search: photos whose texts have some of them rank
                higher, by the rule of `regiontalk.search.texts`; scores stay those of the content.
                If the pack knows no word of it, only such photos are found.

        Raises:
            DataError: if data that is read for the query is damaged.
        """
        ...

    def like(self, vectors: np.ndarray, k: int, where: Where = EVERYTHING) -> list[Hit]:
        """The k photos most like another: by the cosine of their regions' mean vectors, -1 to 1.

        Dot products would find the photos with the longest vectors, the same few for every query.

        Args:
            vectors: (M, h) float32, the other photo's v_i.
            k, where: as for `photos`.
        """
        ...

    def boxes(
        self, words: np.ndarray, k: int, where: Where = EVERYTHING, once: bool = False
    ) -> list[BoxHit]:
        """The k best boxes for a phrase by v_i·Σ_t s_t; whole photos count as boxes.

        Args:
            words, k, where: as for `photos`.
            once: whether only the best box of each photo counts, the first of several equal ones.
        """
        ...

    def matching(self, where: Where) -> int:
        """Number of photos that meet the conditions.

        Raises:
            DataError: as `photos`.
        """
        ...

    def matching_texts(self, query: TextQuery, where: Where = EVERYTHING) -> int:
        """Number of photos that meet the conditions and have a word of the query in their text.

        Raises:
            DataError: as `photos`.
        """
        ...


_overflowing = np.errstate(over="ignore", invalid="ignore")
"""Silences NumPy's warnings: crafted vectors may overflow, which `_finite` detects."""


class ExactEngine:
    """Exhaustive search: scores every photo of an index.

    Args:
        threads: CPU threads; None for as many as the process may use.
    """

    def __init__(self, index: Index, threads: int | None = None) -> None:
        self._index, self._threads = index, threads

    def photos(
        self, words: np.ndarray, k: int, where: Where = EVERYTHING, query: TextQuery | None = None
    ) -> list[Hit]:
        """See `Engine`."""
        return _hits(self._index, self.ranked(words, k, where, query))

    @_overflowing
    def ranked(
        self, words: np.ndarray, k: int, where: Where = EVERYTHING, query: TextQuery | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Positions and scores of the k best photos, (k,) each; of fewer photos, all."""
        best = _best(self._index, k, query, partial(_content, self._index))
        for segment, allowed in _allowed(self._index, where):
            each = segment.columns
            scores = photo_scores(each.vectors, each.scales, each.row_ends, words, self._threads)
            scores -= len(words) * each.hubness
            best.add(segment.start, np.where(allowed, _finite(each, scores), -np.inf))
        return best.result()

    def like(self, vectors: np.ndarray, k: int, where: Where = EVERYTHING) -> list[Hit]:
        """See `Engine`."""
        return _hits(self._index, self.ranked_like(vectors, k, where))

    @_overflowing
    def ranked_like(
        self, vectors: np.ndarray, k: int, where: Where = EVERYTHING
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `ranked`, for `like`."""
        best, query = Best(k), vectors.mean(axis=0)
        for segment, allowed in _allowed(self._index, where):
            scores = _finite(segment.columns, cosines(segment.columns.pooled, query, self._threads))
            best.add(segment.start, np.where(allowed, scores, -np.inf))
        return best.result()

    @_overflowing
    def boxes(
        self, words: np.ndarray, k: int, where: Where = EVERYTHING, once: bool = False
    ) -> list[BoxHit]:
        """See `Engine`."""
        # Rows are numbered from `start` on through the segments that have an allowed photo
        best, query, start = Best(k), words.sum(axis=0), 0
        starts = []
        for segment, allowed in _allowed(self._index, where):
            each = segment.columns
            scores = _finite(each, row_scores(each.vectors, each.scales, query, self._threads))
            counts = np.diff(each.row_ends, prepend=0)
            found = np.where(np.repeat(allowed, counts), scores, -np.inf)
            rows = best_rows(found, each.row_ends) if once else np.arange(len(found))
            best.add_some(start + rows, found[rows])
            starts.append((start, segment))
            start += len(scores)
        return [
            _box_hit(self._index, starts, int(row), float(s))
            for row, s in zip(*best.result(), strict=True)
        ]

    def matching(self, where: Where) -> int:
        """See `Engine`."""
        return sum(int(allowed.sum()) for _, allowed in _allowed(self._index, where))

    def matching_texts(self, query: TextQuery, where: Where = EVERYTHING) -> int:
        """See `Engine`."""
        match = self._index.texts.match(query)
        if match is None:
            return 0
        matching = np.zeros(len(self._index), bool)
        matching[match.positions] = True
        runs = ((allowed, segment.start) for segment, allowed in _allowed(self._index, where))
        return sum(
            int((allowed & matching[start : start + len(allowed)]).sum()) for allowed, start in runs
        )


class TwoStageEngine(ExactEngine):
    """Retrieves candidates by one pooled vector a photo, then reranks them by exact scores.

    Fast, but may miss photos. The pooled vector is the mean of a photo's region vectors: the first
    stage ranks by Σ_t mean_i v_i·s_t, one dot product a photo, the second by Σ_t max_i v_i·s_t;
    both less the photo's hubness for each word. Search by photo and for boxes is exact: the former
    compares pooled vectors only, and a box has a single vector, so there is no second stage.

    Args:
        candidates: photos that the first stage retrieves; k if that is more.
        threads: as for `ExactEngine`.
    """

    def __init__(self, index: Index, candidates: int, threads: int | None = None) -> None:
        super().__init__(index, threads)
        self._candidates = candidates

    @_overflowing
    def ranked(
        self, words: np.ndarray, k: int, where: Where = EVERYTHING, query: TextQuery | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `ExactEngine.ranked`, of the candidates; matches in texts count in both stages."""
        fetched = _best(self._index, max(k, self._candidates), query)
        total, none = words.sum(axis=0), np.empty(0, np.float32)
        for segment, allowed in _allowed(self._index, where):
            scores = row_scores(segment.columns.pooled, none, total, self._threads)
            scores -= len(words) * segment.columns.hubness
            fetched.add(segment.start, np.where(allowed, _finite(segment.columns, scores), -np.inf))
        best = _best(self._index, k, query, partial(_content, self._index))
        candidates = np.sort(fetched.result()[0])
        for segment in self._index.segments:
            inside = candidates[
                (candidates >= segment.start) & (candidates < segment.start + len(segment.columns))
            ]
            if len(inside):
                each, places = segment.columns, inside - segment.start
                stored, scales = each.around("vectors", places), each.around("scales", places)
                vectors, ends = gathered(stored, scales, each.row_ends, places)
                scores = photo_scores(vectors, none, ends, words, self._threads)
                scores -= len(words) * each.hubness[places]
                best.add_some(inside, _finite(each, scores))
        return best.result()


def local_engine(
    index: Index, candidates: int | None = None, threads: int | None = None
) -> ExactEngine:
    """A two-stage engine with so many candidates; the exact engine if that is None."""
    return (
        ExactEngine(index, threads)
        if candidates is None
        else TwoStageEngine(index, candidates, threads)
    )


def _best(
    index: Index, k: int, query: TextQuery | None, key: Callable[[int], Hashable] | None = None
) -> Best:
    match = None if query is None else index.texts.match(query)
    return Best(k, key) if match is None else BestWithTexts(k, key, match, len(index))


def _allowed(index: Index, where: Where) -> Iterator[tuple[Segment, np.ndarray]]:
    """Segments with a mask (P,) of undropped photos that meet the conditions, if any do."""
    for segment in index.segments:
        allowed = segment.kept & where.allows(segment.columns)
        if allowed.any():
            yield segment, allowed


def _finite(columns: Columns, scores: np.ndarray) -> np.ndarray:
    """Returns the scores unchanged if all are finite.

    NaN and −∞, which only damage can cause, would silently leave photos out of the ranking.

    Raises:
        DataError: if one is not finite.
    """
    if not np.isfinite(scores).all():
        raise columns.damaged("a vector gives a score that is not finite")
    return scores


def _content(index: Index, position: int) -> bytes:
    """Key that equal photos share, from their stored vectors and hubness."""
    segment, photo = index.find(position)
    columns = segment.columns
    rows = columns.rows(slice(photo, photo + 1))
    scales = columns.scales[rows] if len(columns.scales) else columns.scales
    return key_of(columns.vectors[rows], scales, columns.hubness[photo : photo + 1])


def _hits(index: Index, ranked: tuple[np.ndarray, np.ndarray]) -> list[Hit]:
    return [
        Hit(index.entry(int(p)), float(score), index.regions(int(p)))
        for p, score in zip(*ranked, strict=True)
    ]


def _box_hit(index: Index, starts: list[tuple[int, Segment]], row: int, score: float) -> BoxHit:
    start, segment = next((start, segment) for start, segment in reversed(starts) if start <= row)
    place = int(np.searchsorted(segment.columns.row_ends, row - start, side="right"))
    first = segment.columns.rows(slice(place, place + 1)).start
    position = segment.start + place
    return BoxHit(index.entry(position), row - start - first, score, index.regions(position))
