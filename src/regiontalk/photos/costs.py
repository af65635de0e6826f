"""Limits on the cost of decoding a file, checked on its headers, against decompression bombs.

Pixels are limited elsewhere. Limited here are parts that multiply the work for each pixel, or that
readers handle in Python or in quadratic time: scans of a JPEG, chunks of a PNG, strips of a TIFF.
Reading their headers takes about a microsecond for each part.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Literal

from regiontalk.errors import PhotoError
from regiontalk.photos.kinds import wrong

MAX_JPEG_SCANS = 500
"""Each scan of a progressive JPEG passes over all its pixels. Ordinary ones have about 10, the
finest about 100."""

MAX_SCANNED_PIXELS = 20_000_000_000
"""Scans times pixels: some seconds of decoding. 100 scans of 200 megapixels are within it."""

MAX_EXIF_SEGMENTS = 100
"""EXIF segments of a JPEG, 64 KB each. Pillow joins them in quadratic time: a thousand take
seconds. Ordinary photos have one."""

MAX_PNG_CHUNKS = 200_000
"""Enough for 1.6 GB of data in the usual chunks of 8 KB."""

MAX_TIFF_STRIPS = 200_000
"""Strips or tiles. Of photos whose strips are one row each, these are more rows than fit."""

MAX_FAX_ROWS = 500_000
"""Rows of a fax-compressed TIFF: libtiff warns of each damaged row, and goes on."""

MAX_J2K_PACKETS = 50_000_000
"""Tiles x layers x components x precincts of all resolutions: a second of planning. 100 megapixels
in tiles of 64 x 64 pixels, five layers each, have 3 million."""

MAX_PPM_COMMENTS = 1_000
"""Comments of a plain-text PPM. Pillow removes them in quadratic time: a megabyte takes minutes."""

_PIECE_BYTES = 1 << 20
# All markers but the restarts (RST0 to RST7), which occur within a scan's data
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_BARE = frozenset([0x01, *range(0xD0, 0xDA)])  # markers without a length: TEM, RST, SOI, EOI
_SOS, _EOI, _APP1 = 0xDA, 0xD9, 0xE1
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_PROGRESSIVE = frozenset([0xC2, 0xC6, 0xCA, 0xCE])

_STRIPS_OR_TILES = (273, 324)  # TIFF's tags that hold their offsets
_ROWS, _COMPRESSION = 257, 259
_FAX = (2, 3, 4)  # kinds of compression
_SHORT = 3  # TIFF's type of two bytes

# JPEG 2000: length, sizes and offsets of the photo and its tiles, components
_SIZ = struct.Struct(">H2x8I H")
_CODING = b"\x52"  # the marker of the coding style
_J2K_HEAD_BYTES = 1 << 16


def check_costs(name: str, kind: str, stream: IO[bytes]) -> None:
    """Check that a file's cost of decoding is bounded by its size in pixels.

    Args:
        kind: Pillow's name of the format.
        stream: of the file; its position is not restored.

    Raises:
        PhotoError: if a limit is exceeded.
    """
    if kind == "JPEG":
        _check_jpeg(name, stream)
    elif kind == "PNG":
        if sum(1 for _ in png_chunks(stream, MAX_PNG_CHUNKS + 1)) > MAX_PNG_CHUNKS:
            raise _dear(name, f"a PNG photo of at most {MAX_PNG_CHUNKS:,} chunks", "more")
    elif kind == "TIFF":
        tags = tiff_tags(stream)
        strips = max(
            (tag.count for number, tag in tags.items() if number in _STRIPS_OR_TILES), default=0
        )
        if strips > MAX_TIFF_STRIPS:
            raise _dear(
                name, f"a TIFF photo of at most {MAX_TIFF_STRIPS:,} strips or tiles", f"{strips:,}"
            )
        rows = tags[_ROWS].value if _ROWS in tags else 0
        if _COMPRESSION in tags and tags[_COMPRESSION].value in _FAX and rows > MAX_FAX_ROWS:
            raise _dear(
                name,
                f"a TIFF photo, compressed as a fax, of at most {MAX_FAX_ROWS:,} rows",
                f"{rows:,}",
            )
    elif kind == "PPM":
        _check_ppm(name, stream)
    elif kind == "JPEG2000" and (packets := _j2k_packets(stream)) > MAX_J2K_PACKETS:
        raise _dear(
            name, f"a JPEG 2000 photo of at most {MAX_J2K_PACKETS:,} packets", f"{packets:,}"
        )


def _dear(name: str, expected: str, found: str) -> PhotoError:
    return wrong(name, expected, found, "Save it anew with an image editor.")


# JPEG


def _check_jpeg(name: str, stream: IO[bytes]) -> None:
    pixels = scans = exif = 0
    for marker, content in _segments(stream):
        if marker in _FRAMES:
            pixels = int.from_bytes(content[1:3], "big") * int.from_bytes(content[3:5], "big")
            progressive, components = marker in _PROGRESSIVE, content[5:6]
        elif marker == _APP1 and content.startswith(b"Exif"):
            exif += 1
            if exif > MAX_EXIF_SEGMENTS:
                raise _dear(
                    name, f"a JPEG photo of at most {MAX_EXIF_SEGMENTS} EXIF segments", "more"
                )
        elif marker == _SOS:
            scans += 1
            if not pixels or (not progressive and content[:1] == components):
                return  # one scan has all components: a decoder stops after it
            if scans > MAX_JPEG_SCANS or scans * pixels > MAX_SCANNED_PIXELS:
                most = min(MAX_JPEG_SCANS, MAX_SCANNED_PIXELS // pixels)
                raise _dear(name, f"a JPEG photo of at most {most} scans", "more")


def has_one_scan(stream: IO[bytes]) -> bool:
    """Whether a JPEG has a single scan: others take memory for the full size, even if scaled."""
    components = None
    for marker, content in _segments(stream):
        if marker in _FRAMES:
            components = None if marker in _PROGRESSIVE else content[5:6]
        elif marker == _SOS:
            return content[:1] == components
    return True


def _segments(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The markers of a JPEG between SOI and EOI, with their segments' first bytes."""
    stream.seek(2)
    while True:
        marker = _next_marker(stream)
        if marker is None or marker == _EOI:
            return
        if marker in _BARE:
            continue
        length = int.from_bytes(stream.read(2), "big") - 2
        content = stream.read(min(max(length, 0), 16))
        stream.seek(max(length - len(content), 0), 1)
        yield marker, content


