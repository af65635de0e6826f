"""Photo formats and their Pillow plugins, called directly; diagnosis of unreadable files.

The format is detected by content. Calling the plugins directly, without `Image.open`, avoids
Pillow's global limits and the other formats that it knows. HEIF is read by pillow-heif if that is
installed.
"""

from __future__ import annotations

import sys
from importlib import import_module
from io import BytesIO
from typing import IO, cast

from PIL import Image

from regiontalk.errors import PhotoError
from regiontalk.photos.costs import check_costs, png_chunks, tiff_tags
from regiontalk.photos.diagnostics import libtiff_messages
from regiontalk.photos.kinds import (
    GET_IT_AGAIN,
    HEAD_BYTES,
    INSTALL_HEIF,
    heif_is_read,
    is_heif,
    is_text,
    out_of_memory,
    reason,
    what_else,
    wrong,
)

READERS = {
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
"""Format → the plugin module that registers its reader with Pillow; tried in this order."""

MAX_FILE_BYTES = 1 << 31
"""Limit of file sizes: enough for any photo of a hundred megapixels. Some readers load the whole
file into memory."""

_EXPECTED = (
    "a photo (JPEG, PNG, WebP, GIF, TIFF, BMP, AVIF, JPEG 2000, PPM or, with its extra, HEIF)"
)
_SAVE_ANEW = "Save it as JPEG, or as PNG with 8 or 16 bits."

_NOT_READ = (
    "cannot handle",
    "not supported",
    "unsupported",
    "unknown pixel mode",
    "not implemented",
    "not configured",
)
"""Substrings of readers' messages about intact photos in an unsupported variant of the format."""

_MEMORY = {"WEBP": 8, "JPEG2000": 16, "AVIF": 8}
"""Least memory per pixel, in bytes, of decoders whose errors do not tell memory from damage."""

_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
# Text chunks that may hold the orientation
_TEXTS_THAT_TURN = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")

# TIFF tags
_KIND, _BITS, _COMPRESSION, _SUB_PHOTOS, _FORMAT, _DNG = 254, 258, 259, 330, 339, 50706
_NUMBERS = {
    1: "integers",
    2: "signed integers",
    3: "floating point",
    5: "complex integers",
    6: "complex numbers",
}


def read_header(name: str, stream: IO[bytes]) -> Image.Image:
    """Open a photo with the first reader that accepts it: header only, pixels are not decoded.

    Args:
        name: of the photo, for messages.
        stream: of the file, at its start, seekable. It must stay open until the image is decoded.

    Raises:
        PhotoError: if it is not a photo, damaged, of an unsupported format, or too expensive to
            decode (`check_costs`).
    """
    head = stream.read(HEAD_BYTES)
    if is_heif(head):
        return _read_heif(name, stream)
    damage: PhotoError | None = None
    for kind, module in READERS.items():
        import_module(module)
        accepts = Image.OPEN[kind][1]
        verdict = accepts(head[:32]) if accepts else True
        if isinstance(verdict, str):  # Pillow was built without this format's codec
            raise wrong(
                name,
                "a photo that this Pillow can read",
                f"a {kind} photo",
                "Save it as JPEG or PNG.",
            )
        if not verdict:
            continue
        check_costs(name, kind, stream)
        try:
            return _read(name, kind, stream)
        except PhotoError:
            raise
        except Image.DecompressionBombError as error:
            raise too_large(name, error) from None
        except MemoryError:
            raise out_of_memory(name) from None
        except Exception as error:  # a damaged header can make readers raise anything
            if of_the_system(error):
                raise
            damage = damage or _refused(name, kind, stream, error)
    if damage and not is_text(head[:32]):
        raise damage
    raise wrong(name, _EXPECTED, *what_else(head))


def decode(image: Image.Image) -> None:
    """Decode an image, with libtiff's messages kept off stderr.

    Raises:
        OSError: if libtiff fails; its text is libtiff's messages, if there are any.
        Exception: whatever else damaged data makes a decoder raise.
    """
    if not getattr(image, "use_load_libtiff", False):
        image.load()
        return
    try:
        with libtiff_messages() as messages:
            image.load()
    except OSError as error:
        raise OSError("; ".join(messages) or str(error)) from None


def of_the_system(error: Exception) -> bool:
    """Whether it is an I/O error of the system, with an errno; decoders' own errors have none."""
    return isinstance(error, OSError) and error.errno is not None


def broken(name: str, kind: str, error: Exception, pixels: int = 0) -> PhotoError:
    """Diagnose a decoder's failure: too little memory, an unsupported variant, or damaged data.

    Args:
        pixels: of the photo, to test whether there is memory for them; 0 if unknown.
    """
    if not _memory_suffices(kind, pixels):
        return out_of_memory(name)
    if _is_not_read(error):
        return wrong(
            name,
            f"a {kind} photo that can be read",
            f"one that cannot ({reason(error)})",
            _SAVE_ANEW,
        )
    return wrong(name, f"a whole {kind} photo", f"broken data ({reason(error)})", GET_IT_AGAIN)


def too_large(name: str, error: Image.DecompressionBombError) -> PhotoError:
    """The error for Pillow's own limit, above ours, which some readers check in the header."""
    limit = f"a photo of at most {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels (Pillow's limit)"
    return wrong(name, limit, reason(error), "Make it smaller.")


# Workarounds for single formats


def _read(name: str, kind: str, stream: IO[bytes]) -> Image.Image:
    reader = Image.OPEN[kind][0]
    if kind == "TIFF" and _is_raw(stream):
        raise wrong(
            name, _EXPECTED, "a raw photo (TIFF from a camera)", "Develop it and save it as JPEG."
        )
    stream.seek(0)
    try:
        return cast(Image.Image, reader(stream, name))
    except ValueError as error:
        if kind != "PNG" or "too large" not in str(error):
            raise
    return cast(Image.Image, reader(_without_texts(stream), name))


def _without_texts(stream: IO[bytes]) -> IO[bytes]:
    """A PNG without text chunks but EXIF and XMP: Pillow unpacks all and refuses large ones."""
    stream.seek(0)
    kept = [stream.read(8)]
    for kind, at, size in png_chunks(stream, sys.maxsize):
        stream.seek(at)
        content = stream.read(size)
        if kind not in _TEXTS or content[8:].startswith(_TEXTS_THAT_TURN):
            kept.append(content)
    return BytesIO(b"".join(kept))


def _is_raw(stream: IO[bytes]) -> bool:
    """Whether a TIFF is a camera raw file, whose first image is only a small preview."""
    stream.seek(8)
    if stream.read(3) == b"CR\x02":
        return True
    tags = tiff_tags(stream)
    return _DNG in tags or (_SUB_PHOTOS in tags and _KIND in tags and tags[_KIND].value & 1 == 1)


def _read_heif(name: str, stream: IO[bytes]) -> Image.Image:
    if not heif_is_read():
        raise wrong(
            name,
            "a photo that can be read",
            "a HEIF photo (HEIC)",
            f"Save it as JPEG, or: {INSTALL_HEIF}",
        )
    stream.seek(0)
    try:
        return cast(Image.Image, import_module("pillow_heif").HeifImageFile(stream, name))
    except MemoryError:
        raise out_of_memory(name) from None
    except Exception as error:  # as other readers
        if of_the_system(error):
            raise
        raise broken(name, "HEIF", error) from None


def _refused(name: str, kind: str, stream: IO[bytes], error: Exception) -> PhotoError:
    """Diagnose why a reader rejected a photo: an unsupported variant, or a damaged header."""
    if kind == "AVIF" and _holds_hevc(stream):
        return wrong(
            name, "an AVIF photo", "a HEIF photo (HEIC) under AVIF's name", "Save it as JPEG."
        )
    if kind == "TIFF" and (found := _odd_tiff(stream, error)):
        return wrong(name, "a TIFF photo that can be read", found, _SAVE_ANEW)
    if kind == "PNG" and "too large" in str(error):
        limit = "a PNG photo of at most 1 MB of EXIF or XMP text"
        return wrong(name, limit, "more", "Save it anew without it.")
    if kind == "WEBP":  # its reader allocates the canvas while it reads the header
        stream.seek(0)
        if not _memory_suffices(kind, _webp_pixels(stream.read(30))):
            return out_of_memory(name)
    if _is_not_read(error):
        return broken(name, kind, error)
    return wrong(name, f"a whole {kind} photo", "a damaged or cut off header", GET_IT_AGAIN)


def _odd_tiff(stream: IO[bytes], error: Exception) -> str:
    """The unsupported compression or pixel format of an intact TIFF; empty if none is found."""
    from PIL.TiffImagePlugin import COMPRESSION_INFO

    tags = tiff_tags(stream)
    if _COMPRESSION in tags and tags[_COMPRESSION].value not in COMPRESSION_INFO:
        return f"compression {tags[_COMPRESSION].value}"
    if "unknown pixel mode" not in str(error):
        return ""
    bits = tags[_BITS].value if _BITS in tags else 1
    samples = tags[_BITS].count if _BITS in tags else 1
    numbers = _NUMBERS.get(
        tags[_FORMAT].value if _FORMAT in tags else 1, "numbers of an unknown kind"
    )
    return f"{samples} channels of {bits} bits each, {numbers}"


def _holds_hevc(stream: IO[bytes]) -> bool:
    stream.seek(0)
    return b"hvcC" in stream.read(1 << 16)


def _memory_suffices(kind: str, pixels: int) -> bool:
    """Whether there is memory to decode a photo: a test allocation of `_MEMORY` bytes a pixel."""
    try:
        bytearray(pixels * _MEMORY.get(kind, 0))  # never written to
    except MemoryError:
        return False
    return True


def _webp_pixels(head: bytes) -> int:
    """Width times height of a WebP file's canvas, from its first 30 bytes."""
    if head[12:16] == b"VP8X":
        return (int.from_bytes(head[24:27], "little") + 1) * (
            int.from_bytes(head[27:30], "little") + 1
        )
    # Lossless: width - 1 and height - 1 in 14 bits each
    sizes = int.from_bytes(head[21:25], "little") if head[12:16] == b"VP8L" else 0
    if head[12:16] == b"VP8 ":
        return (int.from_bytes(head[26:28], "little") & 0x3FFF) * (
            int.from_bytes(head[28:30], "little") & 0x3FFF
        )
    return ((sizes & 0x3FFF) + 1) * ((sizes >> 14 & 0x3FFF) + 1)


def _is_not_read(error: Exception) -> bool:
    return any(words in str(error).lower() for words in _NOT_READ)
