"""What readers say of files that they do not take, and what they must not say on stderr."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from regiontalk.errors import PhotoError
from regiontalk.photos import open_photo, readers
from regiontalk.photos.readers import READERS

from .made import a_gradient, stderr_of_the_process


def encoded(kind: str, image: Image.Image | None = None, **options: Any) -> bytes:
    file = BytesIO()
    (image or a_gradient()).save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def ftyp(major: bytes, *others: bytes) -> bytes:
    content = b"ftyp" + major + bytes(4) + b"".join(others)
    return struct.pack(">I", len(content) + 4) + content + bytes(64)


# Kinds


@pytest.mark.parametrize(
    "head",
    [
        *(
            ftyp(brand)
            for brand in (
                b"heic",
                b"heix",
                b"heim",
                b"heis",
                b"hevc",
                b"hevx",
                b"hevm",
                b"hevs",
                b"mif1",
            )
        ),
        ftyp(b"mif1", b"mif1", b"heic"),
        ftyp(b"msf1", b"msf1", b"hevc"),
    ],
)
def test_heif_is_named_with_the_way_to_read_it(
    head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regiontalk.photos.readers.heif_is_read", lambda: False)
    with pytest.raises(
        PhotoError,
        match=r"found a HEIF photo \(HEIC\)\. Save it as JPEG, or: pip install 'regiontalk",
    ):
        open_photo(head)


def test_avif_under_the_common_brand_is_still_read() -> None:
    if not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    source = encoded("AVIF")
    assert source[8:12] == b"avif"
    assert open_photo(source[:8] + b"mif1" + source[12:]).width == 64


def test_hevc_in_a_file_that_calls_itself_avif() -> None:
    with pytest.raises(
        PhotoError, match=r"expected an AVIF photo, found a HEIF photo \(HEIC\) under AVIF's name"
    ):
        open_photo(ftyp(b"avif", b"avif") + b"....hvcC")


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"\xff\x0a\xfa\x1f\x01", "a JPEG XL photo. Save it as JPEG"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL photo. Save it as JPEG"),
        (b"II*\0\x10\0\0\0CR\x02\0", "a raw photo (TIFF from a camera). Develop it"),
        (ftyp(b"crx "), "a raw photo (Canon CR3)"),
        (b"FUJIFILMCCD-RAW 0201", "a raw photo (Fujifilm RAF)"),
        (b"IIU\0\x18\0\0\0", "a raw photo (Panasonic RW2)"),
        (b"IIRO\x08\0\0\0", "a raw photo (Olympus ORF)"),
        (b"8BPS\0\x01", "a Photoshop document"),
        (ftyp(b"qt  "), "a video. Name a photo"),
    ],
)
def test_other_kinds_are_named(head: bytes, found: str) -> None:
    with pytest.raises(PhotoError) as caught:
        open_photo(head)
    assert f"found {found}" in str(caught.value)


def tiff_with(*tags: tuple[int, int, int, int]) -> bytes:
    """A TIFF of 2 x 2 pixels with these tags (number, type, count, value) and those it needs."""
    own = {
        256: (3, 1, 2),
        257: (3, 1, 2),
        259: (3, 1, 1),
        262: (3, 1, 2),
        273: (4, 1, 200),
        278: (3, 1, 2),
    }
    every = {**own, 279: (4, 1, 48), **{number: rest for number, *rest in tags}}
    folder = b"".join(struct.pack("<HHII", number, *every[number]) for number in sorted(every))
    head = b"II*\0" + struct.pack("<IH", 8, len(every)) + folder + bytes(4)
    return (
        head.ljust(180, b"\0") + struct.pack("<10H", 32, 32, 32, 3, 3, 3, 16, 16, 16, 0) + bytes(48)
    )


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        (
            [(258, 3, 3, 180), (277, 3, 1, 3), (339, 3, 3, 186)],
            "3 channels of 32 bits each, floating point",
        ),
        ([(258, 3, 3, 180), (277, 3, 1, 3)], "3 channels of 32 bits each, integers"),
        (
            [(258, 3, 1, 64), (262, 3, 1, 1), (339, 3, 1, 3)],
            "1 channels of 64 bits each, floating point",
        ),
        ([(258, 3, 3, 192), (277, 3, 1, 3), (259, 3, 1, 50002)], "compression 50002"),
    ],
)
def test_sound_tiffs_that_are_not_read(tags: list[tuple[int, int, int, int]], found: str) -> None:
    with pytest.raises(PhotoError) as caught:
        open_photo(tiff_with(*tags))
    assert str(caught.value).startswith("<bytes>: expected a TIFF photo that can be read, found ")
    assert f"found {found}. Save it as JPEG, or as PNG" in str(caught.value)


@pytest.mark.parametrize("tags", [[(50706, 1, 4, 0x0401)], [(254, 4, 1, 1), (330, 4, 1, 8)]])
def test_the_preview_in_a_raw_file_is_not_taken_for_the_photo(
    tags: list[tuple[int, int, int, int]],
) -> None:
    with pytest.raises(PhotoError, match=r"found a raw photo \(TIFF from a camera\)\. Develop it"):
        open_photo(tiff_with((258, 3, 1, 8), (262, 3, 1, 1), *tags))
    assert open_photo(tiff_with((258, 3, 1, 8), (262, 3, 1, 1))).width == 2


@pytest.mark.parametrize("bits", [12, 16])
def test_a_jpeg_of_more_bits_is_sound(bits: int) -> None:
    source = bytearray(encoded("JPEG"))
    source[source.index(b"\xff\xc0") + 4] = bits
    with pytest.raises(
        PhotoError,
        match=rf"a JPEG photo that can be read, found one that cannot \(cannot handle {bits}",
    ):
        open_photo(bytes(source))


# Texts in PNGs


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_a_png_with_much_text_is_read(kind: bytes) -> None:
    text = (
        b"Comment\0"
        + (b"\0" if kind == b"zTXt" else b"\x01\0\0\0")
        + zlib.compress(b"words " * 600_000)
    )
    source = encoded("PNG")
    found = open_photo(source[:33] + chunk(kind, text) + source[33:])
    assert np.array_equal(np.asarray(found.image), np.asarray(a_gradient()))


def test_a_png_with_much_text_is_turned_as_its_exif_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"words " * 600_000))
    source = encoded("PNG", exif=exif)
    assert open_photo(source[:33] + text + source[33:]).width == 48
    raw = b"\nexif\n%8d\n%s\n" % (len(exif.tobytes()), exif.tobytes().hex().encode())
    profile = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw))
    source = encoded("PNG")
    assert open_photo(source[:33] + profile + text + source[33:]).width == 48


def test_a_png_with_too_much_exif_names_the_limit() -> None:
    text = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"00" * 2_000_000))
    source = encoded("PNG")
    with pytest.raises(PhotoError, match="at most 1 MB of EXIF or XMP text"):
        open_photo(source[:33] + text + source[33:])


def test_cases_of_png_text_and_heif(
    case: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert open_photo(case("png_text/photo.png")).width > 0
    monkeypatch.setattr("regiontalk.photos.readers.heif_is_read", lambda: False)
    with pytest.raises(PhotoError, match="a HEIF photo"):
        open_photo(case("heif/mif1.heic"))


# HEIF


def heic(image: Image.Image, **options: Any) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    file = BytesIO()
    pillow_heif.encode(image.mode, image.size, image.tobytes(), file, quality=95, **options)
    return file.getvalue()


def test_heif_is_read_where_its_library_is(tmp_path: Path) -> None:
    (tmp_path / "photo.heic").write_bytes(heic(a_gradient()))
    before = {*Image.ID}
    photo = open_photo(tmp_path / "photo.heic", min_side=16)
    assert (photo.width, photo.height, photo.image.mode) == (64, 48, "RGB")
    assert (
        np.abs(np.asarray(photo.image.resize((64, 48)), int) - np.asarray(a_gradient())).mean() < 6
    )
    assert {*Image.ID} <= before | {*READERS}  # nothing is registered
    with pytest.raises(PhotoError, match="at most 3,071 pixels"):
        open_photo(tmp_path / "photo.heic", max_pixels=64 * 48 - 1)


@pytest.mark.parametrize("value", [1, 3, 6, 8])
def test_heif_is_turned_once(value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    # Writes it into the container too, as phones do
    source = heic(a_gradient(), exif=exif.tobytes())
    assert (b"irot" in source) == (value != 1)
    found = open_photo(source)
    turned = {1: 0, 3: 2, 6: -1, 8: 1}[value]
    expected = np.rot90(np.asarray(a_gradient()), turned)
    assert (found.width, found.height) == expected.shape[1::-1]
    assert np.abs(np.asarray(found.image, int) - expected).mean() < 6


def test_damaged_heif() -> None:
    source = heic(a_gradient())
    for part in (0.2, 0.9):
        with pytest.raises(PhotoError, match="<bytes>: expected a whole HEIF photo"):
            open_photo(source[: int(len(source) * part)])


# Memory


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exact": True, "exif": b"Exif\0\0"}])
def test_the_size_of_a_webp(options: dict[str, Any]) -> None:
    assert readers._webp_pixels(encoded("WEBP", a_gradient(321, 123), **options)[:30]) == 321 * 123


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on a process's memory")
@pytest.mark.parametrize("kind", ["WEBP", "JPEG2000", "PNG"])
def test_too_little_memory_is_no_damage(kind: str, tmp_path: Path) -> None:
    source = encoded(kind, Image.new("RGB", (6000, 6000)))
    (tmp_path / "large").write_bytes(source)
    (tmp_path / "small").write_bytes(encoded(kind))
    code = """
