"""Captions of files and folders, and the photos that they are about."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from regiontalk.errors import DataError
from regiontalk.photos.folders import FoundPhotos, search_photos
from regiontalk.search.captions import MOST_CHARACTERS, read_texts


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder whose photos have names alone: nothing here looks at them."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "more/a.jpg"):
        (folder / name).touch()
    return folder


def found(*names: Path) -> dict[str, FoundPhotos]:
    return {str(name): search_photos(name) for name in names}


def texts(captions: Path, *names: Path) -> dict[str, str]:
    """Photos by the end of their path → text."""
    common = names[0].parent
    return {
        Path(path).relative_to(common).as_posix(): text
        for path, text in read_texts(captions, found(*names)).texts.items()
    }


def table(file: Path, *rows: tuple[str, str]) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(
        "\n".join(["file,caption", *(f'"{name}","{text}"' for name, text in rows)]),
        encoding="utf-8",
    )
    return file


def test_a_table_beside_or_above_the_photos(photos: Path, tmp_path: Path) -> None:
    rows = ("photos/a.jpg", "Anna"), ("photos/more/a.jpg", " Bern,\t 1999 ")
    assert texts(table(tmp_path / "alt.csv", *rows), photos) == {
        "photos/a.jpg": "Anna",
        "photos/more/a.jpg": "Bern, 1999",
    }
    assert texts(table(photos / "alt.csv", ("b.jpg", "Anna")), photos) == {"photos/b.jpg": "Anna"}


def test_a_table_elsewhere(photos: Path, tmp_path: Path) -> None:
    """As `describe --csv` names photos from there, or as they are called in their folder."""
    rows = ("../photos/a.jpg", "Anna"), ("more/a.jpg", "Bern")
    assert texts(table(tmp_path / "tables" / "alt.csv", *rows), photos) == {
        "photos/a.jpg": "Anna",
        "photos/more/a.jpg": "Bern",
    }
    absolute = table(tmp_path / "tables" / "whole.csv", (str(photos / "a.jpg"), "Anna"))
    assert texts(absolute, photos) == {"photos/a.jpg": "Anna"}


def test_only_the_named_photos_get_texts(photos: Path, tmp_path: Path) -> None:
    captions = table(
        tmp_path / "alt.csv",
        ("photos/a.jpg", "Anna"),
        ("photos/b.jpg", "Bern"),
        ("c.jpg", "nobody"),
    )
    given = read_texts(captions, found(photos / "a.jpg"))
    assert (list(given.texts.values()), given.others) == (["Anna"], ("photos/b.jpg", "c.jpg"))


def test_folders_of_texts_and_sidecars(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "texts" / "more").mkdir(parents=True)
    (tmp_path / "texts" / "more" / "a.jpg.txt").write_text("Anna\nin Bern\n")
    assert texts(tmp_path / "texts", photos) == {"photos/more/a.jpg": "Anna in Bern"}
    (photos / "b.jpg.txt").write_text("beside it")
    assert texts(photos, photos) == {"photos/b.jpg": "beside it"}


def test_several_captions_stand_on_lines(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "captions.json").write_text(
        json.dumps({"a.jpg": ["one", "two", "one", ""], "b.jpg": [""]})
    )
    assert texts(tmp_path / "captions.json", photos) == {
        "photos/a.jpg": "one\ntwo",
        "photos/b.jpg": "",
    }


def test_a_folder_of_a_dataset(tmp_path: Path) -> None:
    """Names as published datasets have them: from the folder of images on.

    The folder lies beside the file of captions.
    """
    (tmp_path / "set" / "images").mkdir(parents=True)
    (tmp_path / "set" / "images" / "1.jpg").touch()
    (tmp_path / "set" / "captions.csv").write_text("image,caption\n1.jpg,Anna\n")
    for captions in (tmp_path / "set", tmp_path / "set" / "captions.csv"):
        assert texts(captions, tmp_path / "set") == {"set/images/1.jpg": "Anna"}


def test_letters_by_one_character_or_two(photos: Path, tmp_path: Path) -> None:
    (photos / unicodedata.normalize("NFD", "Zürich.jpg")).touch()
    captions = table(
        tmp_path / "alt.csv", (unicodedata.normalize("NFC", "photos/Zürich.jpg"), "Anna")
    )
    assert list(texts(captions, photos).values()) == ["Anna"]


def test_what_cannot_be_meant(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"none of its 2 names, such as 'x\.jpg', is one of these photos"
    ):
        read_texts(
            table(tmp_path / "alt.csv", ("x.jpg", "Anna"), ("a\0.jpg", "Anna")), found(photos)
        )
    captions = table(tmp_path / "tables" / "alt.csv", ("a.jpg", "Anna"))
    with pytest.raises(
        DataError,
        match=r"names that two photos have: 1 \('a\.jpg'\).*one folder of photos at a time",
    ):
        read_texts(captions, found(photos, photos / "more"))
    with pytest.raises(DataError, match="texts of more than 10,000 characters"):
        read_texts(
            table(tmp_path / "alt.csv", ("photos/a.jpg", "x" * (MOST_CHARACTERS + 1))),
            found(photos),
        )
    (tmp_path / "odd.json").write_text('{"photos/a.jpg": ["\\ud800"]}')
    with pytest.raises(DataError, match="no Unicode"):
        read_texts(tmp_path / "odd.json", found(photos))
    with pytest.raises(DataError, match=r"missing\.csv"):
        read_texts(tmp_path / "missing.csv", found(photos))
