"""Which sidecar is a photo's, reading and writing it, and what other programs read in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from regiontalk.data.sidecars import MAX_BYTES, Sidecars, read_sidecar, write_sidecar
from regiontalk.errors import DataError

from ..xmp_samples import DARKTABLE, DIGIKAM, LIGHTROOM, SAMPLES, others, texts


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


@pytest.mark.parametrize(
    ("there", "photo", "its_own"),
    [
        (["dog.jpg"], "dog.jpg", None),
        (["dog.jpg", "dog.jpg.xmp"], "dog.jpg", "dog.jpg.xmp"),
        (["dog.jpg", "dog.xmp"], "dog.jpg", "dog.xmp"),
        (["dog.jpg", "dog.XMP"], "dog.jpg", "dog.XMP"),
        (["dog.jpg", "dog.xmp", "dog.jpg.xmp"], "dog.jpg", "dog.jpg.xmp"),
        (["dog.jpg", "dog.png", "dog.xmp"], "dog.jpg", None),
        (["dog.jpg", "dog.NEF", "dog.xmp"], "dog.jpg", None),
        (["dog.jpg", "dog.mp4", "dog.xmp"], "dog.jpg", "dog.xmp"),
        (["dog.jpg", "dog.jpg.png", "dog.jpg.xmp"], "dog.jpg", "dog.jpg.xmp"),
        (["dog.jpg", "dog.jpg.png", "dog.jpg.xmp"], "dog.jpg.png", None),
        (["photo", "photo.xmp"], "photo", "photo.xmp"),
    ],
)
def test_which_sidecar(there: list[str], photo: str, its_own: str | None, tmp_path: Path) -> None:
    touch(tmp_path, *there)
    expected = None if its_own is None else tmp_path / its_own
    assert Sidecars().there(tmp_path / photo) == expected
    assert Sidecars().there(tmp_path / photo, sorted(there)) == expected
    assert Sidecars().to_write(tmp_path / photo) == (expected or tmp_path / f"{photo}.xmp")


def test_a_new_one(tmp_path: Path) -> None:
    file = tmp_path / "dog.jpg.xmp"
    assert write_sidecar(file, "a dog")
    assert texts(file.read_bytes()) == {
        "description": {"x-default": "a dog"},
        "AltTextAccessibility": {"x-default": "a dog"},
    }
    assert read_sidecar(file) == "a dog"
    before = file.read_bytes()
    assert not write_sidecar(file, "a cat")
    assert file.read_bytes() == before
    for _ in range(2):
        assert write_sidecar(file, "a cat", overwrite=True)
    assert file.read_bytes() == before.replace(b"a dog", b"a cat")


@pytest.mark.parametrize("name", SAMPLES)
def test_one_that_is_there(name: str, tmp_path: Path) -> None:
    file = tmp_path / "dog.xmp"
    file.write_bytes(SAMPLES[name])
    file.chmod(0o600)
    assert write_sidecar(file, "a dog")
    assert others(file.read_bytes()) == others(SAMPLES[name])
    assert read_sidecar(file) == "a dog"
    assert file.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["dog.xmp"]


def test_the_alternative_text_counts_before_the_description(tmp_path: Path) -> None:
    file = tmp_path / "dog.xmp"
    for content, said in ((LIGHTROOM, ""), (DARKTABLE, ""), (DIGIKAM, "Ein Hund & ein Ball")):
        file.write_bytes(content)
        assert read_sidecar(file) == said
    write_sidecar(file, "a dog")
    assert read_sidecar(file) == "a dog"


@pytest.mark.parametrize("content", [b"", b"no xml", DARKTABLE[:300], b"<!DOCTYPE a>" + LIGHTROOM])
def test_a_damaged_one_is_named_and_left_alone(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "dog.jpg.xmp"
    file.write_bytes(content)
    for overwrite in (False, True):
        with pytest.raises(DataError, match=r"dog\.jpg\.xmp: not an XMP sidecar \(.*\)\. Mend it, or move it away"):
            write_sidecar(file, "a dog", overwrite)
    assert file.read_bytes() == content


def test_large_ones_links_and_folders_are_refused(tmp_path: Path) -> None:
    large, link, folder = (tmp_path / f"{name}.xmp" for name in ("large", "link", "folder"))
    large.write_bytes(DARKTABLE + b" " * MAX_BYTES)
    link.symlink_to(tmp_path / "nowhere")
    folder.mkdir()
    for file, message in ((large, "at most 16,000,000 bytes"), (link, "found a link"), (folder, "found a folder")):
        with pytest.raises(DataError, match=message):
            write_sidecar(file, "a dog", overwrite=True)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "dog.jpg.xmp")
    with pytest.raises(DataError, match="found a pipe"):
        write_sidecar(tmp_path / "dog.jpg.xmp", "a dog")
    with pytest.raises(DataError, match="found a pipe"):
        read_sidecar(tmp_path / "dog.jpg.xmp")


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool")
@pytest.mark.parametrize("name", [None, *SAMPLES])
def test_exiftool_reads_them(name: str | None, tmp_path: Path) -> None:
    file = tmp_path / "dog.jpg.xmp"
    if name is not None:
        file.write_bytes(SAMPLES[name])
    write_sidecar(file, "a dog & a ball", overwrite=True)
    line = ["exiftool", "-json", "-XMP-iptcCore:AltTextAccessibility", "-XMP-dc:Description", str(file)]
    (found,) = json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
    assert (found["AltTextAccessibility"], found["Description"]) == ("a dog & a ball", "a dog & a ball")
