"""A segment: photos of an index in one immutable, memory-mapped file.

The file is in the safetensors format, so that other programs can read it too. Its header is
determined by the segment's sizes, to the byte: a file with any other header is refused.

Axis names: P photos, R regions of all of them, B bytes of all paths, C bytes of all texts, h
dimensions of the shared space.
"""

from __future__ import annotations

import json
import math
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
from regiontalk.search.checksums import BlockChecks, blocks, summed
from regiontalk.search.columns import MAKE_AGAIN, Columns

_TYPES = {
    "<i8": "I64",
    "<i4": "I32",
    "<f4": "F32",
    "<f2": "F16",
    "|i1": "I8",
    "<u4": "U32",
    "|u1": "U8",
}
_VECTOR_TYPES = {"float32": "<f4", "float16": "<f2", "int8": "|i1"}
_ALIGNMENT = 64
_PIECE_BYTES = 1 << 24

CHECKSUMS = "checksums"
_PHOTO_COLUMNS = ("taken", "file_sizes", "mtimes_ns", "dimensions", "hubness", "pooled", "sha256")
"""Columns with a row for each photo, besides the ends; the others, but for paths and texts, have
one for each region."""


@dataclass(frozen=True)
class Sizes:
    """Sizes that determine a segment's layout.

    Attributes:
        photos, regions, path_bytes: P, R, B.
        dim: h.
        storage: of the region vectors, see `regiontalk.search.storage`.
        text_bytes: C; if 0, no photo has a text, and there are no columns of texts.
    """

    photos: int
    regions: int
    path_bytes: int
    dim: int
    storage: str
    text_bytes: int = 0

    def columns(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Type and shape of each column in the file's order: wide types first, for alignment."""
        p, r, texts = self.photos, self.regions, self.text_bytes > 0
        columns: dict[str, tuple[str, tuple[int, ...]]] = {
            "row_ends": ("<i8", (p,)),
            "path_ends": ("<i8", (p,)),
            **({"text_ends": ("<i8", (p,))} if texts else {}),
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
            **({"texts": ("|u1", (self.text_bytes,))} if texts else {}),
        }
        return columns

    def all_columns(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """As `columns`, followed by the column of their blocks' checksums, in that order."""
        columns = self.columns()
        return {
            **columns,
            CHECKSUMS: ("<u4", (sum(blocks(_bytes_of(*each)) for each in columns.values()),)),
        }

    def header(self) -> bytes:
        """The safetensors header, padded: all bytes before the first column."""
        described: dict[str, object] = {"__metadata__": {"format": "regiontalk-index-segment"}}
        start = 0
        for name, (kind, shape) in self.all_columns().items():
            end = start + _bytes_of(kind, shape)
            described[name] = {
                "dtype": _TYPES[kind],
                "shape": list(shape),
                "data_offsets": [start, end],
            }
            start = end
        text = json.dumps(described, separators=(",", ":")).encode("ascii")
        text += b" " * (-(8 + len(text)) % _ALIGNMENT)
        return len(text).to_bytes(8, "little") + text

    def file_bytes(self) -> int:
        """Size of the whole file."""
        return len(self.header()) + sum(
            _bytes_of(*column) for column in self.all_columns().values()
        )


Part = tuple[Columns, slice]
"""A range of photos of a segment."""


def write_segment(
    stream: BinaryIO, parts: Sequence[Part], dim: int, storage: str
) -> tuple[Sizes, int]:
    """Writes photos as one segment, in pieces of bounded size.

    Args:
        stream: of a new file.
        parts: sources of the photos, in order; at least one photo.
        dim, storage: the index's.

    Returns:
        The segment's sizes, and the CRC-32 of its column of checksums.

    Raises:
        DataError: if a part is damaged.
        OSError: if the disk is full or refuses.
    """
    runs = [photos for _, photos in parts]
    row_ends = _joined_ends([columns.row_ends for columns, _ in parts], runs)
    path_ends = _joined_ends([columns.path_ends for columns, _ in parts], runs)
    text_ends = _joined_ends([columns.text_ends for columns, _ in parts], runs)
    sizes = Sizes(
        len(row_ends), int(row_ends[-1]), int(path_ends[-1]), dim, storage, int(text_ends[-1])
    )
    stream.write(sizes.header())
    ends, found = (
        {"row_ends": row_ends, "path_ends": path_ends, "text_ends": text_ends},
        list[int](),
    )
    for name, (kind, _) in sizes.columns().items():
        pieces = [ends[name].astype(kind).tobytes()] if name in ends else _pieces(name, kind, parts)
        for piece in summed(pieces, found):
            stream.write(piece)
    checksums = np.array(found, "<u4").tobytes()
    stream.write(checksums)
    return sizes, zlib.crc32(checksums)


def open_segment(file: Path, sizes: Sizes, crc32: int) -> Columns:
    """Memory-maps a segment; its columns are read lazily, and verified first.

    Args:
        file: the segment's.
        sizes: those that it must have.
        crc32: of its column of checksums.

    Raises:
        DataError: if it does not exist, is no regular file, or differs from the sizes or checksum.
    """
    header = sizes.header()
    with open_regular(file, max(sizes.file_bytes(), _PIECE_BYTES), advice=MAKE_AGAIN) as stream:
        try:
            if (
                stream.read(len(header)) != header
                or os.fstat(stream.fileno()).st_size != sizes.file_bytes()
            ):
                raise problem(file, "damaged or cut off", DataError, MAKE_AGAIN)
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise unreadable(file, error, DataError) from None
    columns = _mapped(file, mapped, len(header), sizes, crc32)
    _check_ends(columns, "row_ends", sizes.regions)
    _check_ends(columns, "path_ends", sizes.path_bytes)
    _check_ends(columns, "text_ends", sizes.text_bytes, least=0)
    return columns


def _mapped(file: Path, mapped: mmap.mmap, start: int, sizes: Sizes, crc32: int) -> Columns:
    """Columns in the bytes after a segment's header, each with its checksums."""
    content, parts = memoryview(mapped), {}
    for name, column in sizes.all_columns().items():
        parts[name] = content[start : start + _bytes_of(*column)]
        start += _bytes_of(*column)
    if zlib.crc32(parts[CHECKSUMS]) != crc32:
        raise problem(
            file, f"damaged, its checksum does not fit in {CHECKSUMS!r}", DataError, MAKE_AGAIN
        )
    checksums, arrays, checks = np.frombuffer(bytes(parts[CHECKSUMS]), "<u4"), {}, {}
    for name, (kind, shape) in sizes.columns().items():
        arrays[name] = np.frombuffer(parts[name], kind).reshape(shape)
        mine, checksums = np.split(checksums, [blocks(len(parts[name]))])
        checks[name] = BlockChecks(parts[name], mine)
    return Columns(arrays, str(file), checks, mapped)


def _pieces(name: str, kind: str, parts: Sequence[Part]) -> Iterator[bytes]:
    """The bytes of a column in order, in pieces of about `_PIECE_BYTES`."""
    for columns, photos in parts:
        columns.require_whole()
        chosen = columns.part(name, _place(name, columns, photos))
        step = max(1, _PIECE_BYTES // max(1, _bytes_of(kind, chosen.shape[1:])))
        for start in range(0, len(chosen), step):
            yield chosen[start : start + step].astype(kind, copy=False).tobytes()


def _place(name: str, columns: Columns, photos: slice) -> slice:
    if name == "paths":
        return columns.path_bytes(photos)
    if name == "texts":
        return columns.text_bytes(photos)
    return photos if name in _PHOTO_COLUMNS else columns.rows(photos)


def _joined_ends(ends: Sequence[np.ndarray], photos: Sequence[slice]) -> np.ndarray:
    lengths = [np.diff(each, prepend=0)[run] for each, run in zip(ends, photos, strict=True)]
    return np.cumsum(np.concatenate(lengths))


def _check_ends(columns: Columns, name: str, last: int, least: int = 1) -> None:
    """Checks that ends rise to `last` by `least` at least: no photo reads another one's data."""
    ends = columns.part(name, slice(0, None))
    if ends[-1] != last or (np.diff(ends, prepend=0) < least).any():
        raise columns.damaged("its photos do not fit its regions")


def _bytes_of(kind: str, shape: tuple[int, ...]) -> int:
    return math.prod(shape) * np.dtype(kind).itemsize
