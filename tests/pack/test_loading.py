"""Packs: what is saved is what is loaded, and nothing foreign or damaged gets in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import regiontalk.pack.loading
from regiontalk.errors import PackError
from regiontalk.pack import FILES, TRAINING_PHOTOS_FILE, Pack, find_pack

from .damage import put, refuse

# Folders and files


def test_no_folder(tmp_path: Path) -> None:
    refuse(tmp_path / "nowhere", "", "expected a pack's folder, found nothing")


def test_a_file_instead_of_a_folder(pack: Path) -> None:
    refuse(pack / "pack.json", "", "expected a pack's folder, found a file")


@pytest.mark.parametrize("name", ["pack.json", *FILES])
def test_a_missing_file(pack: Path, name: str) -> None:
    (pack / name).unlink()
    refuse(pack, name, "no such file. Copy the pack again")


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte(pack: Path, name: str) -> None:
    data = bytearray((pack / name).read_bytes())
    data[len(data) // 2] ^= 1
    (pack / name).write_bytes(data)
    refuse(pack, name, "expected sha256 [0-9a-f]{64}, found [0-9a-f]{64}: damaged")


@pytest.mark.parametrize("name", ["pack.json", *FILES])
def test_a_link(pack: Path, tmp_path: Path, name: str) -> None:
    """Even one that leads to the right bytes."""
    (pack / name).rename(tmp_path / "elsewhere")
    (pack / name).symlink_to(tmp_path / "elsewhere")
    refuse(pack, name, "expected a plain file, found a link")


def test_the_packs_folder_may_be_a_link(pack: Path, tmp_path: Path) -> None:
    (tmp_path / "shortcut").symlink_to(pack, target_is_directory=True)
    Pack.load(tmp_path / "shortcut")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a Unix thing")
def test_a_named_pipe_does_not_hang(pack: Path) -> None:
    (pack / "vision.onnx").unlink()
    os.mkfifo(pack / "vision.onnx")
    refuse(pack, "vision.onnx", "expected a regular file, found a pipe")


def test_a_folder_instead_of_a_file(pack: Path) -> None:
    (pack / "words.safetensors").unlink()
    (pack / "words.safetensors").mkdir()
    refuse(pack, "words.safetensors", "expected a file, found a folder")


@pytest.mark.parametrize("name", ["pack.json", "vision.onnx", "vocabulary.json"])
def test_a_file_too_large_is_not_read(pack: Path, name: str) -> None:
    with (pack / name).open("r+b") as file:
        file.truncate(2**30 + 1)  # sparse: takes no room on the disk
    refuse(pack, name, r"expected a file of at most [\d,]+ bytes, found 1,073,741,825")


@pytest.mark.parametrize("data", [b"", b"\1" * 17, b"\2" * 16 + b"\1" * 16, b"\1" * 32, bytes(16)])
def test_odd_training_photos(pack: Path, data: bytes) -> None:
    put(pack, TRAINING_PHOTOS_FILE, b"\1" * 16 + b"\2" * 16)
    photos = Pack.load(pack).training_photos
    assert photos is not None and len(photos) == 2
    put(pack, TRAINING_PHOTOS_FILE, data)
    refuse(
        pack,
        TRAINING_PHOTOS_FILE,
        "expected (1 to 1000000 fingerprints|fingerprints in rising order)",
    )


def test_training_photos_that_are_listed_must_be_there_and_whole(pack: Path) -> None:
    put(pack, TRAINING_PHOTOS_FILE, b"\1" * 16)
    (pack / TRAINING_PHOTOS_FILE).write_bytes(b"\2" * 16)
    refuse(pack, TRAINING_PHOTOS_FILE, "expected sha256 .*damaged")
    (pack / TRAINING_PHOTOS_FILE).write_bytes(bytes(16 * 10**6 + 16))
    refuse(pack, TRAINING_PHOTOS_FILE, "expected a file of at most 16,000,000 bytes")
    (pack / TRAINING_PHOTOS_FILE).unlink()
    refuse(pack, TRAINING_PHOTOS_FILE, "no such file")


# Finding a pack


@pytest.fixture
def included(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "packs"
    (folder / "everyday-en").mkdir(parents=True)
    (folder / "other").mkdir()
    monkeypatch.setattr(regiontalk.pack.loading, "_INCLUDED", folder)
    return folder


def test_packs_are_found_by_name_or_folder(
    included: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_pack() == find_pack("everyday-en") == included / "everyday-en"
    assert find_pack("other") == included / "other"
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_pack("other") == included / "other"
    assert find_pack("./other") == Path("other")
    assert find_pack(tmp_path / "other") == tmp_path / "other"


@pytest.mark.parametrize("name", ["nothing", "../packs/nothing", "", "\0", "\x1b[2J", ".."])
def test_packs_that_are_not_there(
    included: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if name in ("", ".."):
        with pytest.raises(PackError, match=r"pack.json|neither"):
            Pack.load(find_pack(name))
        return
    with pytest.raises(
        PackError, match=r"neither a pack's folder .*Included: everyday-en, other\."
    ) as caught:
        find_pack(name)
    assert str(caught.value).isprintable()


def test_no_default_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regiontalk.pack.loading, "_INCLUDED", tmp_path / "packs")
    with pytest.raises(
        PackError, match=r"default pack everyday-en is missing.*Install RegionTalk again, or name"
    ):
        find_pack()
