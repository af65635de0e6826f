"""Small files that are dear to decode are refused before they are, and ordinary ones are not."""

from __future__ import annotations

import re
import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from regiontalk.errors import PhotoError
from regiontalk.photos import costs, open_photo
from regiontalk.photos.costs import has_one_scan


def encoded(kind: str, size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    values = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(values).resize(size).save(file, kind, **options)
    return file.getvalue()


def repeated_scans(times: int, **options: Any) -> bytes:
    """A progressive JPEG whose last scan is there once more so many times."""
    source = encoded("JPEG", progressive=True, **options)
    last = source[[found.start() for found in re.finditer(b"\xff\xda", source)][-1] : -2]
    return source[:-2] + last * times + b"\xff\xd9"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def refused(source: bytes, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source is refused with this text, and nothing of it is decoded."""
    with monkeypatch.context() as context:
        context.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
        with pytest.raises(PhotoError, match=text):
            open_photo(source)


def test_a_jpeg_of_15000_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    source = repeated_scans(15_000)
    assert len(source) < 3_000_000
    refused(
        source,
        r"<bytes>: expected a JPEG photo of at most 500 scans, found more\. Save it anew",
        monkeypatch,
    )


def test_ordinary_scans_are_fine() -> None:
    for options in ({}, {"subsampling": 0}, {"restart_marker_rows": 1}, {"quality": 100}):
        source = encoded("JPEG", (640, 480), progressive=True, **options)
        assert open_photo(source).width == 640
        assert not has_one_scan(BytesIO(source))
        assert has_one_scan(BytesIO(encoded("JPEG", **options)))
    assert open_photo(repeated_scans(480)).width == 64


def test_scans_count_by_their_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "MAX_SCANNED_PIXELS", 100 * 64 * 48)
    assert open_photo(repeated_scans(80)).width == 64
    refused(repeated_scans(100), "at most 100 scans", monkeypatch)


@pytest.mark.parametrize("piece", [1, 2, 3, 7])
def test_markers_are_found_wherever_pieces_end(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "_PIECE_BYTES", piece)
    monkeypatch.setattr(costs, "MAX_JPEG_SCANS", 20)
    refused(repeated_scans(30), "at most 20 scans", monkeypatch)
    assert open_photo(repeated_scans(5)).width == 64


def test_what_lies_behind_the_photo_is_not_counted() -> None:
    """Phones put videos and further photos there."""
    behind = b"\xff\xda\x00\x02" * 10_000
    assert open_photo(encoded("JPEG", progressive=True) + behind).width == 64
    inside = b"\xff\xe5" + struct.pack(">H", 40_002) + b"\xff\xda\x00\x02" * 10_000
    source = encoded("JPEG", progressive=True)
    assert open_photo(source[:2] + inside + source[2:]).width == 64


def test_a_jpeg_with_exif_in_a_thousand_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    segment = b"\xff\xe1" + struct.pack(">H", 60_008) + b"Exif\0\0" + bytes(60_000)
    source = encoded("JPEG")
    refused(source[:2] + segment * 1000 + source[2:], "at most 100 EXIF segments", monkeypatch)
    assert open_photo(source[:2] + segment * 3 + source[2:]).width == 64


def test_a_png_of_a_million_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    source = encoded("PNG")
    refused(
        source[:33] + chunk(b"abCd", b"") * 300_000 + source[33:],
        "at most 200,000 chunks",
        monkeypatch,
    )
    assert open_photo(source[:33] + chunk(b"abCd", b"") * 1000 + source[33:]).width == 64


def tiff_of_strips(rows: int) -> bytes:
    """A grey TIFF, one pixel wide, a strip for each row."""
    at = 8 + 2 + 9 * 12 + 4
    tags = [
        (256, 3, 1, 1),
        (257, 4, 1, rows),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, rows, at),
        (277, 3, 1, 1),
        (278, 4, 1, 1),
        (279, 4, rows, at + 4 * rows),
    ]
    folder = (
        struct.pack("<H", len(tags))
        + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        + bytes(4)
    )
    offsets = np.arange(rows, dtype="<u4") + at + 8 * rows
    return (
        b"II*\0"
        + struct.pack("<I", 8)
        + folder
        + offsets.tobytes()
        + np.ones(rows, "<u4").tobytes()
        + bytes(rows)
    )


def test_a_tiff_of_a_million_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    refused(
        tiff_of_strips(1_000_000), "at most 200,000 strips or tiles, found 1,000,000", monkeypatch
    )
    assert open_photo(tiff_of_strips(5000)).height == 5000


def test_a_fax_of_a_million_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    file = BytesIO()
    Image.new("1", (8, 1_000_000)).save(file, "TIFF", compression="group4")
    refused(
        file.getvalue(),
        "compressed as a fax, of at most 500,000 rows, found 1,000,000",
        monkeypatch,
    )


@pytest.mark.parametrize("in_a_box", [True, False])
def test_a_jpeg_2000_of_many_layers_in_many_tiles(
    in_a_box: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = bytearray(encoded("JPEG2000", (512, 512), no_jp2=not in_a_box, tile_size=(16, 16)))
    assert open_photo(bytes(source)).width == 512
    at = source.index(b"\xff\x52")
    source[at + 6 : at + 8] = struct.pack(">H", 65_535)
    refused(bytes(source), "at most 50,000,000 packets", monkeypatch)


def test_a_jpeg_2000_of_tiny_precincts(monkeypatch: pytest.MonkeyPatch) -> None:
    source = encoded("JPEG2000", (512, 512), no_jp2=True, precinct_size=(64, 64))
    assert open_photo(source).width == 512
    monkeypatch.setattr(costs, "MAX_J2K_PACKETS", 100)
    refused(source, "at most 100 packets", monkeypatch)
    assert open_photo(encoded("JPEG2000", (512, 512), no_jp2=True)).width == 512


def test_a_plain_ppm_of_many_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    refused(b"P3 2 2 255\n" + b"#\n" * 100_000 + b"1 " * 12, "at most 1,000 comments", monkeypatch)
    assert open_photo(b"P3 2 2 255\n# one\n" + b"1 " * 12).width == 2


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_of_many_frames_only_the_first_is_decoded(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [Image.new("RGB", (16, 16), (5 * number, 0, 0)) for number in range(50)]
    file = BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    with Image.open(BytesIO(file.getvalue())) as opened:
        assert opened.n_frames > 5  # type: ignore[attr-defined]
        kind = type(opened)
    seek = kind.seek
    monkeypatch.setattr(
        kind,
        "seek",
        lambda self, frame: pytest.fail("another frame") if frame else seek(self, frame),
    )
    assert open_photo(file.getvalue()).width == 16


def test_damaged_headers_cost_nothing() -> None:
    """What cannot be understood is left to the reader: it tells what is wrong."""
    for source in (
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xda\0\2",
        b"\x89PNG\r\n\x1a\n\0\0",
        b"II*\0\xff\xff\xff\xff",
        b"II+\0\x08",
    ):
        with pytest.raises(PhotoError, match="header"):
            open_photo(source)
