"""Store of region vectors on disk: computed once, then memory-mapped.

A store is a folder with a plain .npy file for each array, `names.json` and `header.json`, with
checksums. Until it is complete it is the folder `NAME.part` beside, with `progress.json` for a
header, so that a store is complete or absent. `regiontalk.data.region_writer` writes it.

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

from regiontalk.errors import DataError
from regiontalk.files import fitting_name, json_sha256, open_regular, problem, unreadable, written
from regiontalk.json_files import read_json
from regiontalk.settings import Rule, Section, checksum, line, shown, whole

HEADER, PROGRESS, NAMES = "header.json", "progress.json", "names.json"
MOST_BYTES = 1 << 50
"""Limit of an array: more than any disk holds, and small enough for all sums to fit 64 bits."""
AGAIN = "Delete the folder and write the store again."

_FORMAT, _FORMAT_VERSION = "regiontalk-regions", 1
_READ_BYTES = 1 << 24


@dataclass(frozen=True)
class Layout(Section):
    """Shapes and checksums that rows must share to belong to one store."""

    photos: Annotated[int, whole(1, 1 << 32)]
    regions: Annotated[int, whole(1, 1 << 20)]
    dim: Annotated[int, whole(1, 1 << 20)]
    vision_checksum: Annotated[str, line(200)]
    names_sha256: Annotated[str, checksum]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.photos * self.regions * max(self.dim, 4) * 4 > MOST_BYTES:
            raise ValueError(f"photos, regions and dim: expected at most {MOST_BYTES:,} bytes")

    def arrays(self) -> dict[str, np.ndarray]:
        """Dtypes and shapes, as broadcast arrays that hold no memory.

        Bytes are little-endian on every machine.
        """
        n, m = self.photos, self.regions
        kinds = {
            "features": ("<f2", (n, m, self.dim)),
            "boxes": ("<f4", (n, m, 4)),
            "scores": ("<f4", (n, m)),
            "counts": ("<i8", (n,)),
            "sizes": ("<i8", (n, 2)),
        }
        return {
            name: np.broadcast_to(np.zeros((), type_), shape)
            for name, (type_, shape) in kinds.items()
        }

    def npy_header(self, name: str) -> bytes:
        """The .npy header of an array's file."""
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


def _by_array(rule: Rule) -> Rule:
    """A rule for an object with one value for each array of a store."""
    names = list(Layout(1, 1, 1, "any", "0" * 64).arrays())

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or list(value) != names:
            raise ValueError(f"an object with {', '.join(names)}")
        return {name: rule(each) for name, each in value.items()}

    return check


@dataclass(frozen=True)
class State(Section):
    """Content of `header.json` and `progress.json`: layout, valid rows, CRC-32 of their bytes."""

    layout: Layout
    done: Annotated[int, whole(0, 1 << 32)]
    crc32: Annotated[dict[str, int], _by_array(whole(0, (1 << 32) - 1))]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.done > self.layout.photos:
            raise ValueError(f"done: expected at most {self.layout.photos}, as there are photos")


def write_state(file: Path, state: State) -> None:
    """Writes `header.json` or `progress.json`, with a checksum.

    Raises:
        OSError: if it cannot be written.
    """
    content = {"format": _FORMAT, "format_version": _FORMAT_VERSION, **asdict(state)}
    write_json(file, {**content, "sha256": json_sha256(content)})


def read_state(file: Path) -> State:
    """Reads what `write_state` wrote.

    Raises:
        DataError: if it is damaged, or of another version.
    """
    content = read_json(file)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise DataError(f"{file}: not the header of a store of regions")
    if content.get("format_version") != _FORMAT_VERSION:
        found = shown(content.get("format_version"))
        raise DataError(
            f"{file}: format {found}, this version reads {_FORMAT_VERSION}; write it again"
        )
    if content.pop("sha256", None) != json_sha256(content):
        raise DataError(
            f"{file}: damaged, its checksum does not fit; "
            "delete the folder and write the store again"
        )
    try:
        return State.from_json(
            {
                name: content.get(name)
                for name in content
                if name not in ("format", "format_version")
            }
        )
    except ValueError as error:
        raise problem(file, f"damaged, {error}", DataError, AGAIN) from None


