"""Reading an index of photos: a snapshot of its memory-mapped segments.

Axis names: P photos of a segment.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from regiontalk.errors import DataError
from regiontalk.search.columns import Columns
from regiontalk.search.manifest import Manifest, PackIdentity, SegmentRecord, read_manifest
from regiontalk.search.segment import open_segment
from regiontalk.search.storage import Entry
from regiontalk.search.texts import Texts
from regiontalk.structures import WHOLE_PHOTO, Regions

_TRIES = 5


@dataclass(frozen=True, eq=False)
class Segment:
    """A segment of an open index.

    Attributes:
        record: its record in the manifest.
        columns: its content.
        start: the position of its first photo in the index.
        kept: (P,) bool, False for dropped photos.
    """

    record: SegmentRecord
    columns: Columns
    start: int
    kept: np.ndarray


class Index:
    """A snapshot of an index: its photos when it was opened, whatever a writer does meanwhile.

    A *position* numbers the photos through all segments, from 0; dropped photos keep theirs.

    Attributes:
        folder: where it lies.
        manifest: the one it was opened with.
        segments: in order.
        photos: number of photos, without dropped ones.
    """

    def __init__(self, folder: Path, manifest: Manifest, columns: list[Columns]) -> None:
        """Use `open`."""
        self.folder, self.manifest = folder, manifest
        self.segments: list[Segment] = []
        start = 0
        for record, each in zip(manifest.segments, columns, strict=True):
            kept = np.ones(len(each), bool)
            kept[list(record.dropped)] = False
            self.segments.append(Segment(record, each, start, kept))
            start += len(each)
        self._starts = np.array([each.start for each in self.segments])
        self.photos = manifest.photos

    @classmethod
    def open(cls, folder: str | os.PathLike[str], pack: PackIdentity | None = None) -> Index:
        """Opens an index; its columns are read lazily.

        Args:
            folder: the index's.
            pack: that will be used with it; None to skip that check.

        Raises:
            DataError: if there is no index, or it is damaged, of another version or of another
                pack.
        """
        folder = Path(folder)
        for left in reversed(range(_TRIES)):
            manifest = read_manifest(folder)
            if pack is not None:
                require_pack(folder, manifest, pack)
            try:
                columns = [open_record(folder, manifest, each) for each in manifest.segments]
            except DataError:
                if left and read_manifest(folder) != manifest:
                    continue  # a writer merged segments after the manifest was read
                raise
            return cls(folder, manifest, columns)
        raise AssertionError("unreachable")

    def __len__(self) -> int:
        """Number of positions, those of dropped photos included."""
        return sum(len(each.columns) for each in self.segments)

    def find(self, position: int) -> tuple[Segment, int]:
        """The segment of a position, and the photo's number in it."""
        segment = self.segments[int(np.searchsorted(self._starts, position, side="right")) - 1]
        return segment, position - segment.start

    def entry(self, position: int) -> Entry:
        """A photo's metadata."""
        segment, place = self.find(position)
        return segment.columns.entry(place)

    def regions(self, position: int) -> Regions:
        """A photo's boxes and vectors; features, (M, 0), are not kept."""
        segment, place = self.find(position)
        return segment.columns.regions(place)

    def entries(self) -> Iterator[tuple[int, Entry]]:
        """Position and entry of each photo that was not dropped, in order."""
        for segment in self.segments:
            for place in np.flatnonzero(segment.kept):
                yield segment.start + int(place), segment.columns.entry(int(place))

    @cached_property
    def texts(self) -> Texts:
        """The texts of photos that were not dropped, all read at first access.

        Raises:
            DataError: if one is damaged.
        """
        found = (
            (segment.start + place, text)
            for segment in self.segments
            for place, text in segment.columns.all_texts()
            if segment.kept[place]
        )
        return Texts(found, self.photos)

    def verify(self) -> None:
        """Reads everything, and verifies checksums and consistency.

        Raises:
            DataError: if something is damaged; it names the file.
        """
        for segment in self.segments:
            # Opened anew, as it is on the disk now: an open one verifies each block only once
            columns = open_record(self.folder, self.manifest, segment.record)
            columns.check()
            _verify_boxes(columns)
        self._verify_paths()

    def _verify_paths(self) -> None:
        paths = Counter(
            path
            for each in self.segments
            for path, kept in zip(each.columns.all_paths(), each.kept, strict=True)
            if kept
        )
        twice = [path for path, times in paths.items() if times > 1]
        if twice:
            raise DataError(
                f"{self.folder}: holds {len(twice)} photos twice, such as {twice[0]!r}. "
                "Make it again."
            )


def require_pack(folder: Path, manifest: Manifest, pack: PackIdentity) -> None:
    """Checks that an index was made with a pack: vectors of different packs are not comparable.

    Raises:
        DataError: if the index is of another pack.
    """
    made = manifest.pack
    if (made.checksum, made.dim) != (pack.checksum, pack.dim):
        raise DataError(
            f"{folder}: was made with the pack {made.name!r} ({made.checksum[:12]}), not with "
            f"{pack.name!r} ({pack.checksum[:12]}). Name that pack (--pack FOLDER, or "
            "load(FOLDER)), or make another index with this."
        )


def open_record(folder: Path, manifest: Manifest, record: SegmentRecord) -> Columns:
    """Opens a segment by its record in the manifest, see `open_segment`."""
    return open_segment(folder / record.file, manifest.sizes(record), record.crc32)


def _verify_boxes(columns: Columns) -> None:
    first = np.concatenate([[0], columns.row_ends[:-1]])
    # whole: (P, 4)
    whole = np.concatenate([np.zeros_like(columns.dimensions), columns.dimensions], axis=1)
    if not np.array_equal(columns.boxes[first + WHOLE_PHOTO], whole.astype(np.float32)):
        raise columns.damaged("a photo's first box is not the whole photo")
