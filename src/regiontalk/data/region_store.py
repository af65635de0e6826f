"""Region vectors on disk: computed once, read in parts, never held whole in memory.

A store is a folder with a plain .npy file for each array, `names.json` and `header.json`. It grows in a folder beside
(`NAME.part`) that takes the store's name only when it is complete, so a store is whole or not there. A writer that was
killed goes on after its last chunk.

Axis names: N photos, M regions at most, D dimensions of the visual features.
"""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from regiontalk.data.captions import repeated
from regiontalk.errors import DataError
from regiontalk.files import (
    fitting_name,
    json_sha256,
    open_regular,
    open_to_change,
    problem,
    read_json,
    unreadable,
    written,
)
from regiontalk.settings import Rule, Section, checksum, line, shown, whole

_FORMAT, _FORMAT_VERSION = "regiontalk-regions", 1
_HEADER, _PROGRESS, _NAMES = "header.json", "progress.json", "names.json"
_READ_BYTES = 1 << 24


_MOST_BYTES = 1 << 50
"""Of an array: more than any disk holds, and few enough for all sums to fit 64 bits."""
_AGAIN = "Delete the folder and write the store again."


@dataclass(frozen=True)
class _Layout(Section):
    """What must agree for rows to belong to one store."""

    photos: Annotated[int, whole(1, 1 << 32)]
    regions: Annotated[int, whole(1, 1 << 20)]
    dim: Annotated[int, whole(1, 1 << 20)]
    vision_checksum: Annotated[str, line(200)]
    names_sha256: Annotated[str, checksum]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.photos * self.regions * max(self.dim, 4) * 4 > _MOST_BYTES:
            raise ValueError(f"photos, regions and dim: expected at most {_MOST_BYTES:,} bytes")

    def arrays(self) -> dict[str, np.ndarray]:
        """Types and shapes, as arrays that hold no memory. Bytes are little-endian wherever the store is written."""
        n, m = self.photos, self.regions
        kinds = {
            "features": ("<f2", (n, m, self.dim)),
            "boxes": ("<f4", (n, m, 4)),
            "scores": ("<f4", (n, m)),
            "counts": ("<i8", (n,)),
            "sizes": ("<i8", (n, 2)),
        }
        return {name: np.broadcast_to(np.zeros((), type_), shape) for name, (type_, shape) in kinds.items()}

    def npy_header(self, name: str) -> bytes:
        """The bytes before the data of an array's file."""
        array, buffer = self.arrays()[name], io.BytesIO()
        header = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
        np.lib.format.write_array_header_1_0(buffer, header)
        return buffer.getvalue()

    def row_bytes(self, name: str) -> int:
        array = self.arrays()[name]
        return array.nbytes // self.photos

    def file_bytes(self, name: str) -> int:
        """The size of a complete array's file."""
        return len(self.npy_header(name)) + self.photos * self.row_bytes(name)