def names_fit(names: Any, layout: Layout) -> bool:
    """Whether names are those of a layout: texts, as many as photos, unique, with its checksum."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return False
    return (
        len(set(names)) == len(names) == layout.photos and json_sha256(names) == layout.names_sha256
    )


def verify_rows(folder: Path, state: State) -> None:
    """Compares the valid rows with their CRC-32, in chunks.

    Raises:
        DataError: if they differ, or a file cannot be read.
    """
    for name, expected in state.crc32.items():
        file, header = folder / f"{name}.npy", state.layout.npy_header(name)
        left, crc32 = state.done * state.layout.row_bytes(name), 0
        with open_regular(file, MOST_BYTES) as stream:
            try:
                sound = stream.read(len(header)) == header
                while sound and left and (data := stream.read(min(left, _READ_BYTES))):
                    crc32, left = zlib.crc32(data, crc32), left - len(data)
            except OSError as error:
                raise unreadable(file, error, DataError) from None
        if not sound or left or crc32 != expected:
            raise DataError(f"{file}: damaged; delete {folder} and write the store again")


def part_of(folder: Path) -> Path:
    """The folder of a store until it is complete."""
    return folder.with_name(fitting_name(folder.name, ".part"))


def write_json(file: Path, content: object) -> None:
    """Writes JSON atomically."""
    write_whole(file, json.dumps(content, indent=1).encode("ascii"))


def write_whole(file: Path, content: bytes) -> None:
    """Writes a file atomically, by rename."""
    with written(file, beside=file.with_name(file.name + ".new")) as stream:
        stream.write(content)


class RegionStore:
    """A complete store, open for reading.

    Arrays are memory-mapped: only the rows that are used are read.

    Attributes:
        names: of the N photos, in the order of the rows.
        vision_checksum: of the network that made the features.
        features: (N, M, D) float16, CNN(I_b) of Eq. 1; region 0 is the whole photo.
        boxes: (N, M, 4) float32, xyxy in pixels of the original photo.
        scores: (N, M) float32 in 0..1.
        counts: (N,) int64, number of a photo's regions among the M; the rest is padding.
        sizes: (N, 2) int64, width and height of the original photo in pixels.
    """

    def __init__(
        self, folder: Path, state: State, names: tuple[str, ...], arrays: Mapping[str, np.ndarray]
    ) -> None:
        """Use `open`."""
        self._folder, self._state = folder, state
        self._rows = {name: row for row, name in enumerate(names)}
        self.names = names
        self.vision_checksum = state.layout.vision_checksum
        self.features, self.boxes, self.scores = (
            arrays["features"],
            arrays["boxes"],
            arrays["scores"],
        )
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
            DataError: if the store is missing, incomplete, damaged, or of another network.
        """
        folder = Path(folder)
        if not (folder / HEADER).exists():
            half = (
                "; it is half-way written: run what writes it again"
                if part_of(folder).exists()
                else ""
            )
            raise DataError(f"{folder}: no store of regions{half}")
        state = read_state(folder / HEADER)
        if vision_checksum is not None and vision_checksum != state.layout.vision_checksum:
            raise DataError(
                f"{folder}: its features come from another vision network "
                f"({state.layout.vision_checksum[:12]}, expected {vision_checksum[:12]}); write "
                "the store again"
            )
        names = read_json(folder / NAMES)
        if state.done != state.layout.photos or not names_fit(names, state.layout):
            raise DataError(
                f"{folder}: damaged, {NAMES} does not fit {HEADER}; write the store again"
            )
        arrays = {
            name: _map(folder / f"{name}.npy", name, state.layout) for name in state.layout.arrays()
        }
        return cls(folder, state, tuple(names), arrays)

    def rows(self, names: Sequence[str]) -> np.ndarray:
        """The rows of some photos, (n,) int64.

        Raises:
            DataError: if the store lacks one; it names the first few and counts all.
        """
        missing = [name for name in names if name not in self._rows]
        if missing:
            raise DataError(
                f"{self._folder}: lacks {len(missing)} photos: {missing[:5]}; write the store again"
            )
        return np.array([self._rows[name] for name in names], dtype=np.int64)

    def verify(self) -> None:
        """Reads all arrays and compares them with the header's checksums.

        Raises:
            DataError: if a file is damaged.
        """
        verify_rows(self._folder, self._state)


def _map(file: Path, name: str, layout: Layout) -> np.ndarray:
    like, header = layout.arrays()[name], layout.npy_header(name)
    with open_regular(file, MOST_BYTES, advice=AGAIN) as stream:
        try:
            if stream.read(len(header)) != header or os.fstat(
                stream.fileno()
            ).st_size != layout.file_bytes(name):
                raise problem(
                    file, f"damaged, expected {like.dtype} {like.shape}", DataError, AGAIN
                )
            return np.memmap(stream, like.dtype, "r", len(header), like.shape)
        except OSError as error:
            raise unreadable(file, error, DataError) from None
