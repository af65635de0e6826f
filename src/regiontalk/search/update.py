"""Bringing an index up to date with files: new, changed, moved, copied and deleted ones.

A photo is its content. A file whose size and time did not change is taken as unchanged without
reading it; any other is read, and one whose content the index knows, under whatever path, need not
be looked at again. A photo's text goes with it when it is moved or copied, and stays with the file
when its content changes, until another text is given.

Each file is read once, a huge one twice, and all that is stored of it is about the same bytes.
Otherwise a file that is written over meanwhile would leave the regions of one photo under the
checksum of another, and a copy of the other would get them.
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
"""Files between commits: what is lost at most when the process is killed."""

MOST_IN_MEMORY = 1 << 28
"""Bytes. A larger file is read a piece at a time, opened, and read once more to see that it is
still the same."""

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
        What was read, and its bytes; None if they are more than `MOST_IN_MEMORY`, of which only a
        piece at a time was.

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
    """The photo in a file that was read.

    Args:
        read, content: from `read_file`.
        side: pixels a side that the vision network sees; the photo is squashed to that.
        max_pixels: see `open_photo`.

    Raises:
        PhotoError: if it is no photo, see `open_photo`, or the file, whose bytes are not in memory,
            is another by now; it names the file.
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
    """Whether a file was removed or renamed.

    Its folder is there, can be read and holds something, but not this file. Of a disk that is not
    connected there is no folder, or the empty one that it is connected to: then nobody knows.
    """
    try:
        with os.scandir(os.path.dirname(path)) as inside:
            return next(inside, None) is not None and not os.path.lexists(path)
    except OSError:
        return False


@dataclass
class Tally:
    """What became of the files: how many of each kind.

    `failed` counts those that are no usable photo, `captioned` photos that got another text than
    they had.
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
    """One run over some files. Nothing counts before `commit`.

    Args:
        writer: of the index, open.
        texts: absolute path → the text that the photo gets; "" takes the one away that it has.

    Attributes:
        tally: so far.
    """

    def __init__(self, writer: IndexWriter, texts: Mapping[str, str] | None = None) -> None:
        self.tally = Tally()
        self._writer, self._texts = writer, texts or {}
        self._by_path: dict[str, Location] = {}
        self._by_content: dict[bytes, dict[str, None]] = {}  # sha256 -> paths, in order
        # sha256 -> where its regions are, even if the photo was dropped
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
        """The absolute paths, each once, of files that are new, or of another size or time.

        Reads no file.
        """
        changed: dict[Path, None] = {}
        for path in dict.fromkeys(os.path.abspath(file) for file in files):
            state = file_state(path)
            if state is not None and path in self._by_path and self._entry(path).state == state:
                self.tally.unchanged += 1
            else:
                changed[Path(path)] = None
        return list(changed)

    def knows(self, read: FileRead) -> bool:
        """Whether the index knows a file's content, under whatever path.

        If not, the file must be looked at.
        """
        return read.sha256 in self._sources

    def take_known(self, read: FileRead) -> None:
        """A file whose content the index knows: its regions are taken from there.

        Raises:
            DataError: if the segment with its regions is damaged.
        """
        known = self._by_content.get(read.sha256, {})
        gone = [each for each in known if was_removed(each)]
        # Copies may have texts of their own
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
        """A file whose content the index does not know, and what was found in it."""
        entry = self._with_text(
            entry, self._text(entry.path) if entry.path in self._by_path else ""
        )
        if self._forget(entry.path):
            self.tally.changed += 1
        else:
            self.tally.added += 1
        self._pending[entry.path] = columns_of(entry, regions, self._writer.manifest.storage)

    def put_texts(self) -> None:
        """Gives their texts to the index's photos that do not have them yet, `GROUP` a commit."""
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
        """A file whose content the index does not know, and that is no usable photo.

        Returns:
            Whether the index held an earlier photo at this path; it is dropped, for the file is
            another now.
        """
        self.tally.failed += 1
        return self._forget(read.path)

    def missing(self, folders: Iterable[str]) -> tuple[list[str], list[str]]:
        """Paths of the index below some folders where nothing is any more.

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
        """For each name the paths of the index that it names: that file, or all below that folder.

        If it names none as it is written, then those that differ only in how letters are composed.
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
        """Makes all that was said since the last commit count, in one step.

        Raises:
            OSError: if the disk is full or refuses; then none of it counts.
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
        """An entry with the text that is given for its path; without one, the text before."""
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
        """Drops the photo at a path, if the index holds one."""
        if path not in self._by_path:
            return False
        self._by_content[self._entry(path).sha256].pop(path)
        self._dropped.append(self._by_path.pop(path))
        return True


def _at_or_below(place: str, path: str) -> bool:
    return path == place or path.startswith(os.path.join(place, ""))
