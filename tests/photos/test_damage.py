"""Files that are damaged, no photos, or cannot be read: whatever is wrong is said clearly."""

from __future__ import annotations

import errno
import os
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from regiontalk.errors import PhotoError
from regiontalk.photos import MAX_FILE_BYTES, open_photo, opening

from .made import a_gradient, encoded, pixels


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