class RegionStoreWriter:
    """Writes a store in chunks of photos, in the order of their names. Holds no more than one chunk in memory.

    Attributes:
        done: photos written so far: go on with `names[done:]`.
    """

    def __init__(self, folder: Path, layout: _Layout, done: int, crc32: dict[str, int]) -> None:
        """Use `open`."""
        self._folder, self._part = folder, _part_of(folder)
        self._layout, self._crc32 = layout, crc32
        self.done = done

    @classmethod
    def open(
        cls, folder: str | Path, names: Sequence[str], *, regions: int, dim: int, vision_checksum: str
    ) -> RegionStoreWriter:
        """Begins a store, or goes on with one that was begun with the same names, sizes and network.

        Args:
            folder: the store's; must not hold anything else.
            names: of the N photos, at least one, all different.
            regions: M, the most regions a photo has.
            dim: D.
            vision_checksum: of the network that makes the features; a store of another network is refused.

        Raises:
            DataError: if the folder holds something else, the store was begun with other settings or is damaged, or it
                cannot be written.
            ValueError: if `regions` or `dim` is below 1.
        """
        folder = Path(folder)
        if min(regions, dim) < 1:
            raise ValueError(f"regions and dim must be at least 1, found {regions} and {dim}")
        if not names or len(set(names)) != len(names):
            raise DataError(f"{folder}: a store needs photos with different names; twice: {repeated(names)[:5]}")
        layout = _Layout(len(names), regions, dim, vision_checksum, json_sha256(list(names)))
        part = _part_of(folder)
        if part.is_symlink() or (part.exists() and not part.is_dir()):
            raise DataError(f"{part}: expected a folder of ours, found a link or a file; move it away")
        try:
            if (folder / _HEADER).exists():
                state = _read_state(folder / _HEADER)
            elif folder.exists():
                raise DataError(f"{folder}: exists and is not a store of regions; choose another folder")
            else:
                if not (part / _PROGRESS).exists():
                    _begin(part, layout, names)
                state = _read_state(part / _PROGRESS)
        except OSError as error:
            raise DataError(f"{folder}: cannot be written ({error.strerror})") from error
        _require_same(folder, state.layout, layout)
        if not (folder / _HEADER).exists():
            _verify(part, state)
        return cls(folder, layout, state.done, state.crc32)

    def append(
        self, features: np.ndarray, boxes: np.ndarray, scores: np.ndarray, counts: np.ndarray, sizes: np.ndarray
    ) -> None:
        """Adds the next n photos. When it returns they are on disk; if it is interrupted none of them counts.

        Args:
            features: (n, M, D) finite, kept as float16; rows from `counts` on are padding.
            boxes: (n, M, 4) finite, xyxy in pixels of the original photo.
            scores: (n, M) in 0..1.
            counts: (n,) integers in 1..M, how many regions each photo has.
            sizes: (n, 2) integers of at least 1, width and height of the original photos in pixels.

        Raises:
            ValueError: if shapes disagree, more photos come than there are names, or a value is not finite, not in its
                range, or too large for float16.
            DataError: if the disk is full or refuses.
        """
        given = {"features": features, "boxes": boxes, "scores": scores, "counts": counts, "sizes": sizes}
        rows = _checked_rows(self._layout, given, self.done)
        crc32, done = {}, self.done + len(rows["counts"])
        try:
            for name, array in rows.items():
                data = array.tobytes()
                crc32[name] = zlib.crc32(data, self._crc32[name])
                _write_at(self._part / f"{name}.npy", self._start(name), data)
            # Only now do the rows count. Killed before this line, the same place is written again.
            _write_state(self._part / _PROGRESS, _State(self._layout, done, crc32))
        except OSError as error:
            raise DataError(
                f"{self._part}: cannot be written ({error.strerror}); start again, {self.done} photos are kept"
            ) from error
        self._crc32, self.done = crc32, done

    def finish(self) -> RegionStore:
        """Gives the complete store its name and opens it. Does no harm to a store that was finished before.

        Raises:
            DataError: if photos are still missing, or the disk refuses.
        """
        if self.done != self._layout.photos:
            raise DataError(f"{self._part}: holds {self.done} of {self._layout.photos} photos; write the rest first")
        if not (self._folder / _HEADER).exists():
            try:
                _write_state(self._part / _HEADER, _State(self._layout, self.done, self._crc32))
                self._part.rename(self._folder)
                (self._folder / _PROGRESS).unlink()
            except OSError as error:
                raise DataError(f"{self._folder}: cannot be written ({error.strerror})") from error
        return RegionStore.open(self._folder, vision_checksum=self._layout.vision_checksum)

    def _start(self, name: str) -> int:
        return len(self._layout.npy_header(name)) + self.done * self._layout.row_bytes(name)


