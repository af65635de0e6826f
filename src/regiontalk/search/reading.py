"""Photos for an index: each file is read once, a huge one twice, and all that is stored of it is about the same bytes.

Otherwise a file that is written over while an index is made would leave the regions of one photo under the checksum of
another, and a copy of the other would get them.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from io import BytesIO
from typing import BinaryIO

from regiontalk.errors import PhotoError
from regiontalk.files import open_regular, problem, read_with_status, sha256_hex, unreadable
from regiontalk.photos import Photo, escaped, open_photo
from regiontalk.photos.dates import date_taken
from regiontalk.photos.readers import MAX_FILE_BYTES
from regiontalk.search.entries import Entry, FileState

MOST_IN_MEMORY = 1 << 28
"""Bytes. A larger file is read a piece at a time, opened, and read once more to see that it is still the same."""

_CHECK = "Check the file."


@dataclass(frozen=True)
class FileRead:
    """A file that was read.

    Attributes:
        path: absolute.
        sha256: of the bytes that were read.
        state: of the file that they were read from.
    """

    path: str
    sha256: bytes
    state: FileState


def read_file(path: str) -> tuple[FileRead, bytes | None]:
    """Reads a photo's file.

    Returns:
        What was read, and its bytes; None if they are more than `MOST_IN_MEMORY`, of which only a piece at a time was.

    Raises:
        PhotoError: if it is no regular file of at most `MAX_FILE_BYTES`, cannot be read, or changes meanwhile.
    """
    with open_regular(path, MAX_FILE_BYTES, PhotoError, advice=_CHECK) as stream:
        if os.fstat(stream.fileno()).st_size > MOST_IN_MEMORY:
            return _read_in_pieces(path, stream), None
    content, status = read_with_status(path, MOST_IN_MEMORY, PhotoError, advice=_CHECK)
    return FileRead(path, hashlib.sha256(content).digest(), _state(status)), content


def open_read(read: FileRead, content: bytes | None, side: int, max_pixels: int | None = None) -> tuple[Entry, Photo]:
    """The photo in a file that was read.

    Args:
        read, content: from `read_file`.
        side: pixels a side that the vision network sees; the photo is squashed to that.
        max_pixels: see `open_photo`.

    Raises:
        PhotoError: if it is no photo, see `open_photo`, or the file, whose bytes are not in memory, is another by now;
            it names the file.
    """
    try:
        photo = open_photo(read.path if content is None else content, max_pixels=max_pixels, min_side=side)
    except PhotoError as error:
        raise PhotoError(str(error).replace("<bytes>", escaped(read.path), 1)) from None
    taken = date_taken(read.path if content is None else BytesIO(content))
    if content is None:
        with open_regular(read.path, MAX_FILE_BYTES, PhotoError, advice=_CHECK) as stream:
            if _read_in_pieces(read.path, stream) != read:
                raise problem(read.path, "changed while it was read", PhotoError, "Try again.")
    entry = Entry(read.path, read.sha256, read.state, photo.width, photo.height, taken)
    return entry, replace(photo, file=read.path).prepared(side)


def _read_in_pieces(path: str, stream: BinaryIO) -> FileRead:
    try:
        state = _state(os.fstat(stream.fileno()))
        return FileRead(path, bytes.fromhex(sha256_hex(stream)), state)
    except OSError as error:
        raise unreadable(path, error, PhotoError, _CHECK) from None


def _state(status: os.stat_result) -> FileState:
    return FileState(status.st_size, status.st_mtime_ns)
