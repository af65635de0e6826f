"""A segment: some photos of an index in one file that never changes, mapped into memory when it is read.

The file is in the safetensors format, so that other programs can read it too. Its header follows from the segment's
sizes alone, to the byte: a file with any other header is not read.

Axis names: P photos, R regions of all of them, B bytes of all paths, h dimensions of the shared space.
"""

from __future__ import annotations

import json
import mmap
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from regiontalk.errors import DataError
from regiontalk.files import open_regular, problem, unreadable
from regiontalk.search.entries import FIRST_DATE, LAST_DATE, NO_DATE, Entry, FileState
from regiontalk.search.storage import decode, encode
from regiontalk.structures import Regions

_TYPES = {"<i8": "I64", "<i4": "I32", "<f4": "F32", "<f2": "F16", "|i1": "I8", "|u1": "U8"}
_VECTOR_TYPES = {"float32": "<f4", "float16": "<f2", "int8": "|i1"}
_ALIGNMENT = 64
_PIECE_BYTES = 1 << 24

_PHOTO_COLUMNS = ("taken", "file_sizes", "mtimes_ns", "dimensions", "hubness", "pooled", "sha256")
"""Columns with a row for each photo; the others, but for paths, have one for each region."""
_MAKE_AGAIN = "Delete the index and make it again."


