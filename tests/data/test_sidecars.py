"""Which sidecar is a photo's, reading and writing it, and what other programs read in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from regiontalk.data import read_dataset
from regiontalk.data.folder import files_of_captions, read_captions
from regiontalk.data.sidecars import (
    MAX_BYTES,
    Sidecars,
    photo_files,
    read_sidecar,
    text_file,
    text_rows,
    write_sidecar,
    write_text_file,
)
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
        with pytest.raises(
            DataError, match=r"dog\.jpg\.xmp: not an XMP sidecar \(.*\)\. Mend it, or move it away"
        ):
            write_sidecar(file, "a dog", overwrite)
    assert file.read_bytes() == content


def test_large_ones_links_and_folders_are_refused(tmp_path: Path) -> None:
    large, link, folder = (tmp_path / f"{name}.xmp" for name in ("large", "link", "folder"))
    large.write_bytes(DARKTABLE + b" " * MAX_BYTES)
    link.symlink_to(tmp_path / "nowhere")
    folder.mkdir()
    for file, message in (
        (large, "at most 16,000,000 bytes"),
        (link, "found a link"),
        (folder, "found a folder"),
    ):
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
    line = [
        "exiftool",
        "-json",
        "-XMP-iptcCore:AltTextAccessibility",
        "-XMP-dc:Description",
        str(file),
    ]
    (found,) = json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
    assert (found["AltTextAccessibility"], found["Description"]) == (
        "a dog & a ball",
        "a dog & a ball",
    )


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos with a text in every way, and what is none."""
    write(
        tmp_path,
        {
            "a.jpg": "",
            "a.jpg.txt": "\ufeffA dog,\n running. \n",
            "b.jpg": "",
            "more/c.PNG": "",
            "more/d.jpg": "",
            "more/d.xmp": DARKTABLE,
            "more/e.jpg": "",
            "more/e.jpg.txt": " \n",
            "readme.txt": "About these photos.",
            "song.mp3.txt": "La la",
            ".hidden.jpg.txt": "A hidden one",
            "@eaDir/a.jpg.txt": "A thumbnail",
        },
    )
    write_sidecar(tmp_path / "b.jpg.xmp", "a cat")
    write_sidecar(tmp_path / "more" / "c.xmp", "two men")
    return tmp_path


def test_texts_of_a_folder(folder: Path) -> None:
    assert read_captions(folder).captions == {
        "a.jpg": ["A dog, running."],
        "b.jpg": ["a cat"],
        "more/c.PNG": ["two men"],
    }
    named = ["a.jpg.txt", "b.jpg.xmp", "more/c.xmp", "more/d.xmp", "more/e.jpg.txt"]
    assert files_of_captions(folder) == [folder / name for name in named]


def test_as_a_dataset(folder: Path) -> None:
    for split in ("train", "all"):
        dataset = read_dataset(folder, split)
        assert dataset.files == [folder / n for n in ("a.jpg", "b.jpg", "more/c.PNG")]
        assert dataset.photos[0].captions == ("A dog, running.",)
    with pytest.raises(DataError, match="no split 'test'; splits found: train"):
        read_dataset(folder, "test")
    (folder / "b.jpg").unlink()
    with pytest.raises(DataError, match=r"photos listed but missing: 1 \('b.jpg'\)"):
        read_dataset(folder, "all")


def test_a_file_of_captions_counts_instead(folder: Path) -> None:
    (folder / "captions.csv").write_text("image,caption\na.jpg,From the file\n")
    assert read_captions(folder).captions == {"a.jpg": ["From the file"]}
    assert files_of_captions(folder) == [folder / "captions.csv"]


def test_photos_need_not_be_there(tmp_path: Path) -> None:
    write(tmp_path, {"a.jpg.txt": "A dog", "more/b.jpg.txt": "A cat"})
    assert read_captions(tmp_path).captions == {"a.jpg": ["A dog"], "more/b.jpg": ["A cat"]}


def test_splits(tmp_path: Path) -> None:
    write(tmp_path, {"train/a.jpg.txt": "A dog", "val/b/c.jpg.txt": "A cat"})
    found = read_captions(tmp_path)
    assert (found.names("train"), found.names("dev")) == (["train/a.jpg"], ["val/b/c.jpg"])
    # Now these are just names of folders
    write(tmp_path, {"test/d.jpg.txt": "A bird", "e.jpg.txt": "Two men"})
    assert not read_captions(tmp_path).states_splits
    write(tmp_path, {"test.txt": "e.jpg\ntest/d.jpg\n", "train.txt": "train/a.jpg\n"})
    assert read_captions(tmp_path).names("test") == ["e.jpg", "test/d.jpg"]


def test_a_text_file_and_a_sidecar(folder: Path) -> None:
    write_sidecar(folder / "a.jpg.xmp", "A dog, running.")
    assert read_captions(folder).captions["a.jpg"] == ["A dog, running."]
    write_sidecar(folder / "a.jpg.xmp", "Something else", overwrite=True)
    with pytest.raises(
        DataError, match=r"text file and sidecar differ: 1 \('a.jpg'\).*or keep one of the two"
    ):
        read_captions(folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("b.jpg.xmp", b"<a>", r"b\.jpg\.xmp: not an XMP sidecar"),
        ("a.jpg.txt", b"\xff\xfe", r"a\.jpg\.txt: not UTF-8"),
        ("a.jpg.txt", b"x" * 1_000_001, "at most 1,000,000 bytes"),
    ],
)
def test_damaged_files(folder: Path, name: str, content: bytes, message: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_dataset(folder, "all")


def test_no_texts(tmp_path: Path) -> None:
    write(tmp_path, {"a.jpg": "", "a.jpg.txt": "", "b.xmp": DARKTABLE})
    assert text_rows(tmp_path) == []
    with pytest.raises(
        DataError, match=r"texts beside photos \(photo.jpg.txt, photo.jpg.xmp\), found none"
    ):
        read_dataset(tmp_path, "all")
    (tmp_path / "a.jpg.txt").unlink()
    assert photo_files(tmp_path) == []
    with pytest.raises(DataError, match=r"no captions found; expected .* a text beside each photo"):
        read_dataset(tmp_path, "all")


def test_writing_keeps_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "more" / "a.jpg.txt"
    assert write_text_file(file, "a dog")
    assert file.read_bytes() == b"a dog\n"
    assert not write_text_file(file, "a cat")
    assert write_text_file(file, "a cat", overwrite=True)
    assert file.read_bytes() == b"a cat\n"
    for empty in (b"", b" \n", b"\xef\xbb\xbf\r\n"):
        file.write_bytes(empty)
        assert write_text_file(file, "a dog")
    for other in (b"\xff", b" " * 1_000_001):
        file.write_bytes(other)
        assert not write_text_file(file, "a dog")
        assert file.read_bytes() == other


def test_long_names_are_cut(tmp_path: Path) -> None:
    photo = tmp_path / ("ä" * 124 + ".jpg")
    file = text_file(photo)
    assert len(file.name.encode()) <= 255
    assert file.name.endswith(".txt")
    assert write_text_file(file, "a dog")
    photo.touch()
    assert read_captions(tmp_path).captions == {photo.name: ["a dog"]}