class RegionStore:
    """A complete store, open for reading. Its arrays are maps of the files: only the rows that are used are read.

    Attributes:
        names: of the N photos, in the order of the rows.
        vision_checksum: of the network that made the features.
        features: (N, M, D) float16, CNN(I_b) of Eq. 1; region 0 is the whole photo.
        boxes: (N, M, 4) float32, xyxy in pixels of the original photo.
        scores: (N, M) float32 in 0..1.
        counts: (N,) int64, how many of the M regions a photo has; the rest is padding.
        sizes: (N, 2) int64, width and height of the original photo in pixels.
    """

    def __init__(self, folder: Path, state: _State, names: tuple[str, ...], arrays: Mapping[str, np.ndarray]) -> None:
        """Use `open`."""
        self._folder, self._state = folder, state
        self._rows = {name: row for row, name in enumerate(names)}
        self.names = names
        self.vision_checksum = state.layout.vision_checksum
        self.features, self.boxes, self.scores = arrays["features"], arrays["boxes"], arrays["scores"]
        self.counts, self.sizes = arrays["counts"], arrays["sizes"]

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def open(cls, folder: str | Path, *, vision_checksum: str | None = None) -> RegionStore:
        """Opens a store without reading its arrays.

        Args:
            folder: the store's.
            vision_checksum: of the network in use; None takes any network's store.

        Raises:
            DataError: if the store is not there, incomplete, damaged, or of another network.
        """
        folder = Path(folder)
        if not (folder / _HEADER).exists():
            half = "; it is half-way written: run what writes it again" if _part_of(folder).exists() else ""
            raise DataError(f"{folder}: no store of regions{half}")
        state = _read_state(folder / _HEADER)
        if vision_checksum is not None and vision_checksum != state.layout.vision_checksum:
            raise DataError(
                f"{folder}: its features come from another vision network ({state.layout.vision_checksum[:12]}, "
                f"expected {vision_checksum[:12]}); write the store again"
            )
        names = read_json(folder / _NAMES)
        if state.done != state.layout.photos or not _fit(names, state.layout):
            raise DataError(f"{folder}: damaged, {_NAMES} does not fit {_HEADER}; write the store again")
        arrays = {name: _map(folder / f"{name}.npy", name, state.layout) for name in state.layout.arrays()}
        return cls(folder, state, tuple(names), arrays)

    def rows(self, names: Sequence[str]) -> np.ndarray:
        """The rows of some photos, (n,) int64.

        Raises:
            DataError: if the store lacks one; it names the first few and counts all.
        """
        missing = [name for name in names if name not in self._rows]
        if missing:
            raise DataError(f"{self._folder}: lacks {len(missing)} photos: {missing[:5]}; write the store again")
        return np.array([self._rows[name] for name in names], dtype=np.int64)

    def verify(self) -> None:
        """Reads everything and compares it with the checksums of the header.

        Raises:
            DataError: if a file is damaged.
        """
        _verify(self._folder, self._state)


def _by_array(rule: Rule) -> Rule:
    """A value for each array of a store."""
    names = list(_Layout(1, 1, 1, "any", "0" * 64).arrays())

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or list(value) != names:
            raise ValueError(f"an object with {', '.join(names)}")
        return {name: rule(each) for name, each in value.items()}

    return check


@dataclass(frozen=True)
class _State(Section):
    """The content of `header.json` and `progress.json`: the layout, the rows that count, and CRC-32 of their bytes."""

    layout: _Layout
    done: Annotated[int, whole(0, 1 << 32)]
    crc32: Annotated[dict[str, int], _by_array(whole(0, (1 << 32) - 1))]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.done > self.layout.photos:
            raise ValueError(f"done: expected at most {self.layout.photos}, as there are photos")


def _write_state(file: Path, state: _State) -> None:
    content = {"format": _FORMAT, "format_version": _FORMAT_VERSION, **asdict(state)}
    _write_json(file, {**content, "sha256": json_sha256(content)})


def _read_state(file: Path) -> _State:
    content = read_json(file)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise DataError(f"{file}: not the header of a store of regions")
    if content.get("format_version") != _FORMAT_VERSION:
        found = shown(content.get("format_version"))
        raise DataError(f"{file}: format {found}, this version reads {_FORMAT_VERSION}; write it again")
    if content.pop("sha256", None) != json_sha256(content):
        raise DataError(f"{file}: damaged, its checksum does not fit; delete the folder and write the store again")
    try:
        return _State.from_json(
            {name: content.get(name) for name in content if name not in ("format", "format_version")}
        )
    except ValueError as error:
        raise problem(file, f"damaged, {error}", DataError, _AGAIN) from None


