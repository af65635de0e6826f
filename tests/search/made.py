"""Photos of an index without any photo: random regions with entries, all from fixed seeds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from regiontalk.files import written
from regiontalk.search.columns import Columns, columns_of
from regiontalk.search.index import Index
from regiontalk.search.manifest import PackIdentity
from regiontalk.search.segment import write_segment
from regiontalk.search.storage import Entry, FileState
from regiontalk.search.writer import IndexWriter
from regiontalk.structures import Regions

DIM = 8
PACK = PackIdentity("tiny", "ab" * 32, DIM)


def found(number: int) -> tuple[Entry, Regions]:
    """The photo of that number, always the same.

    1 to 6 regions, some hubness, every third photo without a date.
    """
    rng = np.random.default_rng(number)
    count, (width, height) = (
        int(rng.integers(1, 7)),
        (int(each) for each in rng.integers(10, 100, 2)),
    )
    corners = np.sort(rng.random((count, 2, 2)), axis=1).reshape(count, 4)  # xyxy in 0..1
    boxes = (corners * [width, height, width, height]).astype(np.float32)
    boxes[0] = 0, 0, width, height
    path = f"/photos/{number // 10}/{number}.jpg"
    taken = None if number % 3 == 0 else 86_400 * number
    content = hashlib.sha256(str(number).encode()).digest()
    entry = Entry(path, content, FileState(number, number), width, height, taken)
    vectors = rng.normal(0, 2, (count, DIM)).astype(np.float32)
    scores, features, hubness = (
        np.ones(count, np.float32),
        np.empty((count, 0), np.float32),
        float(rng.normal(1, 1)),
    )
    return entry, Regions(path, width, height, boxes, scores, features, vectors, hubness)


def day(number: int) -> date:
    """The day on which the photo of that number was taken, if it has a date."""
    return date(1970, 1, 1) + timedelta(days=number)


def columns(numbers: Iterable[int], storage: str = "float32") -> list[Columns]:
    """These photos as they are stored."""
    return [columns_of(*found(number), storage) for number in numbers]


def damage(index: Index, name: str, row: int, value: float) -> Path:
    """Writes a wrong value into a row of a column of the first segment, as a bad disk would.

    Returns its file.
    """
    record = index.manifest.segments[0]
    file, sizes = index.folder / record.file, index.manifest.sizes(record)
    start = len(sizes.header())
    for column, (kind, shape) in sizes.columns().items():
        if column == name:
            np.memmap(file, kind, "r+", start, shape)[row] = value
            break
        start += int(np.prod(shape)) * np.dtype(kind).itemsize
    return file


def craft(index: Index, name: str, row: int, value: float) -> Index:
    """The index with a wrong value in a column of the first segment, and checksums that fit it."""
    segment, manifest = index.segments[0], index.manifest
    arrays = {
        each: np.array(getattr(segment.columns, each))
        for each in manifest.sizes(segment.record).columns()
    }
    arrays[name][row] = value
    parts = [(Columns(arrays), slice(0, len(segment.columns)))]
    with written(index.folder / segment.record.file) as stream:
        _, crc32 = write_segment(stream, parts, manifest.pack.dim, manifest.storage)
    replace(manifest, segments=(replace(segment.record, crc32=crc32), *manifest.segments[1:])).save(
        index.folder
    )
    return Index.open(index.folder)


def build(
    folder: Path, segments: list[int], dropped: Iterable[int] = (), storage: str = "float32"
) -> Index:
    """`build(folder, [3, 4], dropped=[1])`: an index of seven photos in two segments.

    Without the photo number 1.
    """
    start, places = 0, []
    with IndexWriter(folder, PACK, storage) as writer:
        for photos in segments:
            places += writer.commit(columns(range(start, start + photos), storage))
            start += photos
        writer.commit([], [places[number] for number in dropped])
    return Index.open(folder, PACK)
