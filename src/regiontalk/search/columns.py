"""The columns of a segment: photos of an index, in memory or memory-mapped from a file.

Checksums are verified lazily: only the blocks that are read, each once, before the first read; see
`regiontalk.search.checksums`.

Axis names: P photos, R regions of all of them, B bytes of all paths, C bytes of all texts, h
dimensions of the shared space.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping

import numpy as np

from regiontalk.errors import DataError, RegionTalkError
from regiontalk.files import problem
from regiontalk.search.checksums import BlockChecks, DamagedBlockError
from regiontalk.search.storage import (
    FIRST_DATE,
    LAST_DATE,
    NO_DATE,
    Entry,
    FileState,
    decode,
    encode,
)
from regiontalk.structures import Regions

MAKE_AGAIN = "Delete the index and make it again: regiontalk index add PHOTOS --index DIR"
"""Advice in messages about a damaged segment."""


class _Whole:
    """Descriptor of a whole column, verified against its checksums at first access."""

    def __set_name__(self, owner: type[Columns], name: str) -> None:
        self._name = name

    def __get__(self, columns: Columns, owner: type[Columns]) -> np.ndarray:
        columns.require_whole()
        return columns.part(self._name, slice(0, None))


class Columns:
    """The content of a segment, verified as it is read; damage raises `DataError`.

    Args:
        arrays: the columns; those of texts may be left out where there are none.
        name: for messages: the segment's file, or the photo if it is not written yet.
        checks: checksums of each column; None for a segment that is not read from disk.
        mapped: the memory map that holds the columns, if any.

    Attributes:
        row_ends: (P,) int64; photo p has the rows from `row_ends[p - 1]` (0 for the first) to
            `row_ends[p]`.
        path_ends: (P,) int64, the same for the bytes of its path.
        text_ends: (P,) int64, the same for the bytes of its text, which may be empty.
        taken: (P,) int64, seconds since 1970 by the camera's clock, or `NO_DATE`.
        file_sizes, mtimes_ns: (P,) int64, of the photo's file.
        dimensions: (P, 2) int32, width and height in pixels.
        hubness: (P,) float32, see `Regions`.
        pooled: (P, h) float32, the mean of the photo's region vectors.
        boxes: (R, 4) float32, xyxy in pixels of the original photo; a photo's first is the whole
            photo.
        objectness: (R,) float32 in 0..1.
        scales: (R,) float32 for int8, else empty.
        vectors: (R, h) in the index's storage, v_i of Eq. 1.
        sha256: (P, 32) uint8.
        paths: (B,) uint8.
        texts: (C,) uint8, UTF-8.
    """

    row_ends, path_ends, text_ends = _Whole(), _Whole(), _Whole()
    taken, file_sizes, mtimes_ns = _Whole(), _Whole(), _Whole()
    dimensions, hubness, pooled = _Whole(), _Whole(), _Whole()
    boxes, objectness, scales, vectors = _Whole(), _Whole(), _Whole(), _Whole()
    sha256, paths, texts = _Whole(), _Whole(), _Whole()

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        name: str = "a segment",
        checks: Mapping[str, BlockChecks] | None = None,
        mapped: mmap.mmap | None = None,
    ) -> None:
        no_texts: dict[str, np.ndarray] = {"texts": np.empty(0, np.uint8)}
        no_texts["text_ends"] = np.zeros(len(arrays["row_ends"]), np.int64)
        self._arrays: Mapping[str, np.ndarray] = {**no_texts, **arrays}
        self.name, self._checks, self._mapped = name, checks or {}, mapped

    def __len__(self) -> int:
        return len(self._arrays["row_ends"])

    def part(self, name: str, rows: slice) -> np.ndarray:
        """A range of rows of a column; only these are read and verified.

        Raises:
            DataError: if they are damaged.
        """
        array = self._arrays[name]
        start, stop, _ = rows.indices(len(array))
        self._check(name, start, stop)
        part: np.ndarray = array[start:stop]
        return part

    def around(self, name: str, photos: np.ndarray) -> np.ndarray:
        """A per-region column, verified only at the rows of some photos (n,); read no others.

        Raises:
            DataError: if they are damaged.
        """
        ends = self.row_ends
        self._check(name, np.where(photos > 0, ends[photos - 1], 0), ends[photos])
        return self._arrays[name]

    def require_whole(self) -> None:
        """Checks that the mapped file was not truncated: a read past its end kills the process.

        It takes half a microsecond, and is called before each pass over a column, and before a
        photo is read.

        Raises:
            DataError: if it is truncated.
        """
        if self._mapped is not None and self._mapped.size() < len(self._mapped):
            raise self.damaged("cut off since it was opened")

    def check(self) -> None:
        """Verifies all columns against their checksums.

        Raises:
            DataError: if one is damaged.
        """
        self.require_whole()
        for name, array in self._arrays.items():
            self._check(name, 0, len(array))

    def _check(self, name: str, starts: int | np.ndarray, stops: int | np.ndarray) -> None:
        if name in self._checks:
            row_bytes = self._arrays[name].strides[0]
            try:
                self._checks[name].check(starts * row_bytes, stops * row_bytes)
            except DamagedBlockError:
                raise self.damaged(f"its checksum does not fit in {name!r}") from None

    def rows(self, photos: slice) -> slice:
        """The rows of a range of photos."""
        return _between(self.row_ends, photos)

    def path_bytes(self, photos: slice) -> slice:
        """Byte range of the paths of a range of photos."""
        return _between(self.path_ends, photos)

    def path(self, photo: int) -> str:
        """A photo's path."""
        return os.fsdecode(self.part("paths", self.path_bytes(slice(photo, photo + 1))).tobytes())

    def text_bytes(self, photos: slice) -> slice:
        """Byte range of the texts of a range of photos."""
        return _between(self.text_ends, photos)

    def text(self, photo: int) -> str:
        """A photo's text; "" if it has none.

        Raises:
            DataError: if it is damaged.
        """
        return self._decoded(self.part("texts", self.text_bytes(slice(photo, photo + 1))).tobytes())

    def all_texts(self) -> Iterator[tuple[int, str]]:
        """Number and text of each photo that has a text, in order.

        Raises:
            DataError: if one is damaged.
        """
        joined, ends = self.texts.tobytes(), self.text_ends
        for photo in np.flatnonzero(np.diff(ends, prepend=0)).tolist():
            yield (
                photo,
                self._decoded(joined[int(ends[photo - 1]) if photo else 0 : int(ends[photo])]),
            )

    def _decoded(self, text: bytes) -> str:
        try:
            return text.decode()
        except UnicodeDecodeError:
            raise self.damaged("a text is not UTF-8") from None

    def all_paths(self) -> list[str]:
        """Every photo's path, in order."""
        joined, ends = self.paths.tobytes(), self.path_ends.tolist()
        return [os.fsdecode(joined[a:b]) for a, b in zip([0, *ends], ends, strict=False)]

    def entry(self, photo: int) -> Entry:
        """A photo's metadata.

        Raises:
            DataError: if it is damaged.
        """
        self.require_whole()
        one = slice(photo, photo + 1)
        ((width, height),) = self.part("dimensions", one).tolist()
        taken, size, mtime_ns = (
            int(self.part(name, one)[0]) for name in ("taken", "file_sizes", "mtimes_ns")
        )
        if taken != NO_DATE and not FIRST_DATE <= taken <= LAST_DATE:
            raise self.damaged(f"the date {taken} lies beyond the year 9999 or before the year 1")
        return Entry(
            path=self.path(photo),
            sha256=self.part("sha256", one).tobytes(),
            state=FileState(size, mtime_ns),
            width=width,
            height=height,
            taken=None if taken == NO_DATE else taken,
            text=self.text(photo),
        )

    def regions(self, photo: int) -> Regions:
        """A photo's regions as `Model.look` found them; features are not stored, (M, 0).

        Raises:
            DataError: if they are damaged or invalid.
        """
        one, entry = slice(photo, photo + 1), self.entry(photo)
        rows = self.rows(one)
        vectors = decode(self.part("vectors", rows), self.part("scales", rows))
        boxes, objectness = (
            np.array(self.part("boxes", rows)),
            np.array(self.part("objectness", rows)),
        )
        features, hubness = (
            np.empty((len(boxes), 0), np.float32),
            float(self.part("hubness", one)[0]),
        )
        try:
            return Regions(
                entry.path, entry.width, entry.height, boxes, objectness, features, vectors, hubness
            )
        except ValueError as error:
            raise self.damaged(str(error)) from None

    def damaged(self, found: str) -> RegionTalkError:
        """The error for damaged content, naming its file."""
        return problem(self.name, f"damaged, {found}", DataError, MAKE_AGAIN)

    def with_entry(self, photo: int, entry: Entry) -> Columns:
        """A photo's regions with another entry, for a file that was moved, touched or captioned."""
        one = slice(photo, photo + 1)
        rows = self.rows(one)
        kept = {
            name: self.part(name, rows) for name in ("boxes", "objectness", "scales", "vectors")
        }
        kept |= {name: self.part(name, one) for name in ("hubness", "pooled")}
        return Columns(
            {**kept, "row_ends": np.array([rows.stop - rows.start]), **_described(entry)}, self.name
        )


