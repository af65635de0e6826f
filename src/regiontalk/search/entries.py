"""What an index knows about a photo beside its regions: its file, its content's checksum, its date, its text."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

NO_DATE = -(2**63)
"""Stands for "no date" where dates are numbers."""
FIRST_DATE, LAST_DATE = -62_135_596_800, 253_402_300_799
"""The first second of the year 1 and the last of the year 9999: what `date_taken` can find."""


@dataclass(frozen=True)
class FileState:
    """A file as `stat` sees it: if neither number changed, it is taken as unchanged without reading it."""

    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Entry:
    """A photo of an index.

    Attributes:
        path: absolute; bytes that are no UTF-8 as surrogates, as Python names files.
        sha256: of the file's bytes, 32 bytes: the photo's identity, wherever it lies.
        state: of the file when it was read.
        width, height: of the upright photo, in pixels.
        taken: when its EXIF data says it was taken, in seconds since 1970 by the camera's own clock; None if it does
            not say.
        text: what people wrote about it, perhaps in several lines; "" if nothing.
    """

    path: str
    sha256: bytes
    state: FileState
    width: int
    height: int
    taken: int | None
    text: str = ""

    def to_json(self) -> dict[str, Any]:
        """`{"file", "width", "height", "taken", "text"}`; the date as "2024-06-30T12:00:00"; null for none."""
        size = {"width": self.width, "height": self.height}
        return {"file": self.path, **size, "taken": date_text(self.taken), "text": self.text or None}


def date_text(taken: int | None) -> str | None:
    """Seconds since 1970 as "2024-06-30T12:00:00".

    >>> date_text(0)
    '1970-01-01T00:00:00'
    """
    return None if taken is None else datetime.fromtimestamp(taken, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def file_state(path: str) -> FileState | None:
    """The state of a file; None if there is none, or it cannot be asked."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return FileState(status.st_size, status.st_mtime_ns)
