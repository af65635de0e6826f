"""Captioned photos in folders: one's own, those like Flickr8k's, and files of captions."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path

import pytest

from regiontalk.data import read_dataset, read_flickr8k, read_folder
from regiontalk.data.folder import files_of_captions, read_captions
from regiontalk.errors import DataError

from ..caption_forms import CSV, TOKENS, TRUTHS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.png", "deep/c.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_captions_csv(folder: Path) -> None:
    (folder / "captions.csv").write_text(
        'image,caption\na.jpg,A dog\ndeep/c.jpg,"A cat,\nasleep"\na.jpg,The dog\n'
    )
    dataset = read_folder(folder, "train")
    assert dataset.files == [folder / "a.jpg", folder / "deep" / "c.jpg"]
    assert [photo.captions for photo in dataset.photos] == [
        ("A dog", "The dog"),
        ("A cat,\nasleep",),
    ]
    assert dataset.name == folder.name
    assert read_dataset(folder, "train") == dataset


def test_captions_csv_with_splits(folder: Path) -> None:
    (folder / "captions.csv").write_text("image,split,caption\na.jpg,,A dog\nb.png,dev,A cat\n")
    assert [photo.file.name for photo in read_folder(folder, "train").photos] == ["a.jpg"]
    assert [photo.file.name for photo in read_folder(folder, "dev").photos] == ["b.png"]
    assert [photo.file.name for photo in read_folder(folder, "all").photos] == ["a.jpg", "b.png"]
    with pytest.raises(DataError, match="no split 'test'; splits found: dev, train"):
        read_folder(folder, "test")


def test_metadata_jsonl(folder: Path) -> None:
    (folder / "metadata.jsonl").write_text(
        '{"file_name": "a.jpg", "text": "A dog"}\n\n'
        '{"file_name": "b.png", "captions": ["A cat", "Un chat"], "split": "dev", "more": 1}\n'
        '{"file_name": "a.jpg", "text": "The dog", "split": "train"}\n'
    )
    assert [photo.captions for photo in read_dataset(folder, "train").photos] == [
        ("A dog", "The dog")
    ]
    assert [photo.captions for photo in read_dataset(folder, "dev").photos] == [
        ("A cat", "Un chat")
    ]


def test_a_photo_in_two_splits(folder: Path) -> None:
    (folder / "captions.csv").write_text(
        "image,split,caption\na.jpg,train,A dog\na.jpg,dev,A dog\n"
    )
    with pytest.raises(DataError, match=r"photos in two splits: 1 \('a\.jpg'"):
        read_folder(folder, "train")


def test_missing_photos_and_empty_captions(folder: Path) -> None:
    (folder / "captions.csv").write_text("image,caption\nx.jpg,A dog\na.jpg,...\nb.png,\n")
    with pytest.raises(DataError) as error:
        read_folder(folder, "train")
    assert "photos listed but missing: 1 ('x.jpg'" in str(error.value)
    assert "photos with a caption that holds no word: 2 ('a.jpg', 'b.png'" in str(error.value)


@pytest.mark.parametrize("name", ["../a.jpg", "/a.jpg", "", "."])
def test_names_that_leave_the_folder(folder: Path, name: str) -> None:
    (folder / "captions.csv").write_text(f"image,caption\n{name},A dog\n")
    with pytest.raises(DataError, match="file names that leave the folder: 1"):
        read_folder(folder, "train")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "line 2: not JSON"),
        ("[]", "line 2: expected"),
        ('{"text": "A dog"}', "line 2: expected"),
        ('{"file_name": "b.png"}', "line 2: expected"),
        ('{"file_name": "b.png", "text": "A", "captions": []}', "line 2: expected"),
        ('{"file_name": 3, "text": "A"}', "line 2: expected"),
        ('{"file_name": "b.png", "text": 3}', "line 2: .* must be text"),
        ('{"file_name": "b.png", "captions": "A dog"}', "line 2: .* list of texts"),
        ('{"file_name": "b.png", "captions": [3]}', "line 2: .* list of texts"),
        ('{"file_name": "b.png", "text": "A", "split": 3}', "line 2: .* must be text"),
    ],
)
def test_damaged_metadata(folder: Path, line: str, message: str) -> None:
    (folder / "metadata.jsonl").write_text('{"file_name": "a.jpg", "text": "A dog"}\n' + line)
    with pytest.raises(DataError, match=message):
        read_folder(folder, "train")


def test_one_file_of_captions(folder: Path) -> None:
    with pytest.raises(DataError, match="found none"):
        read_folder(folder, "train")
    for name in ("captions.csv", "metadata.jsonl"):
        (folder / name).touch()
    with pytest.raises(DataError, match=r"found metadata.jsonl and captions.csv"):
        read_folder(folder, "train")


def test_an_empty_file(folder: Path) -> None:
    (folder / "metadata.jsonl").touch()
    with pytest.raises(DataError, match="holds no photo"):
        read_folder(folder, "train")


def test_what_is_no_dataset(folder: Path) -> None:
    with pytest.raises(DataError, match="no captions found; expected"):
        read_dataset(folder, "train")
    with pytest.raises(DataError, match="no such folder or JSON file"):
        read_dataset(folder / "nowhere", "train")
    with pytest.raises(DataError, match="no such folder or JSON file"):
        read_dataset(folder / "a.jpg", "train")


def test_a_json_list(tmp_path: Path) -> None:
    entries = [
        {"file_name": "a.jpg", "captions": ["A dog.", "Dogs."]},
        {"file_name": "b.jpg", "text": "x", "split": "test"},
    ]
    file = tmp_path / "captioned.json"
    file.write_text(json.dumps(entries))
    (tmp_path / "captioned").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "captioned" / name).touch()
    dataset = read_dataset(file, "all")
    assert (dataset.name, dataset.split) == ("captioned", "all")
    assert dataset.files == [tmp_path / "captioned" / name for name in ("a.jpg", "b.jpg")]
    assert read_dataset(file, "test").photos[0].captions == ("x",)
    file.write_text(json.dumps([*entries, 3]))
    with pytest.raises(DataError, match=r"captioned\.json, entry 3: expected"):
        read_dataset(file, "all")


def test_metadata_csv(folder: Path) -> None:
    (folder / "metadata.csv").write_text(
        "file_name,text,split\na.jpg,A dog,\ndeep/c.jpg,A cat,validation\n"
    )
    assert [photo.file for photo in read_dataset(folder, "train").photos] == [folder / "a.jpg"]
    assert [photo.file for photo in read_dataset(folder, "dev").photos] == [
        folder / "deep" / "c.jpg"
    ]


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    """A folder of folders, as Hugging Face has them, each with a photo of the same name."""
    files = {
        "train/metadata.csv": "file_name,text\na.jpg,In train\n",
        "validation/metadata.jsonl": '{"file_name": "a.jpg", "text": "In validation"}\n',
        "test/captions.csv": "image,caption\na.jpg,In test\na.jpg,Once more\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
        (tmp_path / name).with_name("a.jpg").touch()
    return tmp_path


def test_folders_that_are_splits(splits: Path) -> None:
    for split, place in (
        ("train", "train"),
        ("dev", "validation"),
        ("validation", "validation"),
        ("test", "test"),
    ):
        (photo,) = read_dataset(splits, split).photos
        assert (photo.file, photo.captions[0]) == (splits / place / "a.jpg", f"In {place}")
    assert len(read_dataset(splits, "all")) == 3
    (splits / "train" / "a.jpg").unlink()
    with pytest.raises(DataError, match=r"photos listed but missing: 1 \('train/a.jpg'\)"):
        read_dataset(splits, "train")


@pytest.mark.parametrize("name", ["../test/a.jpg", "/a.jpg", "C:a.jpg", "."])
def test_names_that_leave_a_folder_of_a_split(splits: Path, name: str) -> None:
    (splits / "train" / "metadata.csv").write_text(f"file_name,text\n{name},A dog\n")
    with pytest.raises(DataError, match="file names that leave the folder: 1"):
        read_dataset(splits, "train")


def test_a_split_that_is_not_its_folder(splits: Path) -> None:
    (splits / "train" / "metadata.csv").write_text("file_name,text,split\na.jpg,A dog,test\n")
    with pytest.raises(
        DataError, match=r"train.metadata.csv: photos in another split than train, their folder: 1"
    ):
        read_dataset(splits, "train")


@pytest.mark.parametrize("more", ["metadata.jsonl", "train/captions.csv"])
def test_captions_in_two_places(splits: Path, more: str) -> None:
    (splits / more).touch()
    with pytest.raises(DataError, match=f"expected one file of captions .*found .*{more}"):
        read_dataset(splits, "train")


def test_lists_of_splits_beside_the_photos(folder: Path) -> None:
    (folder / "captions.csv").write_text("image,caption\na.jpg,A dog\nb.png,A cat\n")
    (folder / "test.txt").write_text("b.png\n")
    assert [photo.file.name for photo in read_folder(folder, "test").photos] == ["b.png"]
    with pytest.raises(DataError, match=r"has no train.txt for --split train; splits found: test"):
        read_folder(folder, "train")


SPLITS = {"train": ["a.jpg", "b.jpg"], "dev": ["c.jpg"], "test": ["d.jpg"]}


@pytest.fixture
def flickr8k(tmp_path: Path) -> Path:
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


def test_reads_a_split_in_its_order(flickr8k: Path) -> None:
    dataset = read_flickr8k(flickr8k, "train")
    assert (dataset.name, dataset.split, len(dataset)) == ("tiny8k", "train", 2)
    assert dataset.files == [flickr8k / "images" / "a.jpg", flickr8k / "images" / "b.jpg"]
    assert dataset.photos[1].captions == ("One , of b.jpg .", "Two of b.jpg")
    assert read_dataset(flickr8k, "test") == read_flickr8k(str(flickr8k), "test")


def test_windows_line_ends_and_byte_order_mark(flickr8k: Path) -> None:
    expected = read_flickr8k(flickr8k, "train")
    for file in (flickr8k / "captions.csv", flickr8k / "train.txt"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert read_flickr8k(flickr8k, "train") == expected


def append(file: Path, text: str) -> None:
    with file.open("a") as stream:
        stream.write(text)


def test_photos_listed_but_missing(flickr8k: Path) -> None:
    (flickr8k / "images" / "a.jpg").unlink()
    append(flickr8k / "train.txt", "".join(f"gone{n}.jpg\n" for n in range(9)))
    captions = (flickr8k / "captions.csv").read_text()
    (flickr8k / "captions.csv").write_text(
        "\n".join(line for line in captions.split("\n") if "a.jpg" not in line)
    )
    with pytest.raises(DataError) as error:
        read_flickr8k(flickr8k, "train")
    assert "photos listed but missing: 10 ('a.jpg', 'gone0.jpg'" in str(error.value)
    assert "and 5 more" in str(error.value)
    assert "photos without a caption: 10" in str(error.value)
    assert str(flickr8k) in str(error.value)


def test_captions_without_a_photo(flickr8k: Path) -> None:
    append(flickr8k / "captions.csv", "ghost.jpg,Boo\nghost.jpg,Boo again\n")
    with pytest.raises(DataError, match=r"photos with captions but no file: 1 \('ghost\.jpg'"):
        read_flickr8k(flickr8k, "dev")


def test_photos_without_captions(flickr8k: Path) -> None:
    (flickr8k / "images" / "mute.jpg").touch()
    append(flickr8k / "dev.txt", "mute.jpg\n")
    with pytest.raises(DataError, match=r"photos without a caption: 1 \('mute\.jpg'"):
        read_flickr8k(flickr8k, "dev")


def test_photos_in_two_splits(flickr8k: Path) -> None:
    append(flickr8k / "test.txt", "a.jpg\n")
    with pytest.raises(DataError, match=r"photos in two splits: 1 \('a\.jpg \(test and train\)'"):
        read_flickr8k(flickr8k, "dev")


def test_photos_listed_twice(flickr8k: Path) -> None:
    append(flickr8k / "train.txt", "a.jpg\n")
    with pytest.raises(DataError, match=r"photos listed twice: 1 \('a\.jpg'"):
        read_flickr8k(flickr8k, "train")


def test_captions_without_words(flickr8k: Path) -> None:
    append(flickr8k / "captions.csv", "a.jpg, .\n")
    with pytest.raises(DataError, match=r"photos with a caption that holds no word: 1 \('a\.jpg'"):
        read_flickr8k(flickr8k, "train")


@pytest.mark.parametrize(
    "name", ["../secret.jpg", "/etc/passwd", "x/../../y.jpg", r"..\y.jpg", r"C:\y.jpg", "a\0.jpg"]
)
@pytest.mark.parametrize("file", ["train.txt", "captions.csv"])
def test_names_that_leave_the_folder_of_flickr8k(flickr8k: Path, name: str, file: str) -> None:
    append(flickr8k / file, f"{name}\n" if file == "train.txt" else f"{name},A dog\n")
    with pytest.raises(DataError, match="file names that leave the folder: 1"):
        read_flickr8k(flickr8k, "train")


def test_a_name_longer_than_any_file_is_missing(flickr8k: Path) -> None:
    append(flickr8k / "train.txt", "x" * 5000 + ".jpg\n")
    with pytest.raises(DataError, match="photos listed but missing: 1"):
        read_flickr8k(flickr8k, "train")


def test_unknown_split(flickr8k: Path) -> None:
    with pytest.raises(DataError, match=r"no val\.txt .* splits found: train, dev, test"):
        read_flickr8k(flickr8k, "val")


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
def test_damaged_captions(flickr8k: Path, content: bytes, message: str) -> None:
    (flickr8k / "captions.csv").write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        read_flickr8k(flickr8k, "train")
    assert "captions.csv" in str(error.value)


def test_missing_parts(flickr8k: Path) -> None:
    (flickr8k / "captions.csv").unlink()
    with pytest.raises(DataError, match=r"captions\.csv: no such file"):
        read_flickr8k(flickr8k, "train")
    (flickr8k / "images").rename(flickr8k / "photos")
    with pytest.raises(DataError, match="has no folder images"):
        read_flickr8k(flickr8k, "train")


def test_an_empty_split(flickr8k: Path) -> None:
    (flickr8k / "dev.txt").write_text("\n\n")
    with pytest.raises(DataError, match="holds no photo"):
        read_flickr8k(flickr8k, "dev")


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "Flickr8k.token.txt"
    file.write_text(TOKENS)
    assert read_captions(file).captions == TRUTHS
    assert files_of_captions(file) == [file]


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "captions.csv").write_text(CSV)
    found = read_captions(tmp_path)
    assert (found.captions, found.states_splits) == (TRUTHS, False)
    assert files_of_captions(tmp_path) == [tmp_path / "captions.csv"]


def test_a_folder_like_flickr8k(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "captions.csv").write_text(CSV)
    (tmp_path / "metadata.jsonl").touch()  # not of this layout
    (tmp_path / "test.txt").write_text("b.jpg\n")
    assert read_captions(tmp_path).names("test") == ["b.jpg"]
    assert files_of_captions(tmp_path) == [tmp_path / "captions.csv"]


def test_captions_of_folders_that_are_splits(tmp_path: Path) -> None:
    for split in ("test", "train"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "metadata.csv").write_text(
            CSV.replace("image,caption", "file_name,text")
        )
    found = read_captions(tmp_path)
    assert found.names("test") == ["test/a.jpg", "test/b.jpg"]
    assert found.captions["train/a.jpg"] == TRUTHS["a.jpg"]
    assert files_of_captions(tmp_path) == [
        tmp_path / split / "metadata.csv" for split in ("train", "test")
    ]


@pytest.mark.parametrize("name", ["", "nothing.json"])
def test_nothing_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"no such file|found none"):
        read_captions(tmp_path / name)
