"""Opening photos.

Every colour mode and orientation gives upright RGB, and whatever is wrong is said clearly.
"""

from __future__ import annotations

import ast
import errno
import os
import struct
import threading
import tracemalloc
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile, features

import regiontalk
from regiontalk.errors import PhotoError
from regiontalk.photos import MAX_FILE_BYTES, MAX_PIXELS, SHRUNK, Photo, open_photo, opening
from regiontalk.photos.kinds import TooManyPixelsError

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


# Where photos come from


def test_a_path_bytes_an_image_and_an_array_are_the_same_photo(tmp_path: Path) -> None:
    image = a_gradient()
    path = tmp_path / "ein Käfer.png"
    path.write_bytes(encoded(image))
    expected = np.asarray(image)
    for source, name in (
        (path, str(path)),
        (str(path), str(path)),
        (path.read_bytes(), "<bytes>"),
        (image, "<image>"),
        (expected, "<array>"),
    ):
        photo = open_photo(source)
        assert photo.file == name
        assert np.array_equal(pixels(photo), expected)


def test_an_opened_photo_shares_nothing_with_its_source() -> None:
    image = a_gradient()
    array = np.array(image)
    of_image, of_array = open_photo(image), open_photo(array)
    image.putpixel((0, 0), (1, 2, 3))
    array[0, 0] = 1
    for photo in (of_image, of_array):
        assert np.array_equal(pixels(photo), np.asarray(a_gradient()))


def test_an_image_opened_from_a_file_keeps_its_name() -> None:
    with Image.open(SAMPLES / "chelsea.jpg") as image:
        photo = open_photo(image)
    assert photo.file == str(SAMPLES / "chelsea.jpg")
    assert (photo.width, photo.height) == (451, 300)


def test_arrays_with_odd_memory_layouts() -> None:
    array = np.asarray(a_gradient())
    assert np.array_equal(pixels(open_photo(array[::-1, ::2])), array[::-1, ::2])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(PhotoError, match=r"<array>: expected an array \(H, W, 3\) of uint8"):
        open_photo(array)


def test_other_types_are_refused() -> None:
    with pytest.raises(PhotoError, match="found int"):
        open_photo(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("limits", [{"max_pixels": 0}, {"min_side": 0}])
def test_senseless_limits_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        open_photo(a_gradient(), **limits)


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("*.jpg")))
def test_sample_photos(name: str) -> None:
    assert pixels(open_photo(SAMPLES / name)).std() > 20
    assert (SAMPLES / name).stat().st_size < 150_000
    assert f"`{name}`" in (SAMPLES / "LICENSES.md").read_text(encoding="utf-8")


# Colour modes


@pytest.mark.parametrize(
    ("mode", "value", "rgb"),
    [
        ("1", 255, (255, 255, 255)),
        ("L", 77, (77, 77, 77)),
        ("LA", (77, 255), (77, 77, 77)),
        ("LA", (77, 0), (255, 255, 255)),
        ("RGB", (10, 20, 30), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),  # a fifth of black on white
        ("RGBa", (0, 0, 0, 51), (204, 204, 204)),
        ("La", (0, 51), (204, 204, 204)),
        ("RGBX", (10, 20, 30, 0), (10, 20, 30)),
        ("CMYK", (0, 0, 0, 0), (255, 255, 255)),
        ("CMYK", (255, 0, 0, 0), (0, 255, 255)),
        ("YCbCr", (90, 128, 128), (90, 90, 90)),
        ("HSV", (0, 255, 255), (255, 0, 0)),
        ("I;16", 0x80FF, (0x80, 0x80, 0x80)),
        ("I;16B", 0x80FF, (0x80, 0x80, 0x80)),
        ("I", 65535, (255, 255, 255)),
        ("F", 1.0, (255, 255, 255)),
        ("F", 0.2, (51, 51, 51)),
        ("F", 51.0, (51, 51, 51)),
        ("F", 65535.0, (255, 255, 255)),
    ],
)
def test_modes(mode: str, value: Any, rgb: tuple[int, int, int]) -> None:
    if mode in ("I;16B", "La", "RGBa"):  # Pillow cannot fill these with a colour
        data = struct.pack(">H", value) if mode == "I;16B" else bytes(value)
        image = Image.frombytes(mode, (3, 2), data * 6)
    else:
        image = Image.new(mode, (3, 2), value)
    assert first_pixel(image) == rgb


