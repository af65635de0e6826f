"""Writer of a store of region vectors, in chunks of photos.

After a crash it resumes after the last chunk. Axis names: N photos, M regions at most, D dimensions
of the visual features.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from regiontalk.data.captions import repeated
from regiontalk.data.region_store import (
    HEADER,
    MOST_BYTES,
    NAMES,
    PROGRESS,
    Layout,
    RegionStore,
    State,
    part_of,
    read_state,
    verify_rows,
    write_json,
    write_state,
    write_whole,
)
from regiontalk.errors import DataError
from regiontalk.files import json_sha256, open_to_change


class RegionStoreWriter:
    """Writes a store in chunks of photos, in the order of their names, with one chunk in memory.

    Attributes:
        done: photos written so far: resume with `names[done:]`.
    """

    def __init__(self, folder: Path, layout: Layout, done: int, crc32: dict[str, int]) -> None:
        """Use `open`."""
        self._folder, self._part = folder, part_of(folder)
        self._layout, self._crc32 = layout, crc32
        self.done = done

    @classmethod
    def open(
        cls,
        folder: str | Path,
        names: Sequence[str],
        *,
        regions: int,
        dim: int,
        vision_checksum: str,
    ) -> RegionStoreWriter:
        """Begins a store, or resumes one with the same names, sizes and network.

        Args:
            folder: the store's; must not hold anything else.
            names: of the N photos, at least one, all different.
            regions: M, the maximum number of regions of a photo.
            dim: D.
            vision_checksum: of the network that makes the features; a store of another network is
                refused.

        Raises:
            DataError: if the folder holds something else, the store was begun with other settings
                or is damaged, or it cannot be written.
            ValueError: if `regions` or `dim` is below 1.
        """
        folder = Path(folder)
        if min(regions, dim) < 1:
            raise ValueError(f"regions and dim must be at least 1, found {regions} and {dim}")
        if not names or len(set(names)) != len(names):
            raise DataError(
                f"{folder}: a store needs photos with different names; twice: {repeated(names)[:5]}"
            )
        layout = Layout(len(names), regions, dim, vision_checksum, json_sha256(list(names)))
        part = part_of(folder)
        if part.is_symlink() or (part.exists() and not part.is_dir()):
            raise DataError(
                f"{part}: expected a folder of ours, found a link or a file; move it away"
            )
        try:
            if (folder / HEADER).exists():
                state = read_state(folder / HEADER)
            elif folder.exists():
                raise DataError(
                    f"{folder}: exists and is not a store of regions; choose another folder"
                )
            else:
                if not (part / PROGRESS).exists():
                    _begin(part, layout, names)
                state = read_state(part / PROGRESS)
        except OSError as error:
            raise DataError(f"{folder}: cannot be written ({error.strerror})") from error
        _require_same(folder, state.layout, layout)
        if not (folder / HEADER).exists():
            verify_rows(part, state)
        return cls(folder, layout, state.done, state.crc32)

    def append(
        self,
        features: np.ndarray,
        boxes: np.ndarray,
        scores: np.ndarray,
        counts: np.ndarray,
        sizes: np.ndarray,
    ) -> None:
        """Appends the next n photos: durable (fsync) on return, none of them valid if interrupted.

        Args:
            features: (n, M, D) finite, kept as float16; rows from `counts` on are padding.
            boxes: (n, M, 4) finite, xyxy in pixels of the original photo.
            scores: (n, M) in 0..1.
            counts: (n,) integers in 1..M, how many regions each photo has.
            sizes: (n, 2) integers of at least 1, width and height of the original photos in pixels.

        Raises:
            ValueError: if shapes disagree, there are more photos than names, or a value is not
                finite, not in its range, or too large for float16.
            DataError: if the disk is full or refuses.
        """
        given = {
            "features": features,
            "boxes": boxes,
            "scores": scores,
            "counts": counts,
            "sizes": sizes,
        }
        rows = _checked_rows(self._layout, given, self.done)
        crc32, done = {}, self.done + len(rows["counts"])
        try:
            for name, array in rows.items():
                data = array.tobytes()
                crc32[name] = zlib.crc32(data, self._crc32[name])
                _write_at(self._part / f"{name}.npy", self._start(name), data)
            # Commits the rows: after a crash before this line, they are overwritten.
            write_state(self._part / PROGRESS, State(self._layout, done, crc32))
        except OSError as error:
            raise DataError(
                f"{self._part}: cannot be written ({error.strerror}); "
                f"start again, {self.done} photos are kept"
            ) from error
        self._crc32, self.done = crc32, done

    def finish(self) -> RegionStore:
        """Renames the complete store into place and opens it; idempotent.

        Raises:
            DataError: if photos are missing, or it cannot be written.
        """
        if self.done != self._layout.photos:
            raise DataError(
                f"{self._part}: holds {self.done} of {self._layout.photos} photos; "
                "write the rest first"
            )
        if not (self._folder / HEADER).exists():
            try:
                write_state(self._part / HEADER, State(self._layout, self.done, self._crc32))
                self._part.rename(self._folder)
                (self._folder / PROGRESS).unlink()
            except OSError as error:
                raise DataError(f"{self._folder}: cannot be written ({error.strerror})") from error
        return RegionStore.open(self._folder, vision_checksum=self._layout.vision_checksum)

    def _start(self, name: str) -> int:
        return len(self._layout.npy_header(name)) + self.done * self._layout.row_bytes(name)


def _begin(part: Path, layout: Layout, names: Sequence[str]) -> None:
    """Creates the files of an empty store.

    `progress.json` is written last: without it, all this is repeated.
    """
    part.mkdir(parents=True, exist_ok=True)
    write_json(part / NAMES, list(names))
    for name in layout.arrays():
        write_whole(part / f"{name}.npy", layout.npy_header(name))
    write_state(part / PROGRESS, State(layout, 0, dict.fromkeys(layout.arrays(), 0)))


def _require_same(folder: Path, found: Layout, expected: Layout) -> None:
    mine, theirs = asdict(expected), asdict(found)
    differing = [
        f"{key} is {theirs[key]!r}, not {mine[key]!r}" for key in mine if mine[key] != theirs[key]
    ]
    if differing:
        raise DataError(
            f"{folder}: was begun with other settings ({'; '.join(differing)}); "
            "delete it and its .part, or choose another folder"
        )


def _checked_rows(
    layout: Layout, given: Mapping[str, np.ndarray], done: int
) -> dict[str, np.ndarray]:
    """Validates the arrays, and casts them to the stored dtypes."""
    count = len(given["counts"])
    if done + count > layout.photos:
        raise ValueError(f"{count} photos after {done} are more than the store's {layout.photos}")
    rows = {}
    for name, like in layout.arrays().items():
        array = np.asarray(given[name])
        if array.shape != (count, *like.shape[1:]):
            raise ValueError(f"{name} has shape {array.shape}, expected {(count, *like.shape[1:])}")
        if like.dtype.kind == "i" and array.dtype.kind not in "iu":
            raise ValueError(f"{name} must be integers, not {array.dtype}")
        with np.errstate(over="ignore"):  # found as infinity below
            rows[name] = array.astype(like.dtype)
        if not np.isfinite(rows[name]).all():
            raise ValueError(
                f"{name} holds a value that is not finite or too large for {like.dtype}"
            )
    in_range = {
        "counts": (rows["counts"] >= 1) & (rows["counts"] <= layout.regions),
        "sizes": rows["sizes"] >= 1,
        "scores": (rows["scores"] >= 0) & (rows["scores"] <= 1),
    }
    for name, inside in in_range.items():
        if not inside.all():
            raise ValueError(f"{name} holds a value out of its range")
    return rows


def _write_at(file: Path, start: int, data: bytes) -> None:
    with open_to_change(file, MOST_BYTES) as stream:
        stream.seek(start)
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
