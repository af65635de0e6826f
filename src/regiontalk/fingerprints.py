"""Perceptual hashes of photos: 128 bits, robust to scaling, squashing and recompression.

A pack lists the fingerprints of its training photos, so that an evaluation can detect them
(contamination) under other names and in other sizes. A checksum of the file could not: datasets are
redistributed resized.

The bits are thresholded DCT coefficients of low frequencies, as in the perceptual hash "pHash"
(Zauner 2010, "Implementation and benchmarking of perceptual image hash functions", section 3.2.1),
with 128 coefficients for its 64. Copies of a photo differ in a few bits, different photos in about
half of them. Limits: mirrored, rotated or cropped copies are not recognised, and drawings that
differ in colour only are taken for copies.

Axis names: N query photos, K known photos, 16 bytes of a fingerprint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from regiontalk.photos import open_photo

BYTES = 16
"""Bytes of a fingerprint."""
NEAR = 16
"""Largest Hamming distance of copies, of 128 bits; docs/pack_format.md has measurements."""
MOST = 1_000_000
"""Maximum of fingerprints in a list."""

_SIDE = 32
"""Pixels a side of the greyscale thumbnail that is transformed."""
_LEAST_SIDE = 2 * _SIDE
"""Least side, in pixels, that a photo is decoded to; more would not show in the thumbnail."""
_BLANK = 1e-6
"""Smaller coefficients are set to 0: in a photo of one colour they are rounding errors."""
_PAIRS = 1 << 20
"""Pairs of fingerprints compared at a time, to bound memory."""


def _cosines() -> np.ndarray:
    """DCT-II matrix, unnormalised: row k is cos(pi k (x + 1/2) / 32)."""
    steps = np.arange(_SIDE)
    return np.cos(np.pi / _SIDE * steps[:, None] * (steps[None] + 0.5))


_COSINES = _cosines()
_WAVES = np.array(
    sorted(((y, x) for y in range(_SIDE) for x in range(_SIDE)), key=lambda each: (sum(each), each))
)
_ROWS, _COLUMNS = _WAVES[1 : 8 * BYTES + 1].T  # lowest frequencies, without the DC term


def fingerprint(image: Image.Image) -> np.ndarray:
    """The fingerprint of an upright photo of any size and mode.

    Returns:
        (16,) uint8: a bit for each of the 128 lowest-frequency coefficients, set if it is above
        their median. All are 0 if the photo is blank.
    """
    grey = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    waves = (_COSINES @ np.asarray(grey, np.float64) @ _COSINES.T)[_ROWS, _COLUMNS]  # (128,)
    waves[np.abs(waves) < _BLANK] = 0
    return np.packbits(waves > np.median(waves))


def fingerprint_files(
    files: Iterable[Path],
    advance: Callable[[int], None] = lambda done: None,
    max_pixels: int | None = None,
) -> np.ndarray:
    """The fingerprints of photos, (N, 16) uint8, in order.

    Args:
        advance: called with 1 after each photo.
        max_pixels: see `open_photo`.

    Raises:
        PhotoError: if one cannot be opened; it names the photo.
    """

    def each() -> Iterator[np.ndarray]:
        for file in files:
            yield fingerprint(open_photo(file, max_pixels=max_pixels, min_side=_LEAST_SIDE).image)
            advance(1)

    return np.array(list(each()), np.uint8).reshape(-1, BYTES)


def recognised(asked: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Which photos are copies of known ones, within a Hamming distance of `NEAR`: (N,) bool.

    Blank photos never are: their fingerprint carries no information.

    Args:
        asked: (N, 16) uint8.
        known: (K, 16) uint8.

    >>> a, b = np.zeros((1, 16), np.uint8), np.zeros((1, 16), np.uint8)
    >>> a[0, :2], b[0, :2] = (255, 0), (255, 255)  # 8 bits apart
    >>> recognised(a, b).tolist()
    [True]
    """
    # ours, theirs: (N, 2), (K, 2)
    ours, theirs = (np.ascontiguousarray(each).view(np.uint64) for each in (asked, known))
    found = np.zeros(len(ours), bool)
    if not len(theirs):
        return found
    step = max(1, _PAIRS // len(theirs))
    for start in range(0, len(ours), step):
        # differing: (step, K, 2), bits of each half; their sum, at most 128, fits uint8
        differing = np.bitwise_count(ours[start : start + step, None] ^ theirs[None])
        found[start : start + step] = (differing.sum(axis=2, dtype=np.uint8) <= NEAR).any(axis=1)
    found &= asked.any(axis=1)
    return found


def listed(fingerprints: np.ndarray) -> np.ndarray:
    """Sorted and deduplicated, without those of blank photos. (N, 16) -> (K, 16)."""
    once: np.ndarray = np.unique(fingerprints, axis=0)
    return once[once.any(axis=1)]


def to_bytes(known: np.ndarray) -> bytes:
    """Serialises a list of fingerprints.

    Raises:
        ValueError: as `from_bytes`.
    """
    data = np.ascontiguousarray(known, np.uint8).tobytes()
    from_bytes(data)
    return data


def from_bytes(data: bytes) -> np.ndarray:
    """Parses and checks a list of fingerprints: (K, 16) uint8.

    Raises:
        ValueError: if it is not a list of 1 to `MOST` fingerprints, or not as `listed` returns it.
    """
    if len(data) % BYTES or not 0 < len(data) <= BYTES * MOST:
        raise ValueError(
            f"expected 1 to {MOST} fingerprints of {BYTES} bytes, found {len(data)} bytes"
        )
    known = np.frombuffer(data, np.uint8).reshape(-1, BYTES)
    halves = known.view(">u8")  # big-endian, so that numbers and bytes are in the same order
    before, after = halves[:-1], halves[1:]
    rising = (after[:, 0] > before[:, 0]) | (
        (after[:, 0] == before[:, 0]) & (after[:, 1] > before[:, 1])
    )
    if not rising.all() or not known[0].any():
        raise ValueError(
            "expected fingerprints in rising order, each once and none of a blank photo, "
            "found others"
        )
    return known