import resource, sys
from regiontalk.errors import PhotoError
from regiontalk.photos import open_photo
open_photo(sys.argv[1])
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 60_000_000, resource.RLIM_INFINITY))
try:
    open_photo(sys.argv[2])
except PhotoError as error:
    print(error)
"""
    line = [sys.executable, "-c", code, str(tmp_path / "small"), str(tmp_path / "large")]
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    assert "too little memory" in ended.stdout, ended.stderr


# What reaches stderr


SOURCES: dict[str, Callable[[], bytes]] = {
    **{kind: lambda kind=kind: encoded(kind) for kind in READERS},  # type: ignore[misc]
    "progressive JPEG": lambda: encoded("JPEG", progressive=True),
    "palette PNG": lambda: encoded("PNG", a_gradient().convert("P")),
    "TIFF by LZW": lambda: encoded("TIFF", compression="tiff_lzw"),
    "TIFF by deflate": lambda: encoded("TIFF", compression="tiff_adobe_deflate"),
    "TIFF by JPEG": lambda: encoded("TIFF", compression="jpeg"),
    "TIFF by fax": lambda: encoded("TIFF", a_gradient().convert("1"), compression="group4"),
    "HEIF": lambda: heic(a_gradient()),
}


@pytest.mark.parametrize("name", SOURCES)
def test_damaged_photos_end_soon_and_quietly(name: str) -> None:
    """300 of them and more: a photo or a sentence, and not a byte on stderr."""
    if name == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    source, chance = SOURCES[name](), random.Random(name)
    with stderr_of_the_process() as written:
        for _ in range(30):
            damaged = bytearray(source)
            for _ in range(chance.randint(1, 6)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            length = chance.randrange(1, len(damaged)) if chance.random() < 0.3 else len(damaged)
            try:
                open_photo(bytes(damaged[:length]), max_pixels=1_000_000)
            except PhotoError as error:
                assert str(error).startswith("<bytes>: expected ")
    assert written() == b""
