"""Photos as data: URLs: small, bounded, without metadata."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from regiontalk.photos import Photo, open_photo
from regiontalk.report.pictures import LEAST_BYTES, LEAST_SIDE, data_url

PREFIX = "data:image/jpeg;base64,"


def decoded(url: str) -> Image.Image:
    assert url.startswith(PREFIX)
    return Image.open(BytesIO(base64.b64decode(url.removeprefix(PREFIX), validate=True)))


def noise(width: int, height: int) -> Photo:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Photo("noise", width, height, Image.fromarray(pixels))


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [
        ((200, 100), 64, (64, 32)),
        ((100, 200), 64, (32, 64)),
        ((50, 20), 64, (50, 20)),
        ((3000, 1), 64, (64, 1)),
    ],
)
def test_the_long_side_is_bounded(
    size: tuple[int, int], side: int, expected: tuple[int, int]
) -> None:
    assert decoded(data_url(noise(*size), side)).size == expected


def test_a_url_keeps_to_its_length() -> None:
    photo = noise(1200, 900)
    full = data_url(photo, 1024)
    for most in (len(full) // 2, 100_000, LEAST_BYTES):
        url = data_url(photo, 1024, most)
        assert len(url) <= most
        assert max(decoded(url).size) >= LEAST_SIDE
    assert data_url(photo, 1024, len(full)) == full


@pytest.mark.parametrize("shape", [(900, 900), (1200, 300)])
def test_the_least_bytes_are_enough_for_noise(shape: tuple[int, int]) -> None:
    assert len(data_url(noise(*shape), 1024, 1)) <= LEAST_BYTES


def test_metadata_stays_behind(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "SECRET camera"
    Image.new("RGB", (40, 30), "red").save(tmp_path / "a.jpg", exif=exif, comment=b"SECRET comment")
    assert b"SECRET" in (tmp_path / "a.jpg").read_bytes()
    url = data_url(open_photo(tmp_path / "a.jpg"), 100)
    assert b"SECRET" not in base64.b64decode(url.removeprefix(PREFIX))
    assert not decoded(url).getexif()


def test_a_colour_profile_travels_unless_it_is_of_another_kind() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for given, expected in ((profile, profile), (profile + bytes(5000), None), (bytes(200), None)):
        photo = noise(8, 8)
        photo.image.info["icc_profile"] = given
        assert decoded(data_url(photo, 8)).info.get("icc_profile") == expected