def _next_marker(stream: IO[bytes]) -> int | None:
    """The next marker, the stream positioned after it; None at the end of the file."""
    while piece := stream.read(64):
        if found := _MARKER.search(piece):
            stream.seek(found.end() - len(piece), 1)
            return piece[found.end() - 1]
        rest = stream.read(_PIECE_BYTES)  # a scan's data; a marker may straddle two reads
        piece = piece[-1:] + rest
        if found := _MARKER.search(piece):
            stream.seek(found.end() - len(piece), 1)
            return piece[found.end() - 1]
        if rest[-1:] == b"\xff":
            stream.seek(-1, 1)
    return None


# PNG


def png_chunks(stream: IO[bytes], most: int) -> Iterator[tuple[bytes, int, int]]:
    """The first chunks of a PNG: type, offset, and size with its frame of 12 bytes."""
    at = 8
    for _ in range(most):
        stream.seek(at)
        frame = stream.read(8)
        if len(frame) < 8:
            return
        size = int.from_bytes(frame[:4], "big") + 12
        yield frame[4:], at, size
        if frame[4:] == b"IEND":
            return
        at += size


# PPM


def _check_ppm(name: str, stream: IO[bytes]) -> None:
    stream.seek(0)
    if stream.read(2) not in (b"P1", b"P2", b"P3"):
        return
    comments = 0
    while piece := stream.read(_PIECE_BYTES):
        comments += piece.count(b"#")
        if comments > MAX_PPM_COMMENTS:
            raise _dear(name, f"a plain PPM photo of at most {MAX_PPM_COMMENTS:,} comments", "more")


