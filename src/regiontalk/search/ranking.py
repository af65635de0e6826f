"""Top k of scores that arrive in parts; rounding does not break ties between equal photos."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial

import numpy as np

from regiontalk.alignment.distinct import Distinct
from regiontalk.search.scoring import top
from regiontalk.search.texts import TextMatch

_ROUNDING = 1e-4
"""Tolerance, relative to a score, absolute below 1: a hundred times the rounding error of float32
in a dot product over a thousand dimensions."""


class Best:
    """Top k of scores that arrive in parts; ties are broken by position, the lowest first.

    Args:
        k: at least 1.
        key: position → key that equal photos share, if their scores may differ by rounding; None if
            their scores are equal.
    """

    def __init__(self, k: int, key: Callable[[int], Hashable] | None = None) -> None:
        self._k, self._key = k, key
        self._positions: list[np.ndarray] = []
        self._scores: list[np.ndarray] = []

    def add(self, start: int, scores: np.ndarray) -> None:
        """Adds scores of the positions from `start` on; −∞ for those that must not be found."""
        places = self._places(scores)
        self._keep(start + places, scores[places])

    def add_some(self, positions: np.ndarray, scores: np.ndarray) -> None:
        """Adds scores of some positions."""
        places = self._places(scores)
        self._keep(positions[places], scores[places])

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions and scores of the k best, (k,) each, the best first."""
        if not self._scores:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        positions, scores = np.concatenate(self._positions), np.concatenate(self._scores)
        good = self._places(scores)  # selection first: few are left to sort
        positions, scores = positions[good], scores[good]
        order = np.lexsort((positions, -scores))
        if self._key is not None:
            scores = self._settled(positions, scores, order, self._key)
            order = np.lexsort((positions, -scores))
        return positions[order[: self._k]], scores[order[: self._k]]

    def _places(self, scores: np.ndarray) -> np.ndarray:
        """Indices of the k best, and of those that rounding may have kept out."""
        places = top(scores, self._k)
        if self._key is None or not len(places):
            return places
        least = scores[places[-1]]
        near: np.ndarray = np.flatnonzero((scores >= least - _rounding(least)) & (scores > -np.inf))
        return near

    def _settled(
        self,
        positions: np.ndarray,
        scores: np.ndarray,
        order: np.ndarray,
        key: Callable[[int], Hashable],
    ) -> np.ndarray:
        """Scores without rounding between equal photos: each gets that of the first of them.

        Only runs of scores that rounding may have put into another order are compared.
        """
        settled = scores.copy()
        gaps = scores[order[:-1]] - scores[order[1:]] > _rounding(scores[order[:-1]])
        for run in np.split(order, np.flatnonzero(gaps) + 1):
            if len(run) > 1:
                run = run[np.argsort(positions[run])]
                same = Distinct(key(int(positions[each])) for each in run)
                settled[run] = scores[run[same.first[same.number]]]
        return settled

    def _keep(self, positions: np.ndarray, scores: np.ndarray) -> None:
        self._positions.append(positions)
        self._scores.append(scores)


class BestWithTexts(Best):
    """Top k where the texts of some photos match; returned scores are still those of content.

    Args:
        k, key: as for `Best`.
        match: those photos.
        length: number of positions in the index.
    """

    def __init__(
        self, k: int, key: Callable[[int], Hashable] | None, match: TextMatch, length: int
    ) -> None:
        lifts = np.zeros(length, np.float32)
        lifts[match.positions] = match.lifts
        super().__init__(k, None if key is None else partial(_with_lift, key, lifts))
        self._match, self._content = match, np.full(length, -np.inf, np.float32)

    def add(self, start: int, scores: np.ndarray) -> None:
        """See `Best`."""
        self._content[start : start + len(scores)] = scores

    def add_some(self, positions: np.ndarray, scores: np.ndarray) -> None:
        """See `Best`."""
        self._content[positions] = scores

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """See `Best`."""
        super().add(0, self._match.lifted(self._content))
        positions, _ = super().result()
        return positions, self._content[positions]


def _with_lift(key: Callable[[int], Hashable], lifts: np.ndarray, position: int) -> Hashable:
    """Key shared by photos that are equal and have the same lift by their texts."""
    return key(position), float(lifts[position])


def _rounding(scores: np.ndarray) -> np.ndarray:
    """Upper bound of the rounding between scores of equal photos; a loose one only costs time."""
    bound: np.ndarray = _ROUNDING * np.maximum(np.abs(scores), 1)
    return bound
