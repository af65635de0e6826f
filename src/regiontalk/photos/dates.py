"""Date taken of a photo, from its EXIF data."""

from __future__ import annotations

import calendar
import os
import re
from datetime import datetime
from typing import IO, Any

from regiontalk import files
from regiontalk.errors import PhotoError
from regiontalk.photos.diagnostics import quiet_pillow
from regiontalk.photos.readers import MAX_FILE_BYTES, read_header

_EXIF_FOLDER, _ORIGINAL, _DIGITISED, _WRITTEN = 0x8769, 0x9003, 0x9004, 0x0132  # EXIF's tags

_DATE = re.compile(
    r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
"""EXIF's date format, with the fractions of a second and time zone that some programs add."""


def date_taken(photo: str | os.PathLike[str] | IO[bytes]) -> int | None:
    """Date taken: the first valid of DateTimeOriginal, DateTimeDigitized and DateTime.

    Cameras whose clock was never set, and programs, leave blanks or zeros in a tag: then the next
    one is read.

    Args:
        photo: its path, or a stream of its file, which is read from its start.

    Returns:
        Whole seconds since 1970 in the camera's local time, a time zone ignored; None if no date is
        valid.
    """
    try:
        if isinstance(photo, str | os.PathLike):
            with files.open_regular(photo, MAX_FILE_BYTES, PhotoError) as stream:
                texts = _texts(stream)
        else:
            photo.seek(0)
            texts = _texts(photo)
        return next((seconds for seconds in map(_seconds, texts) if seconds is not None), None)
    except Exception:
        # Pillow raises arbitrary exceptions on damaged metadata; such a photo has no date
        return None


def _texts(stream: IO[bytes]) -> tuple[Any, ...]:
    """The values of the three tags; None for missing ones."""
    with quiet_pillow():
        exif = read_header("<photo>", stream).getexif()
        detailed = exif.get_ifd(_EXIF_FOLDER)
        return detailed.get(_ORIGINAL), detailed.get(_DIGITISED), exif.get(_WRITTEN)


def _seconds(text: Any) -> int | None:
    """The seconds since 1970 of EXIF's "2024:06:30 12:00:00"; None if it is no date.

    >>> _seconds("1970:01:01 00:01:00.75")
    60
    """
    found = _DATE.fullmatch(str(text).strip(" \0"))
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        return calendar.timegm(datetime(year, month, day, hour, minute, second).timetuple())
    except ValueError:  # month 0, February 30
        return None
