"""Safe photo decoding: first frame, upright, RGB, of a bounded size; errors are `PhotoError`s."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from typing import IO, BinaryIO, Self, TypeAlias

import numpy as np
from PIL import Image

from regiontalk import files
from regiontalk.errors import PhotoError
from regiontalk.photos.costs import has_one_scan
from regiontalk.photos.diagnostics import quiet_pillow
from regiontalk.photos.kinds import GET_IT_AGAIN, TooManyPixelsError, escaped, out_of_memory, wrong
from regiontalk.photos.readers import (
    MAX_FILE_BYTES,
    broken,
    decode,
    of_the_system,
    read_header,
    too_large,
)

PhotoSource: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | np.ndarray
)
"""A path, a file's bytes, a binary file object, a PIL image, or an array (H, W, 3) uint8 RGB."""

MAX_PIXELS = 100_000_000
"""Default limit of decoded pixels.

They take 400 MB as RGB, which Pillow stores in four bytes a pixel. Peak memory while decoding is up
to 1.4 GB, for AVIF 1.7, WebP 2.1 and JPEG 2000 2.5 GB: decoders hold the rest.
"""

SHRUNK = 5
"""Times `max_pixels` that a JPEG may have if it is decoded at 1/2, 1/4 or 1/8 of its size.

It takes little memory then, but time for all its pixels.
"""

_ORIENTATION = 0x0112  # EXIF's tag
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = (5, 6, 7, 8)
_GREYS_AT_ONCE = 1 << 20
"""Pixels of 32-bit greyscale converted to 8 bits at a time: in double precision, a whole photo
would take three times its memory."""


@dataclass(frozen=True)
class Photo:
    """An opened photo.

    Attributes:
        file: where it came from, as given; "<bytes>", "<file>", "<image>" or "<array>" if it has no
            name.
        width, height: of the upright original, in pixels.
        image: upright, RGB, decoded; smaller than `width` x `height` if it was opened with
            `min_side`.
    """

    file: str
    width: int
    height: int
    image: Image.Image

    def prepared(self, size: int) -> Self:
        """A copy at the vision graph's input size (`prepare`), so that a queue takes little memory.

        Raises:
            PhotoError: if there is too little memory for it.
        """
        try:
            return replace(self, image=Image.fromarray(prepare(self.image, size)))
        except MemoryError:
            raise out_of_memory(self.file) from None


def open_photo(
    source: PhotoSource, *, max_pixels: int | None = None, min_side: int | None = None
) -> Photo:
    """Open a photo: the first frame, upright by its EXIF orientation, RGB, transparency on white.

    16-bit greys are scaled to 8 bits by their high byte; for 32-bit and floating-point greys see
    `to_rgb`.

    Args:
        source: a path, a file's bytes, a file opened in binary mode, a PIL image, or an array
            (H, W, 3) uint8 RGB. A file that can seek is read from its start, whatever was read of
            it before, and left where it was; another one is read to its end.
        max_pixels: limit of width times height, `MAX_PIXELS` if it is None; checked on the header,
            before any decoding. JPEGs that are decoded smaller may have `SHRUNK` times as many.
        min_side: JPEGs may be decoded at 1/2, 1/4 or 1/8 of their size, which is several times
            faster, as long as both sides keep at least this many pixels; None for the full size.

    Raises:
        PhotoError: if it is missing, no regular file, not a photo, damaged, truncated, too large,
            too costly to decode, or too large for the memory there is. It names the photo.
        ValueError: if `max_pixels` or `min_side` is below 1.
    """
    most = MAX_PIXELS if max_pixels is None else max_pixels
    if most < 1 or (min_side is not None and min_side < 1):
        raise ValueError(
            f"max_pixels and min_side must be at least 1, found {max_pixels} and {min_side}"
        )
    name = _name(source)
    try:
        with quiet_pillow():
            return _open(name, source, most, min_side)
    except MemoryError:
        raise out_of_memory(name) from None
    except OSError as error:  # decoder errors are PhotoErrors already
        raise PhotoError(
            escaped(str(files.unreadable(name, error, PhotoError, "Check the disk.")))
        ) from None


