"""Photos, opened safely: upright, RGB, first frame, of a bounded size; whatever is wrong becomes a `PhotoError`.

Pillow decides by a file's content what it is. Only its readers of common photo formats are used, each called directly,
so that neither its global limits nor other formats that it happens to know have a say.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

import numpy as np
from PIL import Image

from regiontalk.errors import PhotoError

PhotoSource: TypeAlias = str | os.PathLike[str] | bytes | Image.Image | np.ndarray
"""A path, a file's bytes, a PIL image, or an array (H, W, 3) uint8 RGB."""

MAX_PIXELS = 100_000_000
"""Larger photos are refused. This many pixels take 400 MB as RGB, in which Pillow keeps four bytes of each.

While they are opened they take up to 1.4 GB, as AVIF 1.7, as WebP 2.1 and as JPEG 2000 2.5 GB: decoders hold the rest.
"""

MAX_FILE_BYTES = 1 << 31
"""Larger files are refused: no photo within `MAX_PIXELS` needs more, and some readers take a file whole."""

_SUFFIXES = "jpg jpeg jpe jfif mpo png apng gif bmp tif tiff webp avif jp2 j2k jpx ppm pgm pbm"

SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())
"""What `find_photos` takes for a photo in a folder; upper and lower case are one."""

_READERS = {
    "JPEG": "PIL.JpegImagePlugin",
    "PNG": "PIL.PngImagePlugin",
    "WEBP": "PIL.WebPImagePlugin",
    "GIF": "PIL.GifImagePlugin",
    "TIFF": "PIL.TiffImagePlugin",
    "BMP": "PIL.BmpImagePlugin",
    "AVIF": "PIL.AvifImagePlugin",
    "JPEG2000": "PIL.Jpeg2KImagePlugin",
    "PPM": "PIL.PpmImagePlugin",
}
"""Format → the module that registers its reader with Pillow; tried in this order."""

_EXPECTED = "a photo (JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF, JPEG 2000 or PPM)"

_GET_IT_AGAIN = "Get it once more from where it came from."

_OTHER_KINDS = (
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"8BPS", "a Photoshop document"),
    (4, b"ftypheic", "a HEIC photo"),
    (4, b"ftypheix", "a HEIC photo"),
    (4, b"ftypmif1", "a HEIF photo"),
    (4, b"ftyp", "a video"),
)
"""Offset, bytes there, what such a file is: for messages only."""

_GREYS_AT_ONCE = 1 << 20
"""Wide greys turned into 8 bits at a time: in double precision, a whole photo would take three times its memory."""

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


@dataclass(frozen=True)
class Photo:
    """An opened photo.

    Attributes:
        file: where it came from, as given; "<bytes>", "<image>" or "<array>" if it has no name.
        width, height: of the upright original, in pixels.
        image: upright, RGB, decoded; smaller than `width` x `height` if it was opened with `min_side`.
    """

    file: str
    width: int
    height: int
    image: Image.Image


def open_photo(source: PhotoSource, *, max_pixels: int = MAX_PIXELS, min_side: int | None = None) -> Photo:
    """Open a photo: the first frame, upright as its EXIF orientation says, RGB, transparency on white.

    16-bit greys are scaled to 8 bits by their high byte; for 32-bit and floating-point greys see `_wide_grey`.

    Args:
        source: a path, a file's bytes, a PIL image, or an array (H, W, 3) uint8 RGB.
        max_pixels: width times height that is still decoded; found out from the header, before any decoding.
        min_side: JPEGs may be decoded at 1/2, 1/4 or 1/8 of their size, which is several times faster, as long as
            both sides keep at least this many pixels; None for the full size.

    Raises:
        PhotoError: if it is missing, no regular file, not a photo, damaged, cut off, or too large. It names the photo.
        ValueError: if `max_pixels` or `min_side` is below 1.
    """
    if max_pixels < 1 or (min_side is not None and min_side < 1):
        raise ValueError(f"max_pixels and min_side must be at least 1, found {max_pixels} and {min_side}")
    if isinstance(source, np.ndarray):
        return _from_array(source, max_pixels)
    if isinstance(source, Image.Image):
        name = os.fsdecode(getattr(source, "filename", "") or "<image>")
        return _finish(name, source, max_pixels, None)
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_stream("<bytes>", BytesIO(source), len(source), max_pixels, min_side)
    if not isinstance(source, str | os.PathLike):
        raise PhotoError(f"expected a photo as a path, bytes, a PIL image or an array, found {type(source).__name__}")
    name = os.fsdecode(source)
    try:
        size = _size_of_file(name)
        with open(name, "rb") as stream:
            return _from_stream(name, stream, size, max_pixels, min_side)
    except OSError as error:  # decoders' own are PhotoErrors by now
        raise _unreadable(name, error) from None