def columns_of(entry: Entry, regions: Regions, storage: str) -> Columns:
    """The columns of one photo, its region vectors encoded for storage.

    Raises:
        DataError: if its vectors cannot be stored so, see `encode`.
    """
    vectors, scales = encode(regions.vectors, storage)
    kept = {
        "row_ends": np.array([len(regions)]),
        "hubness": np.array([regions.hubness], np.float32),
        "pooled": regions.vectors.mean(axis=0, keepdims=True, dtype=np.float32),
        "boxes": regions.boxes_xyxy,
        "objectness": regions.scores,
        "scales": scales,
        "vectors": vectors,
    }
    return Columns({**kept, **_described(entry)}, entry.path)


def _described(entry: Entry) -> dict[str, np.ndarray]:
    """The columns of one photo that come from its entry."""
    path, text = os.fsencode(entry.path), entry.text.encode()
    return {
        "path_ends": np.array([len(path)]),
        "text_ends": np.array([len(text)]),
        "taken": np.array([NO_DATE if entry.taken is None else entry.taken]),
        "file_sizes": np.array([entry.state.size]),
        "mtimes_ns": np.array([entry.state.mtime_ns]),
        "dimensions": np.array([[entry.width, entry.height]], np.int32),
        "sha256": np.frombuffer(entry.sha256, np.uint8).reshape(1, 32),
        "paths": np.frombuffer(path, np.uint8),
        "texts": np.frombuffer(text, np.uint8),
    }


def _between(ends: np.ndarray, photos: slice) -> slice:
    start = int(ends[photos.start - 1]) if photos.start else 0
    return slice(start, int(ends[photos.stop - 1]) if photos.stop else 0)