def prepare(image: Image.Image, size: int) -> np.ndarray:
    """Resizes an RGB image to the vision graph's square input, bilinear with antialiasing.

    The aspect ratio is not kept. Training preprocesses its photos with this same function.

    Returns:
        (size, size, 3) uint8.
    """
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


# Where photos come from


def _name(source: PhotoSource) -> str:
    """A photo's name in messages."""
    if isinstance(source, str | os.PathLike):
        return os.fsdecode(source)
    if isinstance(source, np.ndarray):
        return "<array>"
    if isinstance(source, Image.Image):
        return os.fsdecode(getattr(source, "filename", "") or "<image>")
    if isinstance(source, bytes | bytearray | memoryview):
        return "<bytes>"
    if not hasattr(source, "read"):
        expected = (
            "expected a photo as a path, bytes, a file opened in binary mode, "
            "a PIL image or an array"
        )
        raise PhotoError(f"{expected}, found {type(source).__name__}")
    name = getattr(source, "name", None)
    return name if isinstance(name, str) and name else "<file>"


def _open(name: str, source: PhotoSource, max_pixels: int, min_side: int | None) -> Photo:
    if isinstance(source, np.ndarray):
        return _from_array(source, max_pixels)
    if isinstance(source, Image.Image):
        return _finish(name, source, max_pixels, None)
    if isinstance(source, str | os.PathLike):
        with _open_file(name) as stream:
            return _from_stream(name, stream, max_pixels, min_side)
    content = (
        source if isinstance(source, bytes | bytearray | memoryview) else _content(name, source)
    )
    return _from_stream(name, io.BytesIO(content), max_pixels, min_side)


def _open_file(name: str) -> BinaryIO:
    if not name:
        raise PhotoError("'': expected a photo, found an empty name. Name a file.")
    try:
        return files.open_regular(
            name, MAX_FILE_BYTES, PhotoError, advice="Name the file of a photo that you may read."
        )
    except PhotoError as error:
        raise PhotoError(escaped(str(error))) from None


def _content(name: str, file: BinaryIO) -> bytes:
    """The bytes of an open file; the position of one that can seek is restored."""
    try:
        before = file.tell() if file.seekable() else None
        if before is not None:
            file.seek(0)
        content = file.read(MAX_FILE_BYTES + 1)
        if before is not None:
            file.seek(before)
    except (AttributeError, ValueError) as error:
        # A closed file, or an object that lacks part of a file's methods
        raise wrong(name, "an open file", str(error), "Open it with mode 'rb'.") from None
    if not isinstance(content, bytes):
        raise wrong(
            name,
            "a file that gives bytes",
            f"one that gives {type(content).__name__}",
            "Open it in mode 'rb'.",
        )
    if len(content) > MAX_FILE_BYTES:
        raise wrong(name, f"a file of at most {MAX_FILE_BYTES:,} bytes", "more", "Make it smaller.")
    return content


def _from_array(pixels: np.ndarray, max_pixels: int) -> Photo:
    expected = "an array (H, W, 3) of uint8"
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        found = f"{pixels.shape} of {pixels.dtype}"
        raise wrong("<array>", expected, found, "Convert it to RGB with 8 bits a channel.")
    if not pixels.size:
        raise wrong(
            "<array>",
            f"{expected} with pixels",
            f"shape {pixels.shape}",
            "Give at least one pixel.",
        )
    height, width = pixels.shape[:2]
    _check_size("<array>", width, height, max_pixels)
    return Photo("<array>", width, height, Image.fromarray(np.array(pixels, order="C")))


def _from_stream(name: str, stream: IO[bytes], max_pixels: int, min_side: int | None) -> Photo:
    if not stream.read(1):
        raise wrong(name, "a photo", "an empty file", GET_IT_AGAIN)
    stream.seek(0)
    image = read_header(name, stream)
    try:
        return _finish(name, image, max_pixels, min_side)
    finally:
        image.close()


# From an image to a Photo