def find_photos(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The photos that some paths name.

    Args:
        paths: files, which are taken as given whether they are photos or not, or there at all: `open_photo` will tell;
            and folders, which are searched with all folders in them for files with one of `SUFFIXES`, sorted by path.
            Hidden files and folders and links to folders are passed over in the search.

    Raises:
        PhotoError: if a folder cannot be read, or a path is empty.
    """
    found: list[Path] = []
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        name = os.fsdecode(path)
        if not name:
            raise PhotoError("'': expected a photo or a folder of photos, found an empty name. Name one.")
        found += sorted(_search(name)) if os.path.isdir(name) else [Path(name)]
    return found


def _search(folder: str) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise _unreadable(os.fsdecode(error.filename or folder), error)

    for inside, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (
            Path(inside, name)
            for name in files
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES
        )


# Where photos come from


def _size_of_file(name: str) -> int:
    """Bytes in a regular file. Anything else is refused unopened: opening a pipe would wait for its other end."""
    if not name:
        raise PhotoError("'': expected a photo, found an empty name. Name a file.")
    try:
        status = os.stat(name)
    except ValueError:  # a zero byte or a lone surrogate in the name
        raise _wrong(name, "a file name", "a name that no file can have", "Check the name.") from None
    if stat.S_ISDIR(status.st_mode):
        raise _wrong(name, "a photo", "a folder", "Name the photos in it.")
    if not stat.S_ISREG(status.st_mode):
        raise _wrong(name, "a photo", "a pipe, socket or device", "Save the photo in a file and name that.")
    if status.st_size > MAX_FILE_BYTES:
        raise _wrong(name, f"a file of at most {MAX_FILE_BYTES} bytes", f"{status.st_size} bytes", "Make it smaller.")
    return status.st_size


def _from_array(pixels: np.ndarray, max_pixels: int) -> Photo:
    expected = "an array (H, W, 3) of uint8"
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        found = f"{pixels.shape} of {pixels.dtype}"
        raise _wrong("<array>", expected, found, "Convert it to RGB with 8 bits a channel.")
    if not pixels.size:
        raise _wrong("<array>", f"{expected} with pixels", f"shape {pixels.shape}", "Give at least one pixel.")
    _check_size("<array>", pixels.shape[1], pixels.shape[0], max_pixels)
    return Photo("<array>", pixels.shape[1], pixels.shape[0], Image.fromarray(np.array(pixels, order="C")))


def _from_stream(name: str, stream: IO[bytes], size: int, max_pixels: int, min_side: int | None) -> Photo:
    if not size:
        raise _wrong(name, "a photo", "an empty file", _GET_IT_AGAIN)
    with _quiet_pillow():
        image = _read_header(name, stream)
        try:
            return _finish(name, image, max_pixels, min_side)
        finally:
            image.close()


def _read_header(name: str, stream: IO[bytes]) -> Image.Image:
    """What the first reader that takes the file makes of it; nothing is decoded yet."""
    prefix = stream.read(32)
    damaged: str | None = None
    for kind, module in _READERS.items():
        import_module(module)
        reader, accepts = Image.OPEN[kind]
        verdict = accepts(prefix) if accepts else True
        if isinstance(verdict, str):  # Pillow was built without what this format needs
            raise _wrong(name, "a photo that this Pillow can read", f"a {kind} photo", "Save it as JPEG or PNG.")
        if not verdict:
            continue
        stream.seek(0)
        try:
            return cast(Image.Image, reader(stream, name))
        except Image.DecompressionBombError as error:
            raise _too_large(name, error) from None
        except Exception:  # readers raise whatever a damaged header leads them into
            damaged = damaged or kind
    if damaged and not _is_text(prefix):
        raise _wrong(name, f"a whole {damaged} photo", "a damaged or cut off header", _GET_IT_AGAIN)
    found, advice = _what_else(prefix)
    raise _wrong(name, _EXPECTED, found, advice)


def _what_else(prefix: bytes) -> tuple[str, str]:
    """What a file that is no photo is, by its first bytes, and what to do about it."""
    unknown = "text" if _is_text(prefix) else "something else"
    kind = next((kind for at, start, kind in _OTHER_KINDS if prefix[at:].startswith(start)), unknown)
    return kind, "Save it as JPEG." if kind.endswith("photo") else "Name a photo."


# From an image to a Photo


def _finish(name: str, image: Image.Image, max_pixels: int, min_side: int | None) -> Photo:
    """Check the size, decode, turn upright, make it RGB."""
    width, height = image.size
    if not width or not height:
        raise _wrong(name, "a photo with pixels", f"{width} x {height}", "Take another one.")
    _check_size(name, width, height, max_pixels)
    try:
        with _quiet_pillow():
            if min_side is not None and image.format in ("JPEG", "MPO"):
                image.draft(image.mode, (min_side, min_side))
            image.load()
            turn = _orientation(image)  # after decoding: readers of TIFF turn by themselves, and then say so
            upright = _rgb(image)
    except Image.DecompressionBombError as error:
        raise _too_large(name, error) from None
    except MemoryError:
        found = f"one of {width} x {height} pixels and too little memory for it"
        raise _wrong(name, "a photo that can be decoded", found, "Make it smaller.") from None
    except Exception as error:  # decoders raise whatever damaged data leads them into
        kind = image.format or image.mode
        raise _wrong(name, f"a whole {kind} photo", f"broken data ({_reason(error)})", _GET_IT_AGAIN) from None
    if turn in _TURNS:
        upright = upright.transpose(_TURNS[turn])
    if turn in _ON_ITS_SIDE:
        width, height = height, width
    return Photo(name, width, height, upright)


def _check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        found = f"{width} x {height} = {width * height:,}"
        advice = "Make it smaller, or raise max_pixels if you trust it."
        raise _wrong(name, f"a photo of at most {max_pixels:,} pixels", found, advice)


def _orientation(image: Image.Image) -> int:
    """1 to 8, as in EXIF; 1 is upright. A photo whose EXIF data is damaged is taken as it is."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    """A decoded image in any mode → a new one in RGB, nothing shared."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = _wide_grey(np.asarray(image))
    if not image.has_transparency_data:
        return image.convert("RGB")
    if image.mode in ("La", "RGBa"):  # these convert only to their own unmultiplied kind
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    layer = image if image.mode == "RGBA" else image.convert("RGBA")
    paper = Image.new("RGB", layer.size, "white")
    paper.paste(layer, mask=layer)  # the same pixels as of `alpha_composite`, without its two more images in RGBA
    return paper


def _wide_grey(values: np.ndarray) -> Image.Image:
    """Greys (H, W) int32 or float32 → 8 bits.

    Such photos do not say what white is, so it is the smallest that fits of what is common: 65,535 for integers; 1, 255
    or 65,535 for floats. If none fits, the values are stretched from the least to the greatest. Values that are not
    finite are black.
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


# Saying what is wrong


def _wrong(name: str, expected: str, found: str, advice: str) -> PhotoError:
    return PhotoError(f"{escaped(name)}: expected {expected}, found {found}. {advice}")


def _too_large(name: str, error: Image.DecompressionBombError) -> PhotoError:
    """Some of Pillow's readers have their own limit, above `MAX_PIXELS`, and check it while they read the header."""
    limit = f"a photo of at most {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels (Pillow's limit)"
    return _wrong(name, limit, _reason(error), "Make it smaller.")


def _unreadable(name: str, error: OSError) -> PhotoError:
    if isinstance(error, FileNotFoundError):
        return _wrong(name, "a photo", "no such file", "Check the name.")
    if isinstance(error, PermissionError):
        return _wrong(name, "a photo", "one that you may not read", "Change its permissions.")
    return _wrong(name, "a photo that can be read", error.strerror or _reason(error), "Check the disk and the name.")


def escaped(text: str) -> str:
    r"""Text with all that could steer a terminal or break a line escaped.

    >>> print(escaped("a\nb\x1b[31m.jpg"))
    a\nb\x1b[31m.jpg
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _reason(error: BaseException) -> str:
    """An error of Pillow's in a few words."""
    return escaped(str(error))[:120].rstrip(".") or type(error).__name__


def _is_text(prefix: bytes) -> bool:
    return all(byte in b"\t\n\f\r" or byte >= 0x20 for byte in prefix) and prefix[:1] != b"\xff"


class _Hush:
    """How many threads want Pillow's warnings quiet now, and what brings them back."""

    lock = threading.Lock()
    threads = 0
    before: Any = None


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Keeps Pillow's warnings about odd metadata from the user: what matters about a photo is raised.

    Python's warning filters belong to all threads. So the first thread here changes them and the last one changes them
    back; each for itself would restore what another one had changed.
    """
    if getattr(sys.flags, "context_aware_warnings", False):  # Python 3.14 and later can have filters for each thread
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield
        return
    with _Hush.lock:
        if not _Hush.threads:
            _Hush.before = warnings.catch_warnings()
            _Hush.before.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
        _Hush.threads += 1
    try:
        yield
    finally:
        with _Hush.lock:
            _Hush.threads -= 1
            if not _Hush.threads:
                _Hush.before.__exit__(None, None, None)
