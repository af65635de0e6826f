"""Writing an index: photos are added and dropped in atomic commits, under an exclusive lock.

The system releases the lock when its process ends, however it ends.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from regiontalk.errors import DataError
from regiontalk.files import create, open_to_change, problem, written
from regiontalk.search.columns import Columns
from regiontalk.search.index import Index, open_record, require_pack
from regiontalk.search.manifest import (
    MANIFEST_FILE,
    Manifest,
    PackIdentity,
    SegmentRecord,
    clear_leftovers,
    is_unfinished,
    read_manifest,
    segment_file,
    unfinished,
)
from regiontalk.search.segment import Part, write_segment

LOCK_FILE = "lock"

_HOLDER = re.compile(rb"process [^\n]*\n?")
_MAX_LOCK_BYTES = 1000
_LOCKED_BYTE = 1 << 30  # far beyond the text, which other processes may read meanwhile

MOST_PHOTOS = 16_384
"""Maximum photos of a merged segment: with 20 regions and h = 512, 0.67 GB of float32."""

Location = tuple[str, int]
"""Name of a photo's segment file, and the photo's number in it. Valid until the next `merge`."""


class IndexWriter:
    """Context manager that writes to an index, and holds its lock.

    Segments are immutable; a commit lists new ones and dropped photos.

    Args:
        folder: the index's; created if it does not exist.
        pack: that makes the vectors; None for an index that exists, to which nothing will be added.
        storage: of the vectors: the index's own, or None for that; a new index gets float32.
        most_photos: maximum photos of a merged segment.

    Attributes:
        manifest: the committed state.
    """

    manifest: Manifest

    def __init__(
        self,
        folder: str | os.PathLike[str],
        pack: PackIdentity | None,
        storage: str | None = None,
        most_photos: int = MOST_PHOTOS,
    ) -> None:
        self.folder = Path(folder)
        self._pack, self._storage, self._most_photos = pack, storage, most_photos
        self._opened: dict[str, Columns] = {}
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        """Takes the lock, creates a missing index, and deletes leftovers of a killed writer.

        Raises:
            DataError: if the folder holds something else, or an index of another pack, version or
                storage, or another process writes to it.
            OSError: if the folder cannot be written.
        """
        if self._pack is None or (self.folder / MANIFEST_FILE).exists():
            # Fails before a lock file is created in a folder that is no index
            read_manifest(self.folder)
        else:
            require_empty(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(WriterLock(self.folder))
            self.manifest = self._begin()
            clear_leftovers(self.folder, self.manifest)
            self._exit = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.clear()
        self._exit.close()

    def _begin(self) -> Manifest:
        if not (self.folder / MANIFEST_FILE).exists() and self._pack is not None:
            manifest = Manifest(self._pack, self._storage or "float32")
            with self._writing():
                manifest.save(self.folder)
            return manifest
        manifest = read_manifest(self.folder)
        if self._pack is not None:
            require_pack(self.folder, manifest, self._pack)
        if self._storage not in (None, manifest.storage):
            raise DataError(
                f"{self.folder}: stores {manifest.storage}, not {self._storage}. "
                "Leave the storage out, or make another index."
            )
        return manifest

    def columns(self, location: Location) -> Columns:
        """The segment of a location, read lazily and verified first.

        Raises:
            DataError: if it is damaged.
        """
        file, _ = location
        if file not in self._opened:
            self._opened[file] = open_record(self.folder, self.manifest, self._record(file))
        return self._opened[file]

    def commit(self, added: Sequence[Columns], dropped: Sequence[Location] = ()) -> list[Location]:
        """Adds and drops photos atomically. When it returns, both are on the disk.

        Args:
            added: photos, in order; any number, they become one segment.
            dropped: photos to drop.

        Returns:
            The locations of the added photos, in order.

        Raises:
            OSError: if the disk is full or refuses; then nothing changed.
        """
        if not added and not dropped:
            return []
        segments = _without(self.manifest.segments, dropped)
        with self._writing():
            new = [self._write([(each, slice(0, len(each))) for each in added])] if added else []
            self._save(segments + tuple(new), len(new))
        return [(record.file, photo) for record in new for photo in range(record.photos)]

    def merge(self) -> None:
        """Merges small segments and purges dropped photos; locations become invalid.

        Adjacent segments are merged where the earlier one has less than twice the photos of those
        after it, so that a photo is copied about log₂ of the number of photos times, in whatever
        batches they were added. Each merge is a commit of its own.

        Raises:
            DataError: if a segment to merge is damaged; earlier merges stay.
            OSError: if the disk is full or refuses; the index stays intact.
        """
        for group in _groups(self.manifest.segments, self._most_photos):
            place = self.manifest.segments.index(group[0])
            before, after = (
                self.manifest.segments[:place],
                self.manifest.segments[place + len(group) :],
            )
            parts = [part for record in group for part in self._kept_parts(record)]
            with self._writing():
                new = (self._write(parts),) if parts else ()
                self._save(before + new + after, len(new))
            self._opened.clear()
            for record in group:
                with suppress(OSError):  # see clear_leftovers
                    (self.folder / record.file).unlink()

    def _record(self, file: str) -> SegmentRecord:
        return next(each for each in self.manifest.segments if each.file == file)

    def _kept_parts(self, record: SegmentRecord) -> list[Part]:
        """Runs of consecutive photos of a segment that were not dropped."""
        kept = np.setdiff1d(np.arange(record.photos), record.dropped)
        # In a run of consecutive numbers, number minus index is constant
        runs = [
            [int(p) for _, p in run]
            for _, run in groupby(enumerate(kept), key=lambda pair: pair[1] - pair[0])
        ]
        return [(self.columns((record.file, run[0])), slice(run[0], run[-1] + 1)) for run in runs]

    def _write(self, parts: Sequence[Part]) -> SegmentRecord:
        name = segment_file(self.manifest.next_number)
        file, dim, storage = self.folder / name, self.manifest.pack.dim, self.manifest.storage
        with written(file, beside=unfinished(file)) as stream:
            sizes, crc32 = write_segment(stream, parts, dim, storage)
        counts = sizes.photos, sizes.regions, sizes.path_bytes, crc32
        return SegmentRecord(name, *counts, text_bytes=sizes.text_bytes)

    def _save(self, segments: tuple[SegmentRecord, ...], written: int) -> None:
        manifest = self.manifest.with_segments(segments, written)
        manifest.save(self.folder)
        self.manifest = manifest

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Adds to a disk error how many photos are committed."""
        try:
            yield
        except OSError as error:
            kept = self.manifest.photos if hasattr(self, "manifest") else 0
            text = (
                f"cannot be written ({error.strerror}); the index keeps its {kept} photos. "
                "Make room and go on"
            )
            raise OSError(error.errno, text, str(self.folder)) from error


