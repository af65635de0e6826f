"""Which photos of an index a search may find: by path, date taken and size."""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from dataclasses import dataclass
from datetime import date

import numpy as np

from regiontalk.search.columns import Columns
from regiontalk.search.storage import NO_DATE

_DAY_0, _DAY = date(1970, 1, 1).toordinal(), 86_400
"""The day from which seconds are counted, and how many a day has."""


def composed(path: str) -> str:
    """A path with its letters composed (NFC): systems differ in how they write one name.

    >>> composed("cafe\u0301") == "caf\u00e9"
    True
    """
    return unicodedata.normalize("NFC", path)


@dataclass(frozen=True)
class Where:
    """Conditions that a photo must all meet; None asks for nothing.

    Attributes:
        path: a pattern for the whole path, with * and ?, all else literal; * also stands for folders' separators.
            Composed and decomposed letters, such as é by one character or by two, are the same.
        taken_from, taken_to: the first and the last day on which it was taken, by the camera's clock. A photo whose
            EXIF data has no date meets neither.
        least, most: width and height in pixels that it must at least and at most have.
    """

    path: str | None = None
    taken_from: date | None = None
    taken_to: date | None = None
    least: tuple[int, int] | None = None
    most: tuple[int, int] | None = None

    def seconds(self) -> tuple[int | None, int | None]:
        """The first second of `taken_from` and the last one of `taken_to`, since 1970.

        >>> Where(taken_from=date(1970, 1, 2), taken_to=date(1970, 1, 2)).seconds()
        (86400, 172799)
        """
        first, last = (
            None if day is None else (day.toordinal() - _DAY_0) * _DAY for day in (self.taken_from, self.taken_to)
        )
        return first, None if last is None else last + _DAY - 1

    def allows(self, columns: Columns) -> np.ndarray:
        """Which photos of a segment meet the conditions, (P,) bool."""
        allowed = np.ones(len(columns), bool)
        first, last = self.seconds()
        if first is not None or last is not None:
            allowed &= columns.taken != NO_DATE
        if first is not None:
            allowed &= columns.taken >= first
        if last is not None:
            allowed &= columns.taken <= last
        if self.least is not None:
            allowed &= (columns.dimensions >= self.least).all(axis=1)
        if self.most is not None:
            allowed &= (columns.dimensions <= self.most).all(axis=1)
        if self.path is not None:
            matches = re.compile(fnmatch.translate(composed(self.path).replace("[", "[[]"))).match
            paths = map(composed, columns.all_paths())
            allowed &= np.fromiter((matches(path) is not None for path in paths), bool, len(columns))
        return allowed


EVERYTHING = Where()
