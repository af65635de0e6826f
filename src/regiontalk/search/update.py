"""Updating an index with files: new, changed, moved, copied and deleted ones.

Photos are identified by the SHA-256 of their content. A file whose size and mtime did not change
counts as unchanged and is not read; any other is read, and one whose content is in the index, under
any path, is not looked at again. A photo's text goes with it when it is moved or copied, and stays
with the file when its content changes, until another text is given.

Each file is read once, a huge one hashed once more after it is opened, so that checksum and regions
are of the same bytes. Otherwise a file that is overwritten meanwhile would store the regions of one
photo under the checksum of another, and a copy of the other would reuse them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from regiontalk.errors import PhotoError
from regiontalk.files import open_regular, problem, read_with_status, sha256_hex, unreadable
from regiontalk.photos import MAX_FILE_BYTES, Photo, escaped, open_photo
from regiontalk.photos.dates import date_taken
from regiontalk.search.columns import Columns, columns_of
from regiontalk.search.filters import composed
from regiontalk.search.index import Index
from regiontalk.search.storage import Entry, FileState, file_state
from regiontalk.search.writer import IndexWriter, Location, locations
from regiontalk.structures import Regions

GROUP = 256
"""Files per commit: at most the work on so many is lost when the process is killed."""

MOST_IN_MEMORY = 1 << 28
"""Bytes. A larger file is hashed in pieces, opened, and hashed again to check that it is the
same."""

_CHECK = "Check the file."


@dataclass(frozen=True)
class FileRead:
    """Path, checksum and state of a file that was read.

    Attributes:
        path: absolute.
        sha256: of the bytes that were read.
        state: of the file that they were read from.
    """

    path: str
    sha256: bytes
    state: FileState


def read_file(path: str) -> tuple[FileRead, bytes | None]:
    """Reads and hashes a photo's file.

    Returns:
        The record of the file, and its bytes; None for more than `MOST_IN_MEMORY`, which are only
        hashed, in pieces.

    Raises:
        PhotoError: if it is no regular file of at most `MAX_FILE_BYTES`, cannot be read, or changes
            meanwhile.
    """
    with open_regular(path, MAX_FILE_BYTES, PhotoError, advice=_CHECK) as stream:
        if os.fstat(stream.fileno()).st_size > MOST_IN_MEMORY:
            return _read_in_pieces(path, stream), None
    content, status = read_with_status(path, MOST_IN_MEMORY, PhotoError, advice=_CHECK)
    return FileRead(path, hashlib.sha256(content).digest(), _state(status)), content


def open_read(
    read: FileRead, content: bytes | None, side: int, max_pixels: int | None = None
) -> tuple[Entry, Photo]:
    """Decodes the photo in a file that was read.

    Args:
        read, content: from `read_file`.
        side: pixels a side of the vision network's input; the photo is squashed to that.
        max_pixels: see `open_photo`.

    Raises:
        PhotoError: if it is no photo, see `open_photo`, or a file that is not in memory changed
            since; it names the file.
    """
    try:
        photo = open_photo(
            read.path if content is None else content, max_pixels=max_pixels, min_side=side
        )
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


def was_removed(path: str) -> bool:
    """Whether a file was removed or renamed, rather than on a disk that is not connected.

    Its folder can be read and is not empty, but lacks the file. Of a disk that is not connected the
    folder is missing, or an empty mount point.
    """
    try:
        with os.scandir(os.path.dirname(path)) as inside:
            return next(inside, None) is not None and not os.path.lexists(path)
    except OSError:
        return False


@dataclass
class Tally:
    """Number of files by outcome.

    `failed` counts those that are no usable photo, `captioned` photos whose text changed.
    """

    added: int = 0
    changed: int = 0
    moved: int = 0
    copied: int = 0
    unchanged: int = 0
    dropped: int = 0
    failed: int = 0
    captioned: int = 0

    def to_json(self) -> dict[str, int]:
        """Counts by kind."""
        return asdict(self)


class Update:
    """Batch of changes to an index; they take effect at `commit`.

    Args:
        writer: of the index, open.
        texts: absolute path → the photo's new text; "" removes its text.

    Attributes:
        tally: so far.
    """

    def __init__(self, writer: IndexWriter, texts: Mapping[str, str] | None = None) -> None:
        self.tally = Tally()
        self._writer, self._texts = writer, texts or {}
        self._by_path: dict[str, Location] = {}
        self._by_content: dict[bytes, dict[str, None]] = {}  # sha256 -> paths, in order
        # sha256 -> location of its regions, even if the photo was dropped
        self._sources: dict[bytes, Location] = {}
        self._pending: dict[str, Columns] = {}
        self._dropped: list[Location] = []
        records = writer.manifest.segments
        index = Index(
            writer.folder, writer.manifest, [writer.columns((each.file, 0)) for each in records]
        )
        for path, sha256, location in locations(index):
            self._know(path, sha256, location)

    def changed(self, files: Iterable[Path]) -> list[Path]:
        """Distinct absolute paths of files that are new or differ in size or mtime; reads none."""
        changed: dict[Path, None] = {}
        for path in dict.fromkeys(os.path.abspath(file) for file in files):
            state = file_state(path)
            if state is not None and path in self._by_path and self._entry(path).state == state:
                self.tally.unchanged += 1
            else:
                changed[Path(path)] = None
        return list(changed)

    def knows(self, read: FileRead) -> bool:
        """Whether the index has a file's content under any path; if not, it must be looked at."""
        return read.sha256 in self._sources

    def take_known(self, read: FileRead) -> None:
        """Adds a file whose content the index has; its regions are reused.

        Raises:
            DataError: if the segment with its regions is damaged.
        """
        known = self._by_content.get(read.sha256, {})
        gone = [each for each in known if was_removed(each)]
        # Copies may have different texts: that of this path, or else of the moved file, is kept
        owner = read.path if read.path in known else next(iter(gone), None)
        before = self._text(owner) if owner else ""
        if read.path in known:
            self.tally.unchanged += 1
        elif gone:
            self.tally.moved += 1
            self._forget(gone[0])
        else:
            self.tally.copied += 1
        columns, place = self._content(self._sources[read.sha256])
        self._forget(read.path)
        entry = replace(columns.entry(place), path=read.path, state=read.state)
        entry = self._with_text(entry, before if owner else entry.text)
        self._pending[read.path] = columns.with_entry(place, entry)

    def add(self, entry: Entry, regions: Regions) -> None:
        """Adds a file whose content the index does not have, with its regions."""
        entry = self._with_text(
            entry, self._text(entry.path) if entry.path in self._by_path else ""
        )
        if self._forget(entry.path):
            self.tally.changed += 1
        else:
            self.tally.added += 1
        self._pending[entry.path] = columns_of(entry, regions, self._writer.manifest.storage)

    def put_texts(self) -> None:
        """Sets new texts of photos that are in the index already, `GROUP` photos a commit."""
        for path in self._texts:
            if path not in self._by_path or self._text(path) == self._texts[path]:
                continue
            columns, place = self._content(self._by_path[path])
            entry = columns.entry(place)
            self._pending[path] = columns.with_entry(place, self._with_text(entry, entry.text))
            self._forget(path)
            if len(self._pending) >= GROUP:
                self.commit()
        self.commit()

    def refuse(self, read: FileRead) -> bool:
        """Counts a file as failed: no usable photo, and no content that the index has.

        Returns:
            Whether the index held an earlier photo at this path; it is dropped, as the file
            changed.
        """
        self.tally.failed += 1
        return self._forget(read.path)

    def missing(self, folders: Iterable[str]) -> tuple[list[str], list[str]]:
        """Paths of the index below some folders whose files do not exist any more.

        Returns:
            Those that were removed, see `was_removed`; and those that may only be out of reach.
        """
        roots = tuple(os.path.join(os.path.abspath(folder), "") for folder in folders)
        missing = [
            path for path in self._by_path if path.startswith(roots) and not os.path.lexists(path)
        ]
        removed = {path for path in missing if was_removed(path)}
        return [path for path in missing if path in removed], [
            path for path in missing if path not in removed
        ]

    def named(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Paths of the index for each name: that file, or all files below that folder.

        If a name matches none exactly, those that are equal in Unicode NFC.
        """
        found = {}
        for name in names:
            path = os.path.abspath(name)
            found[name] = [each for each in self._by_path if _at_or_below(path, each)] or [
                each for each in self._by_path if _at_or_below(composed(path), composed(each))
            ]
        return found

    def drop(self, paths: Iterable[str]) -> None:
        """Drops photos."""
        for path in paths:
            self.tally.dropped += self._forget(path)

    def commit(self) -> None:
        """Commits all changes since the last commit atomically.

        Raises:
            OSError: if the disk is full or refuses; then none of them takes effect.
        """
        pending, dropped = list(self._pending.values()), self._dropped
        self._pending, self._dropped = {}, []
        for columns, location in zip(pending, self._writer.commit(pending, dropped), strict=True):
            entry = columns.entry(0)
            self._know(entry.path, entry.sha256, location)

    def _entry(self, path: str) -> Entry:
        columns, place = self._content(self._by_path[path])
        return columns.entry(place)

    def _text(self, path: str) -> str:
        columns, place = self._content(self._by_path[path])
        return columns.text(place)

    def _with_text(self, entry: Entry, before: str) -> Entry:
        """An entry with the new text for its path; without one, the previous text."""
        text = self._texts.get(entry.path, before)
        self.tally.captioned += text != before
        return replace(entry, text=text)

    def _content(self, location: Location) -> tuple[Columns, int]:
        return self._writer.columns(location), location[1]

    def _know(self, path: str, sha256: bytes, location: Location) -> None:
        self._by_path[path] = location
        self._by_content.setdefault(sha256, {})[path] = None
        self._sources[sha256] = location

    def _forget(self, path: str) -> bool:
        """Drops the photo at a path; False if the index has none there."""
        if path not in self._by_path:
            return False
        self._by_content[self._entry(path).sha256].pop(path)
        self._dropped.append(self._by_path.pop(path))
        return True


def _at_or_below(place: str, path: str) -> bool:
    return path == place or path.startswith(os.path.join(place, ""))
