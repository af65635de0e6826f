"""Photos made by hand, and what opening gives of them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from regiontalk.photos import Photo, open_photo

SAMPLES = Path(__file__).parents[2] / "src" / "regiontalk" / "samples"


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(photo: Photo) -> np.ndarray:
    """(H, W, 3) uint8, after checking what holds for every photo opened in full."""
    assert photo.image.mode == "RGB"
    assert photo.image.size == (photo.width, photo.height)
    return np.asarray(photo.image)


def first_pixel(source: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in pixels(open_photo(source))[0, 0])


def a_gradient(width: int = 64, height: int = 48) -> Image.Image:
    """Smooth, so that JPEG changes it little, and without symmetry."""
    y, x = np.mgrid[0:height, 0:width]
    red, green, blue = (
        40 + 200 * x // width,
        30 + 150 * y // height,
        250 - 100 * x // width - 90 * y // height,
    )
    return Image.fromarray(np.stack([red, green, blue], axis=2).astype(np.uint8))


def orientation(value: Any) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


@contextmanager
def stderr_of_the_process() -> Iterator[Callable[[], bytes]]:
    """What is written to file descriptor 2, by Python or not; complete once the block ends."""
    before = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        written = b""
        try:
            yield lambda: written
        finally:
            os.dup2(before, 2)
            os.close(before)
            file.seek(0)
            written = file.read()
