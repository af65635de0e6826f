"""Photos of any size: decoded smaller where that is enough, refused where they are too large."""

from __future__ import annotations

import ast
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

import regiontalk
from regiontalk.errors import PhotoError
from regiontalk.photos import MAX_PIXELS, SHRUNK, open_photo
from regiontalk.photos.kinds import TooManyPixelsError

from .made import a_gradient, encoded, orientation, pixels


def test_large_jpegs_are_decoded_smaller_if_that_is_enough() -> None:
    source = encoded(a_gradient(1600, 1200), "JPEG")
    for min_side, size in (
        (1200, (1600, 1200)),
        (500, (800, 600)),
        (224, (400, 300)),
        (100, (200, 150)),
    ):
        photo = open_photo(source, min_side=min_side)
        assert (photo.width, photo.height) == (1600, 1200)
        assert photo.image.size == size
    small = np.asarray(open_photo(source, min_side=100).image.resize((64, 48)), int)
    assert np.abs(small - np.asarray(a_gradient(1600, 1200).resize((64, 48)))).mean() < 4


def test_a_large_jpeg_on_its_side() -> None:
    photo = open_photo(encoded(a_gradient(1600, 800), "JPEG", exif=orientation(6)), min_side=400)
    assert (photo.width, photo.height) == (800, 1600)
    assert photo.image.size == (400, 800)


@given(width=st.integers(1, 400), height=st.integers(1, 400), min_side=st.integers(1, 300))
@settings(max_examples=40, deadline=None)
def test_no_side_falls_below_min_side(width: int, height: int, min_side: int) -> None:
    photo = open_photo(encoded(Image.new("RGB", (width, height)), "JPEG"), min_side=min_side)
    assert (photo.width, photo.height) == (width, height)
    assert min(photo.image.size) >= min(min_side, width, height)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
def test_tiny_and_thin_photos(size: tuple[int, int], kind: str) -> None:
    photo = open_photo(encoded(Image.new("RGB", size, "red"), kind), min_side=224)
    assert (photo.width, photo.height) == photo.image.size == size


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG whose header promises a size and that has no pixels at all."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("width", "height"), [(10_001, 10_000), (50_000, 50_000), (2**31 - 1, 2**31 - 1)]
)
def test_decompression_bombs_are_refused_by_their_header(
    width: int, height: int, monkeypatch: Any
) -> None:
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(
        PhotoError, match=r"<bytes>: expected a photo of at most 100,000,000 pixels"
    ) as caught:
        open_photo(png_that_claims(width, height))
    assert f"{width} x {height}" in str(caught.value)
    assert "max_pixels" in str(caught.value) and "--max-pixels" in str(caught.value)
    assert isinstance(caught.value, TooManyPixelsError)
    told, guests = str(caught.value), caught.value.for_guests
    assert guests.endswith(". Make it smaller.") and told.startswith(guests[:-1])


def test_every_call_in_the_package_says_how_many_pixels() -> None:
    """Who opens photos takes the limit from who asked for them.

    The advice to raise it must hold everywhere.
    """
    for file in Path(regiontalk.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "open_photo"
            ):
                assert "max_pixels" in [each.arg for each in node.keywords], (
                    f"{file}, line {node.lineno}"
                )


def test_the_limit_is_the_callers() -> None:
    assert MAX_PIXELS == 100_000_000
    image = a_gradient()
    assert open_photo(image, max_pixels=64 * 48).width == 64
    for source in (image, np.asarray(image), encoded(image)):
        with pytest.raises(PhotoError, match="at most 3,071 pixels, found 64 x 48 = 3,072"):
            open_photo(source, max_pixels=64 * 48 - 1)


def test_a_jpeg_of_108_megapixels_is_decoded_smaller() -> None:
    source = encoded(Image.new("L", (12000, 9000), 99), "JPEG")
    photo = open_photo(source, min_side=224)
    assert (photo.width, photo.height, photo.image.size) == (12000, 9000, (1500, 1125))
    with pytest.raises(
        PhotoError, match="at most 100,000,000 pixels, found 12000 x 9000 = 108,000,000"
    ):
        open_photo(source)


@pytest.mark.parametrize(("factor", "fits"), [(1, True), (SHRUNK, True), (SHRUNK + 0.01, False)])
def test_what_is_decoded_is_bounded_and_the_whole_more_loosely(factor: float, fits: bool) -> None:
    source, limit = encoded(a_gradient(1600, 1200), "JPEG"), int(1600 * 1200 / factor)
    if fits:
        assert open_photo(source, min_side=100, max_pixels=limit).width == 1600
    else:
        with pytest.raises(
            PhotoError, match=f"at most {SHRUNK * limit:,} pixels, found 1600 x 1200"
        ):
            open_photo(source, min_side=100, max_pixels=limit)
    with pytest.raises(
        PhotoError, match=r"of which 1,920,000 would be decoded|found 1600 x 1200 = 1,920,000\."
    ):
        open_photo(source, min_side=1000, max_pixels=1600 * 1200 - 1)


def test_a_progressive_jpeg_is_held_in_full_before_it_is_shrunk() -> None:
    source = encoded(a_gradient(1600, 1200), "JPEG", progressive=True)
    assert open_photo(source, min_side=100).image.size == (200, 150)
    with pytest.raises(PhotoError, match="at most 1,000,000 pixels"):
        open_photo(source, min_side=100, max_pixels=1_000_000)


@pytest.mark.parametrize("limit", [None, 1000, 3000])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_pillows_limit_has_no_say(
    kind: str, limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    source = encoded(a_gradient(), kind)
    assert open_photo(source).width == 64
    with pytest.raises(PhotoError, match="at most 3,071 pixels"):
        open_photo(source, max_pixels=64 * 48 - 1)


def test_where_pillows_limit_cannot_be_passed_over_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # TIFF's reader raises above the double
    with pytest.raises(PhotoError, match=r"at most 2,000 pixels \(Pillow's limit\), found .*3072"):
        open_photo(encoded(a_gradient(), "TIFF"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)  # and warns above the limit itself
    assert open_photo(encoded(a_gradient(), "TIFF")).width == 64


def test_too_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: ImageFile.ImageFile) -> None:
        raise MemoryError

    source = encoded(a_gradient())
    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    with pytest.raises(PhotoError, match="64 x 48 pixels and too little memory"):
        open_photo(source)


@pytest.mark.parametrize(
    "place", ["PIL.PngImagePlugin.PngImageFile._open", "regiontalk.photos.opening.to_rgb"]
)
@pytest.mark.parametrize("as_bytes", [True, False])
def test_too_little_memory_anywhere(
    place: str, as_bytes: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise MemoryError

    source = encoded(a_gradient())
    (tmp_path / "a.png").write_bytes(source)
    open_photo(source)
    monkeypatch.setattr(place, fail)
    with pytest.raises(PhotoError, match="too little memory for it"):
        open_photo(source if as_bytes else tmp_path / "a.png")


def test_a_bomb_of_text_in_a_png() -> None:
    bomb = zlib.compress(b"\0" * 80_000_000)
    text = b"Comment\0\0" + bomb
    source = encoded(a_gradient())
    chunk = (
        struct.pack(">I", len(text))
        + b"zTXt"
        + text
        + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    )
    tracemalloc.start()
    assert np.array_equal(
        pixels(open_photo(source[:33] + chunk + source[33:])), np.asarray(a_gradient())
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000  # it is never unpacked
