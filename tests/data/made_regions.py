"""A small store of region vectors, written as tests like it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from regiontalk.data import RegionStore, RegionStoreWriter

PHOTOS, REGIONS, DIM = 11, 3, 5
NAMES = [f"photo {n}.jpg" for n in range(PHOTOS)]


def make_rows(photos: int = PHOTOS) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    return {
        "features": rng.normal(size=(photos, REGIONS, DIM)).astype(np.float32),
        "boxes": rng.uniform(0, 100, (photos, REGIONS, 4)).astype(np.float32),
        "scores": rng.uniform(0, 1, (photos, REGIONS)).astype(np.float32),
        "counts": rng.integers(1, REGIONS + 1, photos),
        "sizes": rng.integers(1, 500, (photos, 2)),
    }


ROWS = make_rows()


def begin(folder: Path, **changes: Any) -> RegionStoreWriter:
    settings: dict[str, Any] = {
        "names": NAMES,
        "regions": REGIONS,
        "dim": DIM,
        "vision_checksum": "net",
    } | changes
    return RegionStoreWriter.open(folder, settings.pop("names"), **settings)


def append(writer: RegionStoreWriter, count: int) -> None:
    rows = slice(writer.done, writer.done + count)
    writer.append(**{name: array[rows] for name, array in ROWS.items()})


def write(folder: Path, chunk: int = 4) -> RegionStore:
    writer = begin(folder)
    while writer.done < PHOTOS:
        append(writer, chunk)
    return writer.finish()


def require_all_rows(store: RegionStore) -> None:
    assert store.names == tuple(NAMES)
    np.testing.assert_array_equal(store.features, ROWS["features"].astype(np.float16))
    for name in ("boxes", "scores", "counts", "sizes"):
        np.testing.assert_array_equal(getattr(store, name), ROWS[name])
    store.verify()


def flip_a_bit(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