def test_lab() -> None:
    lab = ImageCms.createProfile("LAB")
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), lab, "RGB", "LAB")
    image = ImageCms.applyTransform(Image.new("RGB", (2, 2), (200, 40, 90)), to_lab)
    assert image is not None
    assert np.abs(np.array(first_pixel(image)) - (200, 40, 90)).max() <= 3


@pytest.mark.parametrize(
    ("values", "greys"),
    [
        ([[0, 100, 65535]], [0, 0, 255]),
        ([[-100, 0, 155]], [0, 100, 255]),  # no common white fits: stretched
        ([[0, 200_000, 1_000_000]], [0, 51, 255]),
        ([[7, 7, 7]], [0, 0, 0]),
    ],
)
def test_wide_greys(values: list[list[int]], greys: list[int]) -> None:
    image = Image.fromarray(np.array(values, np.int32))
    assert pixels(open_photo(image))[0, :, 0].tolist() == greys


def test_values_that_are_not_finite_are_black() -> None:
    image = Image.fromarray(np.array([[np.nan, np.inf, -np.inf, 1.0]], np.float32))
    assert pixels(open_photo(image))[0, :, 0].tolist() == [0, 0, 0, 255]


def test_greys_are_turned_into_8_bits_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(0, 99, (7, 9)).astype(np.float32)
    expected = pixels(open_photo(Image.fromarray(values)))
    wide = values.astype(np.float64)
    stretched = (wide - wide.min()) * (255 / (wide.max() - wide.min())) + 0.5
    assert np.array_equal(expected[..., 0], stretched.astype(np.uint8))
    monkeypatch.setattr(opening, "_GREYS_AT_ONCE", 5)
    assert np.array_equal(pixels(open_photo(Image.fromarray(values))), expected)


def test_a_wide_grey_takes_no_copies_in_double_precision() -> None:
    image = Image.new("F", (2000, 2000), 0.5)
    tracemalloc.start()
    open_photo(image)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # 8 for two arrays of float32, 1 for the greys, and 1 << 20 pixels in float64
    assert peak < 16 * 2000 * 2000


def test_transparency_is_on_white_to_the_last_bit() -> None:
    values, alphas = np.meshgrid(np.arange(256), np.arange(256))
    layer = Image.fromarray(
        np.stack([values, 255 - values, values // 2, alphas], axis=-1).astype(np.uint8)
    )
    expected = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    assert np.array_equal(pixels(open_photo(layer)), np.asarray(expected))


def test_sixteen_bit_png() -> None:
    grey = np.linspace(0, 65535, 256, dtype=np.uint16)[None]
    found = pixels(open_photo(encoded(Image.fromarray(grey))))
    assert np.array_equal(found[0, :, 0], np.arange(256))


def test_a_palette_with_and_without_transparency() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    assert pixels(open_photo(encoded(image)))[0].tolist() == [[10, 20, 30], [40, 50, 60]]
    for transparency in (0, bytes([0, 255])):  # one colour of the palette; an alpha for each
        found = pixels(open_photo(encoded(image, transparency=transparency)))
        assert found[0].tolist() == [[255, 255, 255], [40, 50, 60]]


def test_one_transparent_colour_in_rgb() -> None:
    image = Image.new("RGB", (2, 1), (1, 2, 3))
    image.putpixel((1, 0), (9, 9, 9))
    assert pixels(open_photo(encoded(image, transparency=(9, 9, 9))))[0].tolist() == [
        [1, 2, 3],
        [255, 255, 255],
    ]


@pytest.mark.parametrize(
    "kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM"]
)
def test_formats(kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    image = a_gradient()
    found = pixels(open_photo(encoded(image, kind)))
    assert np.abs(found.astype(int) - np.asarray(image)).mean() < 12


def test_cmyk_jpeg() -> None:
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    red, green, blue = first_pixel(encoded(image, "JPEG", quality=95))
    assert red < 10 and green > 245 and blue > 245


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "lime")]
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    source = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert first_pixel(source) == (255, 0, 0)


