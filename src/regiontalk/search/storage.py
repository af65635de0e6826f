"""Stored form of a photo: its file's metadata, and its region vectors in 4, 2 or 1 bytes a number.

Axis names: R regions, h dimensions of the shared space.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from regiontalk.errors import ConfigError, DataError

NO_DATE = -(2**63)
"""Sentinel for "no date" where dates are numbers."""
FIRST_DATE, LAST_DATE = -62_135_596_800, 253_402_300_799
"""First second of the year 1 and last of the year 9999: the range of `date_taken`."""

STORAGES = ("float32", "float16", "int8")
"""4, 2 and 1 bytes a number. int8 has a float32 scale for each region, so that magnitudes
survive."""

_INT8_STEPS = 127
_FLOAT16_BITS = np.int32(-0x70002000)  # 0x8FFFE000: the sign, and the 15 bits after three
_FLOAT16_FACTOR = np.float32(2.0 ** (127 - 15))


@dataclass(frozen=True)
class FileState:
    """Size and mtime of a file; while neither changes, it counts as unchanged and is not read."""

    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Entry:
    """Metadata of a photo in an index.

    Attributes:
        path: absolute; bytes that are no UTF-8 as surrogates, as `os.fsdecode` gives them.
        sha256: of the file's bytes, 32 bytes: identifies the photo, whatever its path.
        state: of the file when it was read.
        width, height: of the upright photo, in pixels.
        taken: EXIF date, in seconds since 1970 by the camera's own clock; None without one.
        text: the user's text, of one or several lines; "" if there is none.
    """

    path: str
    sha256: bytes
    state: FileState
    width: int
    height: int
    taken: int | None
    text: str = ""

    def to_json(self) -> dict[str, Any]:
        """`{"file", "width", "height", "taken", "text"}`; date as `date_text`, null for none."""
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
    """The state of a file; None if it does not exist or `stat` fails."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return FileState(status.st_size, status.st_mtime_ns)


def require_storage(storage: str | None, name: str = "storage") -> None:
    """Validates the name of a storage.

    Args:
        storage: as given; None for the index's own, or float32.
        name: of the option or argument, for the message.

    Raises:
        ConfigError: if it is none of `STORAGES`.
    """
    if storage is not None and storage not in STORAGES:
        raise ConfigError(f"{name} {storage}: expected {', '.join(STORAGES)}")


def encode(vectors: np.ndarray, storage: str) -> tuple[np.ndarray, np.ndarray]:
    """Encodes region vectors for storage.

    Args:
        vectors: (R, h) finite, v_i of Eq. 1.
        storage: one of `STORAGES`.

    Returns:
        The numbers, (R, h) of that type, little-endian; and the scales, for int8 (R,) float32, such
        that v ≈ scale · number with an error of at most half a scale, else empty.

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
    """Decodes what `encode` gave, to (R, h) float32."""
    vectors = floats(stored)
    # Crafted scales may overflow: `Regions` and scores are checked for finite values
    with np.errstate(over="ignore", invalid="ignore"):
        return vectors * scales[:, None] if len(scales) else vectors


def floats(stored: np.ndarray) -> np.ndarray:
    """Stored numbers as float32, not scaled; float32 ones are not copied."""
    if stored.dtype != np.float16:
        return stored.astype(np.float32, copy=False)
    # Sign, exponent and fraction are moved to their bits in float32, and a power of two makes up
    # for the other exponent bias: exact for all finite numbers, and 2.5 times faster than NumPy's
    # own conversion.
    bits = stored.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= _FLOAT16_BITS
    moved: np.ndarray = bits.view(np.float32)
    moved *= _FLOAT16_FACTOR
    return moved
