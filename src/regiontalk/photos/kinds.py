"""File type detection by extension and by magic bytes, and errors about unusable photos.

An error names the photo, what was expected, what was found and what to do.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec

from regiontalk.errors import PhotoError

_SUFFIXES = (
    "jpg jpeg jpe jfif mpo png apng gif bmp tif tiff webp avif avifs jp2 j2k jpc jpf jpx j2c ppm "
    "pgm pbm pnm pfm"
)
_HEIF_SUFFIXES = "heic heics heif heifs hif"
_RAW_SUFFIXES = (
    "3fr ari arw cr2 cr3 crw dcr dng erf fff iiq kdc mef mos mrw nef nrw orf pef raf rw2 rwl sr2 "
    "srf srw x3f"
)

SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())
"""Extensions of photos that are read without an extra; compared case-insensitively."""

HEAD_BYTES = 256
"""Bytes of a file to detect its type by: a signature, or all brands of a HEIF file."""

GET_IT_AGAIN = "Get it once more from where it came from."
_SMALLER = "Make it smaller"
_ALLOW_MORE = (
    "or allow more if you trust it: --max-pixels, "
    "or max_pixels in Python and in a training's settings"
)

INSTALL_HEIF = "pip install 'regiontalk[heif]'"


@dataclass(frozen=True)
class OtherKind:
    """A photo format that is recognised but not read.

    Attributes:
        name: as in "3 HEIC photos".
        advice: what to do, in the plural.
    """

    name: str
    advice: str


HEIC = OtherKind("HEIC", f"they need {INSTALL_HEIF}")
JPEG_XL = OtherKind("JPEG XL", "save them as JPEG")
RAW = OtherKind("raw", "develop them and save them as JPEG")
PHOTOSHOP = OtherKind("Photoshop", "save them as JPEG")

_OTHER_KINDS = {
    **{f".{suffix}": HEIC for suffix in _HEIF_SUFFIXES.split()},
    **{f".{suffix}": RAW for suffix in _RAW_SUFFIXES.split()},
    **dict.fromkeys((".jxl",), JPEG_XL),
    **dict.fromkeys((".psd", ".psb"), PHOTOSHOP),
}

_SIGNATURES = (
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"\xff\x0a", "a JPEG XL photo"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL photo"),
    (4, b"ftypcrx ", "a raw photo (Canon CR3)"),
    (0, b"FUJIFILMCCD-RAW", "a raw photo (Fujifilm RAF)"),
    (0, b"IIU\x00", "a raw photo (Panasonic RW2)"),
    (0, b"IIRO", "a raw photo (Olympus ORF)"),
    (0, b"IIRS", "a raw photo (Olympus ORF)"),
    (0, b"MMOR", "a raw photo (Olympus ORF)"),
    (0, b"FOVb", "a raw photo (Sigma X3F)"),
    (0, b"\x00MRM", "a raw photo (Minolta MRW)"),
    (4, b"ftyp", "a video"),
)
"""Magic bytes: offset, bytes, description of the file."""

_HEIF_BRANDS = frozenset(
    [
        b"heic",
        b"heix",
        b"heim",
        b"heis",
        b"hevc",
        b"hevx",
        b"hevm",
        b"hevs",
        b"mif1",
        b"mif2",
        b"msf1",
        b"miaf",
    ]
)
_AVIF_BRANDS = frozenset([b"avif", b"avis"])


def heif_is_read() -> bool:
    """Whether the library that reads HEIF is installed."""
    return find_spec("pillow_heif") is not None


def kind_by_name(name: str) -> bool | OtherKind:
    """File type by extension: True if it is read, an `OtherKind`, or False for no photo."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix in SUFFIXES:
        return True
    other = _OTHER_KINDS.get(suffix)
    return True if other is HEIC and heif_is_read() else other or False


def is_heif(head: bytes) -> bool:
    """Whether a file is HEIF but not AVIF; both share a container, and often the major brand.

    >>> is_heif(b"\\0\\0\\0\\x18ftypmif1\\0\\0\\0\\0mif1heic")
    True
    >>> is_heif(b"\\0\\0\\0\\x18ftypmif1\\0\\0\\0\\0mif1avif")
    False
    """
    brands = _brands(head)
    return bool(brands & _HEIF_BRANDS) and not brands & _AVIF_BRANDS


def what_else(head: bytes) -> tuple[str, str]:
    """An unreadable file's type by its magic bytes, and advice, both for an error message."""
    unknown = "text" if is_text(head[:32]) else "something else"
    kind = next((kind for at, start, kind in _SIGNATURES if head[at:].startswith(start)), unknown)
    return kind, "Save it as JPEG." if "photo" in kind.lower() else "Name a photo."


def is_text(head: bytes) -> bool:
    """Whether bytes may begin a text file."""
    return all(byte in b"\t\n\f\r" or byte >= 0x20 for byte in head) and head[:1] != b"\xff"


def _brands(head: bytes) -> frozenset[bytes]:
    """Major and compatible brands of an ISO base media file; empty for other files."""
    if head[4:8] != b"ftyp":
        return frozenset()
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return frozenset([head[8:12], *(head[at : at + 4] for at in range(16, end, 4))])


# Errors


class TooManyPixelsError(PhotoError):
    """A photo has more pixels than the caller allows.

    Args:
        name, expected, found: as of `wrong`.

    Attributes:
        for_guests: the message without the advice to allow more, for a server's clients.
    """

    def __init__(self, name: str, expected: str, found: str) -> None:
        super().__init__(str(wrong(name, expected, found, f"{_SMALLER}, {_ALLOW_MORE}.")))
        self.for_guests = str(wrong(name, expected, found, f"{_SMALLER}."))


def wrong(name: str, expected: str, found: str, advice: str) -> PhotoError:
    """An error about one photo or folder."""
    return PhotoError(f"{escaped(name)}: expected {expected}, found {found}. {advice}")


def out_of_memory(name: str, what: str = "a photo") -> PhotoError:
    """An error about a photo that does not fit into memory; `what` describes the photo."""
    return wrong(
        name,
        "a photo that can be decoded",
        f"{what} and too little memory for it",
        "Make it smaller.",
    )


def reason(error: BaseException) -> str:
    """A decoder's error, escaped and shortened."""
    return escaped(str(error))[:120].rstrip(".") or type(error).__name__


def escaped(text: str) -> str:
    r"""Text with control characters and line breaks escaped, safe to print on a terminal.

    >>> print(escaped("a\nb\x1b[31m.jpg"))
    a\nb\x1b[31m.jpg
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