def _fit(names: Any, layout: _Layout) -> bool:
    """Whether names are those of a store: text, as many as photos, each once."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return False
    return len(set(names)) == len(names) == layout.photos and json_sha256(names) == layout.names_sha256


def _begin(part: Path, layout: _Layout, names: Sequence[str]) -> None:
    """Makes the files of a store without rows. `progress.json` comes last: without it all this is done again."""
    part.mkdir(parents=True, exist_ok=True)
    _write_json(part / _NAMES, list(names))
    for name in layout.arrays():
        _write(part / f"{name}.npy", layout.npy_header(name))
    _write_state(part / _PROGRESS, _State(layout, 0, dict.fromkeys(layout.arrays(), 0)))


def _require_same(folder: Path, found: _Layout, expected: _Layout) -> None:
    mine, theirs = asdict(expected), asdict(found)
    differing = [f"{key} is {theirs[key]!r}, not {mine[key]!r}" for key in mine if mine[key] != theirs[key]]
    if differing:
        raise DataError(
            f"{folder}: was begun with other settings ({'; '.join(differing)}); "
            "delete it and its .part, or choose another folder"
        )


def _checked_rows(layout: _Layout, given: Mapping[str, np.ndarray], done: int) -> dict[str, np.ndarray]:
    """The arrays as they are stored, after all checks."""
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
            raise ValueError(f"{name} holds a value that is not finite or too large for {like.dtype}")
    in_range = {
        "counts": (rows["counts"] >= 1) & (rows["counts"] <= layout.regions),
        "sizes": rows["sizes"] >= 1,
        "scores": (rows["scores"] >= 0) & (rows["scores"] <= 1),
    }
    for name, inside in in_range.items():
        if not inside.all():
            raise ValueError(f"{name} holds a value out of its range")
    return rows


def _verify(folder: Path, state: _State) -> None:
    """Compares the rows that count with their checksums, a piece at a time."""
    for name, expected in state.crc32.items():
        file, header = folder / f"{name}.npy", state.layout.npy_header(name)
        left, crc32 = state.done * state.layout.row_bytes(name), 0
        with open_regular(file, _MOST_BYTES) as stream:
            try:
                sound = stream.read(len(header)) == header
                while sound and left and (data := stream.read(min(left, _READ_BYTES))):
                    crc32, left = zlib.crc32(data, crc32), left - len(data)
            except OSError as error:
                raise unreadable(file, error, DataError) from None
        if not sound or left or crc32 != expected:
            raise DataError(f"{file}: damaged; delete {folder} and write the store again")


def _map(file: Path, name: str, layout: _Layout) -> np.ndarray:
    like, header = layout.arrays()[name], layout.npy_header(name)
    with open_regular(file, _MOST_BYTES, advice=_AGAIN) as stream:
        try:
            if stream.read(len(header)) != header or os.fstat(stream.fileno()).st_size != layout.file_bytes(name):
                raise problem(file, f"damaged, expected {like.dtype} {like.shape}", DataError, _AGAIN)
            return np.memmap(stream, like.dtype, "r", len(header), like.shape)
        except OSError as error:
            raise unreadable(file, error, DataError) from None


def _part_of(folder: Path) -> Path:
    return folder.with_name(fitting_name(folder.name, ".part"))


def _write_at(file: Path, start: int, data: bytes) -> None:
    with open_to_change(file, _MOST_BYTES) as stream:
        stream.seek(start)
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _write_json(file: Path, content: object) -> None:
    _write(file, json.dumps(content, indent=1).encode("ascii"))


def _write(file: Path, content: bytes) -> None:
    """Writes beside and renames, so that the file is the old one or the new one, never half."""
    with written(file, beside=file.with_name(file.name + ".new")) as stream:
        stream.write(content)
