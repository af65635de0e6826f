"""Photos for an index: each file is read once, and all that is stored of it is about the same bytes.

Otherwise a file that is written over while an index is made would leave the regions of one photo under the checksum of
another, and a copy of the other would get them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from io import BytesIO

from PIL import Image

from regiontalk.errors import PhotoError
from regiontalk.files import read_with_status
from regiontalk.photos import MAX_FILE_BYTES, Photo, escaped, open_photo
from regiontalk.search.entries import Entry, FileState, date_taken
from regiontalk.vision.session import prepare


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


def read_file(path: str) -> tuple[FileRead, bytes]:
    """Reads a photo's file, which takes as much memory as it has bytes.

    Raises:
        PhotoError: if it is no regular file of at most `MAX_FILE_BYTES`, cannot be read, or changes meanwhile.
    """
    content, status = read_with_status(path, MAX_FILE_BYTES, PhotoError, advice="Check the file.")
    state = FileState(status.st_size, status.st_mtime_ns)
    return FileRead(path, hashlib.sha256(content).digest(), state), content


def open_read(read: FileRead, content: bytes, side: int) -> tuple[Entry, Photo]:
    """The photo in a file that was read.

    Args:
        read, content: from `read_file`.
        side: pixels a side that the vision network sees; the photo is squashed to that.

    Raises:
        PhotoError: if it is no photo, see `open_photo`; it names the file.
    """
    try:
        photo = open_photo(content, min_side=side)
    except PhotoError as error:
        raise PhotoError(str(error).replace("<bytes>", escaped(read.path), 1)) from None
    entry = Entry(read.path, read.sha256, read.state, photo.width, photo.height, date_taken(BytesIO(content)))
    return entry, replace(photo, file=read.path, image=Image.fromarray(prepare(photo.image, side)))
