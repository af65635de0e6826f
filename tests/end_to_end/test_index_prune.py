"""`regiontalk index add --prune`: what is gone is dropped, and never what a missing disk hides."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from .conftest import Command, random_photo
from .indexed import names, posix


def test_prune(command: Command, photos: Path, index: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    random_photo(9, (40, 40)).save(elsewhere / "e.jpg")
    command("index", "add", photos, elsewhere, "--index", index)
    (photos / "a.jpg").unlink()
    (elsewhere / "e.jpg").rename(elsewhere / "e.txt")
    kept = command("index", "add", photos, "--index", index)
    assert "1 photos of the index are gone" in kept.err
    assert "--prune" in kept.err
    assert len(names(index)) == 4
    assert "1 dropped" in command("index", "add", photos, "--index", index, "--prune").out
    # e.jpg is gone too, but its folder was not named
    assert names(index) == ["b.png", "c.jpg", "e.jpg"]


def test_prune_does_not_take_a_missing_disk_for_deleted_photos(
    command: Command, photos: Path, index: Path
) -> None:
    command("index", "add", photos, "--index", index)
    shutil.rmtree(photos)
    photos.mkdir()
    ended = command("index", "add", photos, "--index", index, "--prune")
    assert ended.status == 1
    assert "nothing is dropped" in ended.err
    assert len(names(index)) == 3


def test_prune_spares_each_folder_that_may_be_a_missing_disk(
    command: Command, photos: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = photos / "disk"
    disk.mkdir()
    random_photo(9, (40, 40)).save(disk / "e.jpg")
    command("index", "add", photos, "--index", index)
    (disk / "e.jpg").unlink()
    (photos / "a.jpg").unlink()
    for named in ([photos / "more", disk], [photos / "more", disk, disk / "e.jpg"]):
        ended = command("index", "add", *named, "--index", index, "--prune")
        assert ended.status == 1
        assert (
            f"1 photos of the index are gone, such as {disk / 'e.jpg'}: nothing is dropped"
            in ended.err
        )
        assert "dropped" not in ended.out
    # One lies in the other
    ended = command("index", "add", photos, disk, "--index", index, "--prune")
    assert (ended.status, "1 dropped" in ended.out) == (1, True)
    assert names(index) == ["b.png", "c.jpg", "e.jpg"]

    def unreadable(path: object, walk: object = os.scandir) -> object:
        if Path(str(path)) == photos / "more":
            raise PermissionError(13, "Permission denied", str(path))
        return walk(path)  # type: ignore[operator]

    (photos / "b.png").unlink()
    (photos / "more" / "c.jpg").unlink()
    random_photo(10, (40, 40)).save(disk / "f.jpg")
    monkeypatch.setattr(os, "scandir", unreadable)
    ended = command("index", "add", disk, photos / "more", "--index", index, "--prune")
    assert (ended.status, "Permission denied" in ended.err) == (1, True)
    assert names(index) == ["b.png", "c.jpg", "f.jpg"]


@pytest.mark.parametrize("left", ["nothing", "an empty folder", "a folder without the file"])
def test_a_copy_is_no_move_where_the_disk_may_be_missing(
    command: Command, bare: Command, photos: Path, index: Path, left: str
) -> None:
    command("index", "add", photos, "--index", index)
    shutil.copy(photos / "more" / "c.jpg", photos / "copy.jpg")
    shutil.move(photos / "more", photos.with_name("unplugged"))
    if left != "nothing":
        (photos / "more").mkdir()
    if left == "a folder without the file":
        random_photo(9, (40, 40)).save(photos / "more" / "d.jpg")
    ended = command("index", "add", photos, "--index", index, "--prune")
    if left == "a folder without the file":
        assert (ended.err, "1 moved" in ended.out) == ("", True)
        assert names(index) == ["a.jpg", "b.png", "copy.jpg", "d.jpg"]
        return
    assert "1 copied" in ended.out
    assert (
        f"1 photos of the index are gone, such as {photos / 'more' / 'c.jpg'}: nothing is dropped"
        in ended.err
    )
    assert names(index) == ["a.jpg", "b.png", "c.jpg", "copy.jpg"]
    shutil.rmtree(photos / "more", ignore_errors=True)
    shutil.move(photos.with_name("unplugged"), photos / "more")  # connected again
    assert "4 unchanged" in command("index", "add", photos, "--index", index).out
    shutil.rmtree(photos / "more")
    assert "1 dropped" in bare("index", "remove", photos / "more", "--index", index).out


@posix
def test_prune_drops_nothing_below_a_folder_that_cannot_be_read(
    command: Command, photos: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("index", "add", photos, "--index", index)
    (photos / "more" / "c.jpg").unlink()
    scanned = os.scandir

    def refuse(path: str) -> object:
        if Path(path) == photos / "more":
            raise PermissionError(13, "Permission denied", str(path))
        return scanned(path)

    monkeypatch.setattr("regiontalk.search.update.os.scandir", refuse)
    command("index", "add", photos, "--index", index, "--prune")
    assert names(index) == ["a.jpg", "b.png", "c.jpg"]
