"""When a photo was taken, as its EXIF data says."""

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
"""EXIF's form, and with what some programs add: fractions of a second and a time zone."""


def date_taken(photo: str | os.PathLike[str] | IO[bytes]) -> int | None:
    """When a photo was taken: the first valid of DateTimeOriginal, DateTimeDigitized and DateTime.

    Cameras whose clock was never set, and programs, leave blanks or zeros in one of them, which
    hides no other.

    Args:
        photo: its path, or a stream of its file, which is read from its start.

    Returns:
        Whole seconds since 1970 by the camera's own clock, whatever its time zone; None if no date
        is valid.
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
        # Pillow raises whatever damaged metadata leads it into; such a photo has no date
        return None


def _texts(stream: IO[bytes]) -> tuple[Any, ...]:
    """The texts of the three tags; None where there is none."""
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