def _finish(name: str, image: Image.Image, max_pixels: int, min_side: int | None) -> Photo:
    """Check the size, decode, rotate upright, convert to RGB."""
    width, height = image.size
    if not width or not height:
        raise wrong(name, "a photo with pixels", f"{width} x {height}", "Take another one.")
    try:
        shrunk = min_side is not None and _shrink(image, min_side)
        _check_size(name, width, height, max_pixels, image.size if shrunk else None)
        decode(image)
        # After decoding: TIFF readers rotate by themselves, and update the orientation
        turn = _orientation(image)
        upright = to_rgb(image)
        if turn in _TURNS:
            upright = upright.transpose(_TURNS[turn])
    except PhotoError:
        raise
    except Image.DecompressionBombError as error:
        raise too_large(name, error) from None
    except MemoryError:
        raise out_of_memory(name, f"one of {width} x {height} pixels") from None
    except Exception as error:  # decoders raise arbitrary exceptions on damaged data
        if of_the_system(error):
            raise
        raise broken(name, image.format or image.mode, error, width * height) from None
    if turn in _ON_ITS_SIDE:
        width, height = height, width
    return Photo(name, width, height, upright)


def _shrink(image: Image.Image, min_side: int) -> bool:
    """Sets a JPEG to be decoded at a fraction of its size, both sides of at least `min_side`.

    Returns:
        Whether that saves memory: a JPEG in several scans is kept in full before it is scaled.
    """
    if image.format not in ("JPEG", "MPO"):
        return False
    before = image.size
    image.draft(image.mode, (min_side, min_side))
    stream = getattr(image, "fp", None)
    return image.size != before and stream is not None and has_one_scan(stream)


def _check_size(
    name: str, width: int, height: int, max_pixels: int, decoded: tuple[int, int] | None = None
) -> None:
    """Refuse photos that take too much memory, by the decoded size, or time, by the full size.

    Args:
        decoded: the scaled size of a JPEG that is decoded smaller; None for the full size.
    """
    at_once, in_all = (decoded or (width, height)), width * height
    found = f"{width} x {height} = {in_all:,}"
    if at_once[0] * at_once[1] > max_pixels:
        shown = (
            f"{found}, of which {at_once[0] * at_once[1]:,} would be decoded" if decoded else found
        )
        raise TooManyPixelsError(name, f"a photo of at most {max_pixels:,} pixels", shown)
    if in_all > SHRUNK * max_pixels:
        raise TooManyPixelsError(name, f"a photo of at most {SHRUNK * max_pixels:,} pixels", found)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1, which is upright, if there is none or EXIF is damaged."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


# Any colour mode to RGB with 8 bits a channel


def to_rgb(image: Image.Image) -> Image.Image:
    """A decoded image in any mode → a new one in RGB, no memory shared."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = _wide_grey(np.asarray(image))
    if not image.has_transparency_data:
        return image.convert("RGB")
    if image.mode in ("La", "RGBa"):  # premultiplied: convert to straight alpha only
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    layer = image if image.mode == "RGBA" else image.convert("RGBA")
    paper = Image.new("RGB", layer.size, "white")
    # The same pixels as of `alpha_composite`, without its two more images in RGBA
    paper.paste(layer, mask=layer)
    return paper


def _wide_grey(values: np.ndarray) -> Image.Image:
    """Greyscale (H, W) int32 or float32 → 8 bits.

    Such files declare no white point, so it is the smallest common one that covers the values:
    65,535 for integers; 1, 255 or 65,535 for floats. If none does, or a value is negative, they are
    min-max normalised. Values that are not finite count as 0.
    """
    grey = np.where(np.isfinite(values), values, 0)
    low, high = float(grey.min()), float(grey.max())
    whites = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (65535.0,)
    if low >= 0 and high <= whites[-1]:
        low, high = 0.0, next(white for white in whites if high <= white)
    stretch = 255 / max(high - low, 1e-30)
    shades = np.empty(grey.size, np.uint8)
    for start in range(0, grey.size, _GREYS_AT_ONCE):
        part = slice(start, start + _GREYS_AT_ONCE)
        shades[part] = (grey.reshape(-1)[part].astype(np.float64) - low) * stretch + 0.5
    return Image.fromarray(shades.reshape(grey.shape))
