"""Region vectors on disk: computed once, read in parts, never held whole in memory.

`regiontalk.data.region_layout` says what a store is made of, and `regiontalk.data.region_writer` makes it. It takes its
name only when it is complete, so a store is whole or not there.

Axis names: N photos, M regions at most, D dimensions of the visual features.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from regiontalk.data.region_layout import (
    AGAIN,
    HEADER,
    MOST_BYTES,
    NAMES,
    Layout,
    State,
    names_fit,
    part_of,
    read_state,
    verify_rows,
)
from regiontalk.errors import DataError
from regiontalk.files import open_regular, problem, read_json, unreadable


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

    def __init__(self, folder: Path, state: State, names: tuple[str, ...], arrays: Mapping[str, np.ndarray]) -> None:
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
        if not (folder / HEADER).exists():
            half = "; it is half-way written: run what writes it again" if part_of(folder).exists() else ""
            raise DataError(f"{folder}: no store of regions{half}")
        state = read_state(folder / HEADER)
        if vision_checksum is not None and vision_checksum != state.layout.vision_checksum:
            raise DataError(
                f"{folder}: its features come from another vision network ({state.layout.vision_checksum[:12]}, "
                f"expected {vision_checksum[:12]}); write the store again"
            )
        names = read_json(folder / NAMES)
        if state.done != state.layout.photos or not names_fit(names, state.layout):
            raise DataError(f"{folder}: damaged, {NAMES} does not fit {HEADER}; write the store again")
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
        verify_rows(self._folder, self._state)


def _map(file: Path, name: str, layout: Layout) -> np.ndarray:
    like, header = layout.arrays()[name], layout.npy_header(name)
    with open_regular(file, MOST_BYTES, advice=AGAIN) as stream:
        try:
            if stream.read(len(header)) != header or os.fstat(stream.fileno()).st_size != layout.file_bytes(name):
                raise problem(file, f"damaged, expected {like.dtype} {like.shape}", DataError, AGAIN)
            return np.memmap(stream, like.dtype, "r", len(header), like.shape)
        except OSError as error:
            raise unreadable(file, error, DataError) from None
