"""Search filters on path, date taken and size: as a mask over an index, or a Qdrant filter."""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from regiontalk.errors import ConfigError
from regiontalk.search.columns import Columns
from regiontalk.search.storage import NO_DATE
from regiontalk.search.texts import keys_of_word

if TYPE_CHECKING:
    from qdrant_client import models

_DAY_0, _DAY = date(1970, 1, 1).toordinal(), 86_400
"""Ordinal of the first day of 1970, and seconds in a day."""


def composed(path: str) -> str:
    """A path in Unicode NFC: systems differ in how they write one name.

    >>> composed("cafe\u0301") == "caf\u00e9"
    True
    """
    return unicodedata.normalize("NFC", path)


@dataclass(frozen=True)
class Where:
    """Conditions on a photo, joined by AND; None for no condition.

    Attributes:
        path: glob pattern of the whole path, with * and ?, all else literal; * also matches folder
            separators. Compared in NFC, so that é as one character or as two is the same.
        taken_from, taken_to: first and last day on which it was taken, by the camera's clock. A
            photo whose EXIF data has no date meets neither.
        least, most: minimum and maximum width and height in pixels.
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
            None if day is None else (day.toordinal() - _DAY_0) * _DAY
            for day in (self.taken_from, self.taken_to)
        )
        return first, None if last is None else last + _DAY - 1

    def allows(self, columns: Columns) -> np.ndarray:
        """Mask of a segment's photos that meet the conditions, (P,) bool."""
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
            # fnmatch would read [ as the start of a character set
            matches = re.compile(fnmatch.translate(composed(self.path).replace("[", "[[]"))).match
            paths = map(composed, columns.all_paths())
            allowed &= np.fromiter(
                (matches(path) is not None for path in paths), bool, len(columns)
            )
        return allowed


EVERYTHING = Where()


def conditions_of(where: Where, in_text: Sequence[str] = ()) -> models.Filter | None:
    """The conditions as a Qdrant filter.

    Args:
        in_text: words of which the photo's text must have at least one.

    Raises:
        ConfigError: if the path's pattern is not FOLDER/*, the only kind that Qdrant can match.
    """
    from qdrant_client import models

    must: list[Any] = []
    if where.path is not None:
        folder = where.path.removesuffix("*")
        if not folder.endswith(("/", "\\")) or set(folder) & set("*?"):
            raise ConfigError(
                f"--path {where.path}: with Qdrant, expected a folder and /*, "
                "such as '/photos/2024/*'"
            )
        # Qdrant compares strings exactly, and paths are stored as the system writes them
        names = {folder, *(unicodedata.normalize(form, folder) for form in ("NFC", "NFD"))}
        stored = [
            name.encode("utf-8", "surrogateescape").decode("latin-1") for name in sorted(names)
        ]
        must.append(models.FieldCondition(key="folders", match=models.MatchAny(any=stored)))
    ranges: Sequence[tuple[str, int | None, int | None]] = (
        ("taken", *where.seconds()),
        ("width", *_side(where, 0)),
        ("height", *_side(where, 1)),
    )
    must += [_range(*each) for each in ranges if each[1:] != (None, None)]
    if in_text:
        should: list[Any] = []
        for word in in_text:
            matches = [models.MatchValue(value=key) for key in keys_of_word(word)]
            every: list[Any] = [
                models.FieldCondition(key="words", match=match) for match in matches
            ]
            should.append(models.Filter(must=every))
        return models.Filter(must=must, should=should)
    return models.Filter(must=must) if must else None


def _side(where: Where, side: int) -> tuple[int | None, int | None]:
    least, most = (None if size is None else size[side] for size in (where.least, where.most))
    return least, most


def _range(key: str, least: int | None, most: int | None) -> models.FieldCondition:
    from qdrant_client import models

    return models.FieldCondition(key=key, range=models.Range(gte=least, lte=most))
