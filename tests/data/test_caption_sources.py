"""Captions of files and folders, and the files that they come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from regiontalk.data.caption_sources import files_of_captions, read_captions
from regiontalk.errors import DataError

from ..caption_forms import CSV, TOKENS, TRUTHS


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


def test_folders_that_are_splits(tmp_path: Path) -> None:
    for split in ("test", "train"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "metadata.csv").write_text(CSV.replace("image,caption", "file_name,text"))
    found = read_captions(tmp_path)
    assert found.names("test") == ["test/a.jpg", "test/b.jpg"]
    assert found.captions["train/a.jpg"] == TRUTHS["a.jpg"]
    assert files_of_captions(tmp_path) == [tmp_path / split / "metadata.csv" for split in ("train", "test")]


@pytest.mark.parametrize("name", ["", "nothing.json"])
def test_nothing_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"no such file|found none"):
        read_captions(tmp_path / name)