# TIFF


@dataclass(frozen=True)
class TiffTag:
    """A TIFF tag: its number of values, and the first, a number, if it is read here."""

    count: int
    value: int


def tiff_tags(stream: IO[bytes]) -> dict[int, TiffTag]:
    """The tags of a TIFF's first image file directory; of a damaged one those before the damage."""
    found: dict[int, TiffTag] = {}
    try:
        stream.seek(0)
        head = stream.read(16)
        order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
        big = int.from_bytes(head[2:4], order) == 43
        wide = 8 if big else 4  # bytes of an offset
        stream.seek(int.from_bytes(head[wide : 2 * wide], order))
        entries = int.from_bytes(stream.read(8 if big else 2), order)
        size = 4 + 2 * wide
        content = stream.read(size * min(entries, 1 << 16))
        for at in range(0, len(content) - size + 1, size):
            tag, kind = (
                int.from_bytes(content[at + each : at + each + 2], order) for each in (0, 2)
            )
            count = int.from_bytes(content[at + 4 : at + 4 + wide], order)
            value = content[at + 4 + wide : at + size]
            if kind == _SHORT and 2 * count > wide:  # the entry is an offset to them
                stream.seek(int.from_bytes(value, order))
                value = stream.read(2)
            found[tag] = TiffTag(count, int.from_bytes(value[: 2 if kind == _SHORT else 4], order))
    except (OverflowError, ValueError, OSError):
        pass
    return found


# JPEG 2000


def _j2k_packets(stream: IO[bytes]) -> int:
    """Number of packets by a JPEG 2000 codestream's main header: decoders plan for each."""
    head = _codestream(stream)
    if head[:4] != b"\xff\x4f\xff\x51" or len(head) < 4 + _SIZ.size:
        return 0
    length, width, height, left, top, tile_width, tile_height, _, _, components = _SIZ.unpack_from(
        head, 4
    )
    tile_width, tile_height = max(1, min(tile_width, width)), max(1, min(tile_height, height))
    tiles = max(0, -(-(width - left) // tile_width) * -(-(height - top) // tile_height))
    at = 4 + length
    while head[at : at + 1] == b"\xff" and head[at + 1 : at + 2] != _CODING:
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    coding = head[at + 4 :]
    if len(coding) < 10:
        return 0
    layers, levels = int.from_bytes(coding[2:4], "big"), min(coding[5], 32)
    sizes = coding[10 : 11 + levels] if coding[0] & 1 else b""
    precincts = 0
    for resolution in range(levels + 1):
        size = sizes[resolution] if resolution < len(sizes) else 0xFF  # two exponents of 2
        shift = levels - resolution
        across, down = -(-tile_width >> shift), -(-tile_height >> shift)
        precincts += -(-across >> (size & 15)) * -(-down >> (size >> 4))
    return int(tiles * layers * components * precincts)


def _codestream(stream: IO[bytes]) -> bytes:
    """The beginning of a JPEG 2000 codestream, raw or in a box of a JP2 container."""
    stream.seek(0)
    head = stream.read(12)
    at = 0
    while head[4:8] == b"jP  " or at:
        stream.seek(at)
        box = stream.read(16)
        size = int.from_bytes(box[:4], "big")
        start = 16 if size == 1 else 8
        if box[4:8] == b"jp2c" or len(box) < 8:
            at += start
            break
        size = int.from_bytes(box[8:16], "big") if size == 1 else size
        if size < start:
            break
        at += size
        head = b""
    stream.seek(at)
    return stream.read(_J2K_HEAD_BYTES)