@dataclass(frozen=True)
class Sizes:
    """What a segment's layout follows from.

    Attributes:
        photos, regions, path_bytes: P, R, B.
        dim: h.
        storage: of the region vectors, see `regiontalk.search.storage`.
    """

    photos: int
    regions: int
    path_bytes: int
    dim: int
    storage: str

    def columns(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Type and shape of each column, in the order of the file: those with wide numbers first, so that each is
        aligned."""
        p, r = self.photos, self.regions
        columns: dict[str, tuple[str, tuple[int, ...]]] = {
            "row_ends": ("<i8", (p,)),
            "path_ends": ("<i8", (p,)),
            "taken": ("<i8", (p,)),
            "file_sizes": ("<i8", (p,)),
            "mtimes_ns": ("<i8", (p,)),
            "dimensions": ("<i4", (p, 2)),
            "hubness": ("<f4", (p,)),
            "pooled": ("<f4", (p, self.dim)),
            "boxes": ("<f4", (r, 4)),
            "objectness": ("<f4", (r,)),
            "scales": ("<f4", (r if self.storage == "int8" else 0,)),
            "vectors": (_VECTOR_TYPES[self.storage], (r, self.dim)),
            "sha256": ("|u1", (p, 32)),
            "paths": ("|u1", (self.path_bytes,)),
        }
        return columns

    def header(self) -> bytes:
        """The bytes before the first column."""
        described: dict[str, object] = {"__metadata__": {"format": "regiontalk-index-segment"}}
        start = 0
        for name, (kind, shape) in self.columns().items():
            end = start + _bytes_of(kind, shape)
            described[name] = {"dtype": _TYPES[kind], "shape": list(shape), "data_offsets": [start, end]}
            start = end
        text = json.dumps(described, separators=(",", ":")).encode("ascii")
        text += b" " * (-(8 + len(text)) % _ALIGNMENT)
        return len(text).to_bytes(8, "little") + text

    def file_bytes(self) -> int:
        """The whole file's size."""
        return len(self.header()) + sum(_bytes_of(*column) for column in self.columns().values())


@dataclass(frozen=True, eq=False)
class Columns:
    """The content of a segment, in memory or mapped.

    Attributes:
        row_ends: (P,) int64; photo p has the rows from `row_ends[p - 1]` (0 for the first) to `row_ends[p]`.
        path_ends: (P,) int64, the same for the bytes of its path.
        taken: (P,) int64, seconds since 1970 by the camera's clock, or `NO_DATE`.
        file_sizes, mtimes_ns: (P,) int64, of the photo's file.
        dimensions: (P, 2) int32, width and height in pixels.
        hubness: (P,) float32, see `Regions`.
        pooled: (P, h) float32, the mean of the photo's region vectors.
        boxes: (R, 4) float32, xyxy in pixels of the original photo; a photo's first is the whole of it.
        objectness: (R,) float32 in 0..1.
        scales: (R,) float32 for int8, else empty.
        vectors: (R, h) in the index's storage, v_i of Eq. 1.
        sha256: (P, 32) uint8.
        paths: (B,) uint8.
        name: for messages: the segment's file, or the photo if it is not written yet.
    """

    row_ends: np.ndarray
    path_ends: np.ndarray
    taken: np.ndarray
    file_sizes: np.ndarray
    mtimes_ns: np.ndarray
    dimensions: np.ndarray
    hubness: np.ndarray
    pooled: np.ndarray
    boxes: np.ndarray
    objectness: np.ndarray
    scales: np.ndarray
    vectors: np.ndarray
    sha256: np.ndarray
    paths: np.ndarray
    name: str = "a segment"

    def __len__(self) -> int:
        return len(self.row_ends)

    def rows(self, photos: slice) -> slice:
        """The rows of a run of photos."""
        return _between(self.row_ends, photos)

    def path_bytes(self, photos: slice) -> slice:
        """Where the paths of a run of photos lie."""
        return _between(self.path_ends, photos)

    def path(self, photo: int) -> str:
        """A photo's path."""
        return os.fsdecode(self.paths[self.path_bytes(slice(photo, photo + 1))].tobytes())

    def all_paths(self) -> list[str]:
        """Every photo's path, in order."""
        joined, ends = self.paths.tobytes(), self.path_ends.tolist()
        return [os.fsdecode(joined[a:b]) for a, b in zip([0, *ends], ends, strict=False)]

    def entry(self, photo: int) -> Entry:
        """What is known about a photo.

        Raises:
            DataError: if its date is none, which only damage can bring about.
        """
        taken = int(self.taken[photo])
        if taken != NO_DATE and not FIRST_DATE <= taken <= LAST_DATE:
            raise self.damaged(f"the date {taken} lies beyond the year 9999 or before the year 1")
        return Entry(
            path=self.path(photo),
            sha256=self.sha256[photo].tobytes(),
            state=FileState(int(self.file_sizes[photo]), int(self.mtimes_ns[photo])),
            width=int(self.dimensions[photo, 0]),
            height=int(self.dimensions[photo, 1]),
            taken=None if taken == NO_DATE else taken,
        )

    def regions(self, photo: int) -> Regions:
        """A photo's regions as `Model.look` found them, but for their features, (M, 0), which are not kept.

        Raises:
            DataError: if they are none that a photo can have, which only damage can bring about.
        """
        rows, entry = self.rows(slice(photo, photo + 1)), self.entry(photo)
        vectors = decode(self.vectors[rows], self.scales[rows])
        boxes, objectness = np.array(self.boxes[rows]), np.array(self.objectness[rows])
        features, hubness = np.empty((len(boxes), 0), np.float32), float(self.hubness[photo])
        try:
            return Regions(entry.path, entry.width, entry.height, boxes, objectness, features, vectors, hubness)
        except ValueError as error:
            raise self.damaged(str(error)) from None

    def damaged(self, found: str) -> DataError:
        """The error for content that no sound segment has."""
        return DataError(f"{self.name}: damaged, {found}. {_MAKE_AGAIN}")

    def with_entry(self, photo: int, entry: Entry) -> Columns:
        """A photo's regions under another entry: what was moved or touched need not be looked at again."""
        rows, one = self.rows(slice(photo, photo + 1)), slice(photo, photo + 1)
        kept = {name: getattr(self, name)[rows] for name in ("boxes", "objectness", "scales", "vectors")}
        return Columns(
            row_ends=np.array([rows.stop - rows.start]),
            hubness=self.hubness[one],
            pooled=self.pooled[one],
            name=self.name,
            **kept,
            **_described(entry),
        )


def columns_of(entry: Entry, regions: Regions, storage: str) -> Columns:
    """A photo that was looked at, as it is stored.

    Raises:
        DataError: if its vectors do not fit the storage.
    """
    vectors, scales = encode(regions.vectors, storage)
    return Columns(
        row_ends=np.array([len(regions)]),
        hubness=np.array([regions.hubness], np.float32),
        pooled=regions.vectors.mean(axis=0, keepdims=True, dtype=np.float32),
        boxes=regions.boxes_xyxy,
        objectness=regions.scores,
        scales=scales,
        vectors=vectors,
        name=entry.path,
        **_described(entry),
    )


Part = tuple[Columns, slice]
"""A run of photos of a segment."""


def write_segment(stream: BinaryIO, parts: Sequence[Part], dim: int, storage: str) -> tuple[Sizes, int]:
    """Writes some photos as one segment, a piece at a time.

    Args:
        stream: of a new file.
        parts: where the photos come from, in order; at least one photo.
        dim, storage: the index's.

    Returns:
        The segment's sizes, and the CRC-32 of the file.

    Raises:
        OSError: if the disk is full or refuses.
    """
    row_ends = _joined_ends([columns.row_ends for columns, _ in parts], [photos for _, photos in parts])
    path_ends = _joined_ends([columns.path_ends for columns, _ in parts], [photos for _, photos in parts])
    sizes = Sizes(len(row_ends), int(row_ends[-1]), int(path_ends[-1]), dim, storage)
    crc32 = 0
    for piece in _pieces(sizes, parts, {"row_ends": row_ends, "path_ends": path_ends}):
        crc32 = zlib.crc32(piece, crc32)
        stream.write(piece)
    return sizes, crc32


def open_segment(file: Path, sizes: Sizes) -> Columns:
    """Maps a segment into memory; only what is used will be read.

    Raises:
        DataError: if it is not there, no regular file, or not what the sizes say.
    """
    header = sizes.header()
    with open_regular(file, max(sizes.file_bytes(), _PIECE_BYTES), advice=_MAKE_AGAIN) as stream:
        try:
            if stream.read(len(header)) != header or os.fstat(stream.fileno()).st_size != sizes.file_bytes():
                raise problem(file, "damaged or cut off", DataError, _MAKE_AGAIN)
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise unreadable(file, error, DataError) from None
    start, arrays = len(header), {}
    for name, (kind, shape) in sizes.columns().items():
        count = int(np.prod(shape))
        arrays[name] = np.frombuffer(mapped, kind, count, start if count else 0).reshape(shape)
        start += _bytes_of(kind, shape)
    columns = Columns(**arrays, name=str(file))
    _check_ends(file, columns.row_ends, sizes.regions)
    _check_ends(file, columns.path_ends, sizes.path_bytes)
    return columns


def check_crc32(file: Path, crc32: int) -> None:
    """Reads a whole segment and compares it with the checksum that the manifest has for it.

    Raises:
        DataError: if it does not fit, or the file cannot be read.
    """
    found = 0
    with open_regular(file, 1 << 62, advice=_MAKE_AGAIN) as stream:
        try:
            while data := stream.read(_PIECE_BYTES):
                found = zlib.crc32(data, found)
        except OSError as error:
            raise unreadable(file, error, DataError) from None
    if found != crc32:
        raise problem(file, "damaged, its checksum does not fit", DataError, _MAKE_AGAIN)


def _pieces(sizes: Sizes, parts: Sequence[Part], ends: dict[str, np.ndarray]) -> Iterator[bytes]:
    """The bytes of a segment's file in order."""
    yield sizes.header()
    for name, (kind, _) in sizes.columns().items():
        if name in ends:
            yield ends[name].astype(kind).tobytes()
            continue
        for columns, photos in parts:
            column = getattr(columns, name)
            chosen = column[_place(name, columns, photos)]
            step = max(1, _PIECE_BYTES // max(1, _bytes_of(kind, chosen.shape[1:])))
            for start in range(0, len(chosen), step):
                yield chosen[start : start + step].astype(kind, copy=False).tobytes()


def _place(name: str, columns: Columns, photos: slice) -> slice:
    if name == "paths":
        return columns.path_bytes(photos)
    return photos if name in _PHOTO_COLUMNS else columns.rows(photos)


def _described(entry: Entry) -> dict[str, np.ndarray]:
    """The columns of one photo that an entry fills."""
    path = os.fsencode(entry.path)
    return {
        "path_ends": np.array([len(path)]),
        "taken": np.array([NO_DATE if entry.taken is None else entry.taken]),
        "file_sizes": np.array([entry.state.size]),
        "mtimes_ns": np.array([entry.state.mtime_ns]),
        "dimensions": np.array([[entry.width, entry.height]], np.int32),
        "sha256": np.frombuffer(entry.sha256, np.uint8).reshape(1, 32),
        "paths": np.frombuffer(path, np.uint8),
    }


def _between(ends: np.ndarray, photos: slice) -> slice:
    start = int(ends[photos.start - 1]) if photos.start else 0
    return slice(start, int(ends[photos.stop - 1]) if photos.stop else 0)


def _joined_ends(ends: Sequence[np.ndarray], photos: Sequence[slice]) -> np.ndarray:
    lengths = [np.diff(each, prepend=0)[run] for each, run in zip(ends, photos, strict=True)]
    return np.cumsum(np.concatenate(lengths))


def _check_ends(file: Path, ends: np.ndarray, last: int) -> None:
    """Ends must rise to `last`; anything else would read what belongs to another photo."""
    if ends[-1] != last or (np.diff(ends, prepend=0) < 1).any():
        raise DataError(f"{file}: damaged, its photos do not fit its regions. {_MAKE_AGAIN}")


def _bytes_of(kind: str, shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(kind).itemsize
