"""What an index stores of a photo.

What is known of its file, and its region vectors, as they are or in fewer bytes. Axis names: R
regions, h dimensions of the shared space.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from regiontalk.errors import ConfigError, DataError

NO_DATE = -(2**63)
"""Stands for "no date" where dates are numbers."""
FIRST_DATE, LAST_DATE = -62_135_596_800, 253_402_300_799
"""The first second of the year 1 and the last of the year 9999: what `date_taken` can find."""

STORAGES = ("float32", "float16", "int8")
"""4, 2 and 1 bytes a number. int8 keeps a float32 scale for each region beside it, so that
magnitudes survive."""

_INT8_STEPS = 127
_FLOAT16_BITS = np.int32(-0x70002000)  # 0x8FFFE000: the sign, and the 15 bits after three
_FLOAT16_FACTOR = np.float32(2.0 ** (127 - 15))


@dataclass(frozen=True)
class FileState:
    """A file as `stat` sees it; unless a number changed, it passes as unchanged, unread."""

    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Entry:
    """A photo of an index.

    Attributes:
        path: absolute; bytes that are no UTF-8 as surrogates, as Python names files.
        sha256: of the file's bytes, 32 bytes: the photo's identity, wherever it lies.
        state: of the file when it was read.
        width, height: of the upright photo, in pixels.
        taken: when its EXIF data says it was taken, in seconds since 1970 by the camera's own
            clock; None if it does not say.
        text: what people wrote about it, perhaps in several lines; "" if nothing.
    """

    path: str
    sha256: bytes
    state: FileState
    width: int
    height: int
    taken: int | None
    text: str = ""

    def to_json(self) -> dict[str, Any]:
        """`{"file", "width", "height", "taken", "text"}`; the date as "2024-06-30T12:00:00".

        Null for none.
        """
        size = {"width": self.width, "height": self.height}
        return {
            "file": self.path,
            **size,
            "taken": date_text(self.taken),
            "text": self.text or None,
        }


def date_text(taken: int | None) -> str | None:
    """Seconds since 1970 as "2024-06-30T12:00:00".

    >>> date_text(0)
    '1970-01-01T00:00:00'
    """
    return (
        None if taken is None else datetime.fromtimestamp(taken, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    )


def file_state(path: str) -> FileState | None:
    """The state of a file; None if there is none, or it cannot be asked."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return FileState(status.st_size, status.st_mtime_ns)


def require_storage(storage: str | None, name: str = "storage") -> None:
    """Refuses what is no storage.

    Args:
        storage: as given; None for the index's own, or float32.
        name: what it was given as.

    Raises:
        ConfigError: if it is none of `STORAGES`.
    """
    if storage is not None and storage not in STORAGES:
        raise ConfigError(f"{name} {storage}: expected {', '.join(STORAGES)}")


def encode(vectors: np.ndarray, storage: str) -> tuple[np.ndarray, np.ndarray]:
    """Region vectors as they are stored.

    Args:
        vectors: (R, h) finite, v_i of Eq. 1.
        storage: one of `STORAGES`.

    Returns:
        The numbers, (R, h) of that type, little-endian; and for int8 the scales, (R,) float32, such
        that v ≈ scale · number with an error of at most half a scale; for the others an empty
        array.

    Raises:
        DataError: if a value is not finite, or too large for float16.
        ValueError: if `storage` is none of `STORAGES`.
    """
    vectors = np.asarray(vectors, "<f4")
    if not np.isfinite(vectors).all():
        raise DataError("a region vector holds a value that is not finite. Take another pack.")
    none = np.empty(0, "<f4")
    if storage == "float32":
        return vectors, none
    if storage == "float16":
        with np.errstate(over="ignore"):  # found as infinity below
            halves = vectors.astype("<f2")
        if not np.isfinite(halves).all():
            raise DataError(
                "a region vector is too large for float16 (beyond 65504). Store float32 or int8."
            )
        return halves, none
    if storage != "int8":
        raise ValueError(f"storage must be one of {', '.join(STORAGES)}, not {storage!r}")
    scales = (np.abs(vectors).max(axis=1, initial=0) / _INT8_STEPS).astype("<f4")  # (R,)
    steps = np.where(scales > 0, scales, 1)[:, None]
    return np.rint(vectors / steps).clip(-_INT8_STEPS, _INT8_STEPS).astype(np.int8), scales


def decode(stored: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """What was stored by `encode`, as (R, h) float32."""
    vectors = floats(stored)
    # Of crafted scales: whoever makes `Regions` of them sees it
    with np.errstate(over="ignore", invalid="ignore"):
        return vectors * scales[:, None] if len(scales) else vectors


def floats(stored: np.ndarray) -> np.ndarray:
    """Stored numbers as float32, without scales; float32 ones are not copied."""
    if stored.dtype != np.float16:
        return stored.astype(np.float32, copy=False)
    # Sign, exponent and fraction moved to where float32 has them, and the exponent's other zero
    # point made up for by a power of two: exact for all finite numbers, and 2.5 times faster than
    # NumPy's own conversion.
    bits = stored.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= _FLOAT16_BITS
    moved: np.ndarray = bits.view(np.float32)
    moved *= _FLOAT16_FACTOR
    return moved
