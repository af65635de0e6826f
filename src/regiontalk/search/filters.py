"""Which photos of an index a search may find: by path, date taken and size."""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from dataclasses import dataclass

import numpy as np

from regiontalk.search.columns import Columns
from regiontalk.search.entries import NO_DATE


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
        taken_from, taken_to: the first and the last second in which it was taken, since 1970 by the camera's clock. A
            photo whose EXIF data has no date meets neither.
        least, most: width and height in pixels that it must at least and at most have.
    """

    path: str | None = None
    taken_from: int | None = None
    taken_to: int | None = None
    least: tuple[int, int] | None = None
    most: tuple[int, int] | None = None

    def allows(self, columns: Columns) -> np.ndarray:
        """Which photos of a segment meet the conditions, (P,) bool."""
        allowed = np.ones(len(columns), bool)
        if self.taken_from is not None or self.taken_to is not None:
            allowed &= columns.taken != NO_DATE
        if self.taken_from is not None:
            allowed &= columns.taken >= self.taken_from
        if self.taken_to is not None:
            allowed &= columns.taken <= self.taken_to
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