def locations(index: Index) -> Iterator[tuple[str, bytes, Location]]:
    """Path, sha256 and location of each photo that was not dropped, in order."""
    for segment in index.segments:
        paths = segment.columns.all_paths()
        for place in np.flatnonzero(segment.kept):
            yield (
                paths[place],
                segment.columns.sha256[place].tobytes(),
                (segment.record.file, int(place)),
            )


def _without(
    segments: Sequence[SegmentRecord], dropped: Sequence[Location]
) -> tuple[SegmentRecord, ...]:
    by_file: dict[str, set[int]] = {}
    for file, photo in dropped:
        by_file.setdefault(file, set()).add(photo)
    return tuple(
        replace(each, dropped=tuple(sorted({*each.dropped, *by_file[each.file]})))
        if each.file in by_file
        else each
        for each in segments
    )


def _groups(segments: Sequence[SegmentRecord], most: int) -> list[list[SegmentRecord]]:
    """Adjacent segments to merge, and single ones that are mostly dropped, from last to first."""
    groups: list[list[SegmentRecord]] = []
    for record in reversed(segments):
        total = sum(each.kept for each in groups[-1]) if groups else 0
        if groups and record.kept < 2 * total and record.kept + total <= most:
            groups[-1].insert(0, record)
        else:
            groups.append([record])
    return [group for group in groups if len(group) > 1 or 2 * group[0].kept < group[0].photos]


def require_empty(folder: Path) -> None:
    """Checks that a folder is missing or empty, or left by a writer killed before its first commit.

    Raises:
        DataError: if there is something else.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: expected a folder for the index, found a file. Name another.")
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    others = sorted(name for name in names if name != LOCK_FILE and not is_unfinished(name))
    if others:
        raise DataError(
            f"{folder}: holds {others[0]!r} and is no index. "
            "Name a folder that is empty or not there."
        )


# The lock


class WriterLock:
    """Exclusive lock of an index for writing, by a system lock on a file.

    The file stays and names the last holder; without the system's lock it has no effect, so that
    one left by a killed process does not block.

    Args:
        folder: the index's, which must exist.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / LOCK_FILE
        self._stream: BinaryIO | None = None

    def __enter__(self) -> Self:
        """Takes the lock.

        Raises:
            DataError: if another process holds it, the file system has no locks, or the lock's file
                is something else: a link, a pipe, or a file that no writer of an index wrote.
            OSError: if the folder cannot be written.
        """
        stream = self._open()
        try:
            holder = self._holder(stream)
            try:
                _lock(stream)
            except OSError as error:
                raise self._refusal(holder, error) from None
            stream.seek(0)
            stream.truncate()
            stream.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
            stream.flush()
        except BaseException:
            stream.close()
            raise
        self._stream = stream
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            with suppress(OSError):
                _unlock(self._stream)
            self._stream.close()
            self._stream = None

    def _open(self) -> BinaryIO:
        try:
            return create(self._file)
        except FileExistsError:
            return open_to_change(self._file, _MAX_LOCK_BYTES)

    def _holder(self, stream: BinaryIO) -> str:
        """The last holder that the lock file names.

        Raises:
            DataError: if another program wrote the file, so that it is never overwritten.
        """
        text = stream.read(_MAX_LOCK_BYTES)
        if text and not _HOLDER.fullmatch(text):
            found = "expected the lock of an index, found something else"
            raise problem(self._file, found, DataError, "Move it away; nothing was changed.")
        return text.decode("utf-8", "replace").strip()

    def _refusal(self, holder: str, error: OSError) -> DataError:
        """The error for a refused lock; EAGAIN and EACCES mean that another process holds it."""
        folder = self._file.parent
        if not isinstance(error, BlockingIOError | PermissionError):
            return DataError(
                f"{folder}: cannot be locked for writing ({error.strerror}); its file system seems "
                "not to support it. Put the index on another disk; nothing was changed."
            )
        return DataError(
            f"{folder}: another process is writing to this index ({holder or 'unknown'}). "
            "Wait until it is done, or end it; nothing was changed."
        )


if sys.platform == "win32":
    import msvcrt

    def _lock(stream: BinaryIO) -> None:
        stream.seek(_LOCKED_BYTE)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)

    def _unlock(stream: BinaryIO) -> None:
        stream.seek(_LOCKED_BYTE)
        msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(stream: BinaryIO) -> None:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(stream: BinaryIO) -> None:
        fcntl.flock(stream.fileno(), fcntl.LOCK_UN)
