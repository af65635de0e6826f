"""Opening photos.

Every colour mode and orientation gives upright RGB, and whatever is wrong is said clearly.
"""

from __future__ import annotations

import os
import struct
import threading
import tracemalloc
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from regiontalk.errors import PhotoError
from regiontalk.photos import open_photo, opening

from .made import SAMPLES, a_gradient, encoded, first_pixel, orientation, pixels

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


# What is wrong


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
