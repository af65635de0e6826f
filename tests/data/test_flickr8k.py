from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from regiontalk.data import read_dataset, read_flickr8k
from regiontalk.errors import DataError

SPLITS = {"train": ["a.jpg", "b.jpg"], "dev": ["c.jpg"], "test": ["d.jpg"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole tiny Flickr8k; one photo is in no split."""
    folder = tmp_path / "tiny8k"
    (folder / "images").mkdir(parents=True)
    names = [*chain(*SPLITS.values()), "none.jpg"]
    for name in names:
        (folder / "images" / name).touch()
    for split, photos in SPLITS.items():
        (folder / f"{split}.txt").write_text("".join(f"{name}\n" for name in photos))
    lines = [f'{name},"One , of {name} ."\n{name},Two of {name}\n' for name in names]
    (folder / "captions.csv").write_text("image,caption\n" + "".join(lines))
    return folder


def test_reads_a_split_in_its_order(folder: Path) -> None:
    dataset = read_flickr8k(folder, "train")
    assert (dataset.name, dataset.split, len(dataset)) == ("tiny8k", "train", 2)
    assert dataset.files == [folder / "images" / "a.jpg", folder / "images" / "b.jpg"]
    assert dataset.photos[1].captions == ("One , of b.jpg .", "Two of b.jpg")
    assert read_dataset(folder, "test") == read_flickr8k(str(folder), "test")


def test_windows_line_ends_and_byte_order_mark(folder: Path) -> None:
    expected = read_flickr8k(folder, "train")
    for file in (folder / "captions.csv", folder / "train.txt"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert read_flickr8k(folder, "train") == expected


def append(file: Path, text: str) -> None:
    with file.open("a") as stream:
        stream.write(text)


def test_photos_listed_but_missing(folder: Path) -> None:
    (folder / "images" / "a.jpg").unlink()
    append(folder / "train.txt", "".join(f"gone{n}.jpg\n" for n in range(9)))
    captions = (folder / "captions.csv").read_text()
    (folder / "captions.csv").write_text("\n".join(line for line in captions.split("\n") if "a.jpg" not in line))
    with pytest.raises(DataError) as error:
        read_flickr8k(folder, "train")
    assert "photos listed but missing: 10 ('a.jpg', 'gone0.jpg'" in str(error.value)
    assert "and 5 more" in str(error.value)
    assert "photos without a caption: 10" in str(error.value)
    assert str(folder) in str(error.value)


def test_captions_without_a_photo(folder: Path) -> None:
    append(folder / "captions.csv", "ghost.jpg,Boo\nghost.jpg,Boo again\n")
    with pytest.raises(DataError, match=r"photos with captions but no file: 1 \('ghost\.jpg'"):
        read_flickr8k(folder, "dev")


def test_photos_without_captions(folder: Path) -> None:
    (folder / "images" / "mute.jpg").touch()
    append(folder / "dev.txt", "mute.jpg\n")
    with pytest.raises(DataError, match=r"photos without a caption: 1 \('mute\.jpg'"):
        read_flickr8k(folder, "dev")


def test_photos_in_two_splits(folder: Path) -> None:
    append(folder / "test.txt", "a.jpg\n")
    with pytest.raises(DataError, match=r"photos in two splits: 1 \('a\.jpg \(test and train\)'"):
        read_flickr8k(folder, "dev")


def test_photos_listed_twice(folder: Path) -> None:
    append(folder / "train.txt", "a.jpg\n")
    with pytest.raises(DataError, match=r"photos listed twice: 1 \('a\.jpg'"):
        read_flickr8k(folder, "train")


def test_captions_without_words(folder: Path) -> None:
    append(folder / "captions.csv", "a.jpg, .\n")
    with pytest.raises(DataError, match=r"photos with a caption that holds no word: 1 \('a\.jpg'"):
        read_flickr8k(folder, "train")


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "x/../../y.jpg", r"..\y.jpg", r"C:\y.jpg", "a\0.jpg"])
@pytest.mark.parametrize("file", ["train.txt", "captions.csv"])
def test_names_that_leave_the_folder(folder: Path, name: str, file: str) -> None:
    append(folder / file, f"{name}\n" if file == "train.txt" else f"{name},A dog\n")
    with pytest.raises(DataError, match="file names that leave the folder: 1"):
        read_flickr8k(folder, "train")


def test_a_name_longer_than_any_file_is_missing(folder: Path) -> None:
    append(folder / "train.txt", "x" * 5000 + ".jpg\n")
    with pytest.raises(DataError, match="photos listed but missing: 1"):
        read_flickr8k(folder, "train")


def test_unknown_split(folder: Path) -> None:
    with pytest.raises(DataError, match=r"no val\.txt .* splits found: train, dev, test"):
        read_flickr8k(folder, "val")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "first line must name the columns image,caption"),
        (b"photo,caption\na.jpg,A dog\n", "first line must name the columns image,caption"),
        (b"image,caption\na.jpg,A dog, running\n", "line 2: 3 cells, expected 2"),
        (b"image,caption\na.jpg\n", "line 2: 1 cells, expected 2"),
        (b'image,caption\na.jpg,"A dog\n', "line 2: not CSV"),
        (b"image,caption\na.jpg,A d\xe9g\n", "not UTF-8 text"),
    ],
)
def test_damaged_captions(folder: Path, content: bytes, message: str) -> None:
    (folder / "captions.csv").write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        read_flickr8k(folder, "train")
    assert "captions.csv" in str(error.value)


def test_missing_parts(folder: Path) -> None:
    (folder / "captions.csv").unlink()
    with pytest.raises(DataError, match=r"captions\.csv: no such file"):
        read_flickr8k(folder, "train")
    (folder / "images").rename(folder / "photos")
    with pytest.raises(DataError, match="has no folder images"):
        read_flickr8k(folder, "train")


def test_an_empty_split(folder: Path) -> None:
    (folder / "dev.txt").write_text("\n\n")
    with pytest.raises(DataError, match="holds no photo"):
        read_flickr8k(folder, "dev")