# Orientation


TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}
"""EXIF orientation → what must be done to the stored (H, W, 3) array to see it upright."""


def orientation(value: Any) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
@pytest.mark.parametrize("value", TURNED)
def test_photos_are_upright(kind: str, value: int) -> None:
    image = a_gradient()
    options: dict[str, Any] = {
        "JPEG": {"quality": 98, "subsampling": 0},
        "WEBP": {"lossless": True},
    }.get(kind, {})
    found = pixels(open_photo(encoded(image, kind, exif=orientation(value), **options)))
    expected = TURNED[value](np.asarray(image))
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= (0 if kind != "JPEG" else 8)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_orientations_that_do_not_exist_are_passed_over(value: int) -> None:
    image = a_gradient()
    assert np.array_equal(
        pixels(open_photo(encoded(image, exif=orientation(value)))), np.asarray(image)
    )


def test_damaged_exif_does_not_matter() -> None:
    image = a_gradient()
    source = encoded(image, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff garbage")
    assert np.array_equal(pixels(open_photo(source)), np.asarray(image))


# Sizes


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


# What is wrong


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000"])
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_cut_off_files(kind: str, part: float, tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    source = encoded(noise, kind)
    path = tmp_path / "cut.img"
    path.write_bytes(source[: int(len(source) * part)])
    with pytest.raises(PhotoError, match=r"cut\.img: expected .+, found .+\. .+\.") as caught:
        open_photo(path)
    assert "Get it once more" in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM"]),
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8
    ),
    length=st.floats(0, 1),
)
def test_damage_gives_a_photo_or_a_photo_error(
    kind: str, changes: list[tuple[float, int]], length: float
) -> None:
    source = bytearray(encoded(a_gradient(16, 12), kind))
    for place, byte in changes:
        source[int(place * len(source))] = byte
    try:
        pixels(open_photo(bytes(source[: int(length * len(source)) + 1]), max_pixels=1_000_000))
    except PhotoError as error:
        assert str(error).startswith("<bytes>: expected ")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "found an empty file"),
        (b"just some text\n", "found text"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "found text"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "found a PDF document"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n\x00", "found a PostScript document"),
        (b"PK\x03\x04\x14\0\0\0", "found a ZIP archive"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "found a video"),
        (b"\x00\x01\x02\x03" * 20, "found something else"),
        (b"\xff\xd8\xff", "found a damaged or cut off header"),
        (b"\x89PNG\r\n\x1a\n", "found a damaged or cut off header"),
    ],
)
def test_files_that_are_no_photos(content: bytes, found: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(PhotoError) as caught:
        open_photo(path)
    assert str(caught.value).startswith(f"{path}: expected a ")
    assert found in str(caught.value)


def test_the_name_does_not_decide_what_a_file_is(tmp_path: Path) -> None:
    path = tmp_path / "photo.txt"
    path.write_bytes(encoded(a_gradient()))
    assert open_photo(path).width == 64


def test_postscript_is_never_run(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(a_gradient(), "EPS"))
    with pytest.raises(PhotoError, match="found a PostScript document"):
        open_photo(path)


def test_missing_files_folders_and_pipes(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"gone\.jpg: no such file\. Name"):
        open_photo(tmp_path / "gone.jpg")
    with pytest.raises(PhotoError, match="found a folder"):
        open_photo(tmp_path)
    with pytest.raises(PhotoError, match="empty name"):
        open_photo("")
    with pytest.raises(PhotoError, match="a name that no file can have"):
        open_photo("a\0b.jpg")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")  # opening it would wait for ever
        with pytest.raises(PhotoError, match="a pipe, socket or device"):
            open_photo(tmp_path / "pipe.jpg")


def test_devices_and_links_to_them_are_not_opened(tmp_path: Path) -> None:
    if os.path.exists("/dev/zero"):
        (tmp_path / "endless.jpg").symlink_to("/dev/zero")
        for name in ("/dev/zero", tmp_path / "endless.jpg"):
            with pytest.raises(PhotoError, match="a pipe, socket or device"):
                open_photo(name)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    path = tmp_path / "photo.png"
    path.write_bytes(encoded(a_gradient()))
    monkeypatch.setattr(os, "open", fail)  # root may read everything, so permissions would not do
    with pytest.raises(PhotoError, match=r"photo\.png: cannot be read \(Permission denied\)"):
        open_photo(path)


class FailingDisk(BytesIO):
    """A file whose disk fails behind the first bytes."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 100:
            raise OSError(errno.EIO, "Input/output error")
        return super().read(size)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_disk_that_fails_is_no_damaged_photo(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = encoded(a_gradient(640, 480), kind)
    monkeypatch.setattr(opening.files, "open_regular", lambda *_, **__: FailingDisk(source))
    with pytest.raises(PhotoError, match=r"photo\.x: cannot be read \(Input/output error\)"):
        open_photo("photo.x")


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "photo.webp"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)  # takes no room on disk
    with pytest.raises(
        PhotoError, match=f"at most {MAX_FILE_BYTES:,} bytes, found {MAX_FILE_BYTES + 1:,}"
    ):
        open_photo(path)


def test_binary_files_are_read_from_their_start_and_left_where_they_were(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(encoded(a_gradient()))
    with open(tmp_path / "photo.png", "rb") as file:
        for place in (0, 7, os.path.getsize(tmp_path / "photo.png")):
            file.seek(place)
            photo = open_photo(file)
            assert (photo.file, photo.width, file.tell()) == (
                str(tmp_path / "photo.png"),
                64,
                place,
            )
    at_its_end = BytesIO()
    a_gradient().save(at_its_end, "PNG")
    assert open_photo(at_its_end).file == "<file>"


def test_what_is_no_open_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(encoded(a_gradient()))
    text = open(tmp_path / "photo.png", encoding="latin-1")  # noqa: SIM115 - closed below, to be passed on
    with (
        text,
        pytest.raises(
            PhotoError, match=r"photo\.png: expected a file that gives bytes, found .* str\. .*'rb'"
        ),
    ):
        open_photo(text)  # type: ignore[arg-type]
    with pytest.raises(PhotoError, match="found I/O operation on closed file"):
        open_photo(text)  # type: ignore[arg-type]


def test_names_cannot_steer_a_terminal() -> None:
    with pytest.raises(PhotoError) as caught:
        open_photo("a\x1b[31m\nb.jpg")
    assert "\x1b" not in str(caught.value) and "\n" not in str(caught.value)


def test_images_that_cannot_be_used() -> None:
    with pytest.raises(PhotoError, match="0 x 5"):
        open_photo(Image.new("RGB", (0, 5)))
    image = Image.open(SAMPLES / "chelsea.jpg")
    image.close()
    with pytest.raises(PhotoError, match=r"chelsea\.jpg"):
        open_photo(image)


def test_warnings_of_pillow_stay_inside_and_filters_come_back() -> None:
    source = bytearray(encoded(a_gradient(), "TIFF", description="a" * 20))
    at = source.index(struct.pack("<HHI", 270, 2, 21))  # the description: tag, type, count
    source[at + 4 : at + 8] = struct.pack("<I", 1_000_000)
    with pytest.warns(UserWarning, match="larger than file"), Image.open(BytesIO(source)):
        pass
    before = list(warnings.filters)
    opened: list[int] = []  # a warning would be an error, and end its thread
    threads = [
        threading.Thread(
            target=lambda: opened.extend(open_photo(bytes(source)).width for _ in range(20))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [64] * 80
    assert warnings.filters == before
