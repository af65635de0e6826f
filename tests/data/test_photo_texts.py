"""Texts beside photos as captions."""

from __future__ import annotations

from pathlib import Path

import pytest

from regiontalk.data import read_dataset
from regiontalk.data.caption_sources import files_of_captions, read_captions
from regiontalk.data.photo_texts import photo_files, text_file, text_rows, write_text_file
from regiontalk.data.sidecars import write_sidecar
from regiontalk.errors import DataError

from ..xmp_samples import DARKTABLE


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
    write(tmp_path, {"test/d.jpg.txt": "A bird", "e.jpg.txt": "Two men"})  # now these are just names of folders
    assert not read_captions(tmp_path).states_splits
    write(tmp_path, {"test.txt": "e.jpg\ntest/d.jpg\n", "train.txt": "train/a.jpg\n"})
    assert read_captions(tmp_path).names("test") == ["e.jpg", "test/d.jpg"]


def test_a_text_file_and_a_sidecar(folder: Path) -> None:
    write_sidecar(folder / "a.jpg.xmp", "A dog, running.")
    assert read_captions(folder).captions["a.jpg"] == ["A dog, running."]
    write_sidecar(folder / "a.jpg.xmp", "Something else", overwrite=True)
    with pytest.raises(DataError, match=r"text file and sidecar differ: 1 \('a.jpg'\).*or keep one of the two"):
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
    with pytest.raises(DataError, match=r"texts beside photos \(photo.jpg.txt, photo.jpg.xmp\), found none"):
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
