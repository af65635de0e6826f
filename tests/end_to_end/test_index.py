"""`regiontalk index`: adding, changing, moving, pruning; kills, two writers, full disks."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regiontalk.search.index import Index
from regiontalk.search.writer import WriterLock

from ..tiny_pack import write_tiny_pack
from .conftest import Command, random_photo

posix = pytest.mark.skipif(os.name != "posix", reason="processes and limits of POSIX")


def names(index: Path) -> list[str]:
    """The names of the photos that an index holds, sorted; all of it is sound."""
    opened = Index.open(index)
    opened.verify()
    return sorted(Path(entry.path).name for _, entry in opened.entries())


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "photos.index"


def test_add_looks_only_at_what_changed(command: Command, photos: Path, index: Path) -> None:
    ended = command("index", "add", photos, "--index", index)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == f"{index}: 3 added; 3 photos in all\n"
    assert names(index) == ["a.jpg", "b.png", "c.jpg"]
    before = (index / "manifest.json").read_bytes()
    again = command("index", "add", photos, "--index", index)
    assert again.out == f"{index}: 3 unchanged; 3 photos in all\n"
    assert (index / "manifest.json").read_bytes() == before

    (photos / "more" / "notes.txt").write_text("keeps this folder from being empty")
    random_photo(7, (50, 50)).save(photos / "a.jpg")  # changed
    (photos / "more" / "c.jpg").rename(photos / "moved.jpg")
    shutil.copy(photos / "b.png", photos / "copy.png")
    os.utime(photos / "b.png", (1, 1))  # touched: another time, the same content
    random_photo(8, (50, 50)).save(photos / "new.jpg")
    (ended,) = command("index", "add", photos, "--index", index, "--json").json()
    assert ended == {
        "index": str(index),
        "photos": 5,
        "added": 1,
        "changed": 1,
        "moved": 1,
        "copied": 1,
        "unchanged": 1,
        "dropped": 0,
        "failed": 0,
        "captioned": 0,
    }
    assert names(index) == ["a.jpg", "b.png", "copy.png", "moved.jpg", "new.jpg"]
    assert "5 unchanged" in command("index", "add", photos, "--index", index).out


def test_what_was_reused_is_what_a_new_index_would_hold(
    bare: Command, photos: Path, index: Path, tmp_path: Path
) -> None:
    pack, fresh = tmp_path / "pack", index.with_name("fresh.index")
    write_tiny_pack(pack, score="mean", bank=True)
    bare("index", "add", photos, "--index", index, "--pack", pack)
    (photos / "more" / "notes.txt").write_text("keeps this folder from being empty")
    (photos / "more" / "c.jpg").rename(photos / "moved.jpg")
    os.utime(photos / "b.png", (1, 1))
    assert "1 moved" in bare("index", "add", photos, "--index", index, "--pack", pack).out
    bare("index", "add", photos, "--index", fresh, "--pack", pack)
    assert content(index) == content(fresh)
    assert all(hubness != 0 for _, hubness, *_ in content(index).values())


def content(folder: Path) -> dict[str, tuple[object, ...]]:
    """All that an index holds of each photo."""
    opened = Index.open(folder)
    opened.verify()
    held = {}
    for position, entry in opened.entries():
        regions = opened.regions(position)
        arrays = (regions.vectors, regions.boxes_xyxy, regions.scores)
        assert entry.path not in held
        held[entry.path] = (entry, regions.hubness, *(array.tobytes() for array in arrays))
    return held


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


def test_broken_photos_are_named_and_the_others_added(
    command: Command, photos: Path, index: Path
) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    ended = command("index", "add", photos, photos / "missing.jpg", "--index", index)
    assert ended.status == 1
    assert "broken.jpg" in ended.err
    assert "missing.jpg: no such file" in ended.err
    assert "2 of 5 photos failed" in ended.err
    assert names(index) == ["a.jpg", "b.png", "c.jpg"]
    (photos / "a.jpg").write_bytes(b"no photo any more")
    ended = command("index", "add", photos, "--index", index)
    assert "a.jpg: what the index held for this file is dropped" in ended.err
    assert names(index) == ["b.png", "c.jpg"]


def test_what_is_stored_is_of_the_bytes_that_were_hashed(
    command: Command, photos: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photo is written over between any two looks at its file.

    A copy of it gets its own regions all the same.
    """
    from regiontalk.search import adding
    from regiontalk.search.update import FileRead

    photo, other, fresh = photos / "a.jpg", random_photo(9, (90, 30)), tmp_path / "fresh.index"
    shutil.copy(photo, photos / "z-copy.jpg")
    monkeypatch.setattr(adding, "GROUP", 1)
    opened = adding.open_read

    def written_over(read: FileRead, *how: Any) -> object:
        if read.path == str(photo):
            other.save(photo)
        return opened(read, *how)

    with monkeypatch.context() as patch:
        patch.setattr(adding, "open_read", written_over)
        assert "1 copied" in command("index", "add", photos, "--index", index).out
    shutil.copy(photos / "z-copy.jpg", tmp_path / "old.jpg")
    command("index", "add", tmp_path / "old.jpg", "--index", fresh)
    (old,) = content(fresh).values()
    assert content(index)[str(photos / "z-copy.jpg")][1:] == old[1:]
    assert "1 changed, 3 unchanged" in command("index", "add", photos, "--index", index).out
    assert content(index)[str(photo)][0].width == 90  # type: ignore[attr-defined]


def test_a_large_file_that_changes_while_it_is_read_is_refused(
    command: Command, photos: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not held in memory, but read twice."""
    from regiontalk.search import update

    photo, other, opened = photos / "a.jpg", random_photo(9, (90, 30)), update.open_photo
    monkeypatch.setattr(update, "MOST_IN_MEMORY", 100)

    def written_over(source: str, **how: Any) -> object:
        if source == str(photo):
            other.save(photo)
        return opened(source, **how)

    with monkeypatch.context() as patch:
        patch.setattr(update, "open_photo", written_over)
        ended = command("index", "add", photos, "--index", index)
    assert (ended.status, f"{photo}: changed while it was read. Try again" in ended.err) == (
        1,
        True,
    )
    assert names(index) == ["b.png", "c.jpg"]
    assert "1 added, 2 unchanged" in command("index", "add", photos, "--index", index).out
    small = content(index)
    monkeypatch.undo()
    command("index", "add", photos, "--index", index.with_name("small"))
    assert content(index.with_name("small")) == small


@pytest.mark.parametrize("most", [1 << 28, 1 << 20])
def test_only_one_file_at_a_time_is_in_memory(
    command: Command, photos: Path, index: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    import tracemalloc

    monkeypatch.setattr("regiontalk.search.update.MOST_IN_MEMORY", most)

    for number in range(12):
        with (photos / f"large-{number:02}.jpg").open("wb") as stream:
            random_photo(number, (40, 40)).save(stream, "JPEG")
            stream.truncate(4_000_000)
    command("index", "add", photos / "a.jpg", "--index", index)  # what is loaded once
    tracemalloc.start()
    assert "14 added, 1 unchanged" in command("index", "add", photos, "--index", index).out
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12_000_000


def test_storages(command: Command, bare: Command, photos: Path, index: Path) -> None:
    sizes = {}
    for storage in ("float32", "float16", "int8"):
        folder = index.with_name(storage)
        assert command("index", "add", photos, "--index", folder, "--storage", storage).status == 0
        (info,) = bare("index", "info", "--index", folder, "--json").json()
        assert info["storage"] == storage
        sizes[storage] = info["bytes"]
    assert sizes["float32"] > sizes["float16"] > sizes["int8"]
    ended = command("index", "add", photos, "--index", folder, "--storage", "float32")
    assert (ended.status, "stores int8, not float32" in ended.err) == (2, True)
    ended = command("index", "add", photos, "--index", index, "--storage", "float8")
    assert (ended.status, "--storage float8: expected float32, float16, int8" in ended.err) == (
        2,
        True,
    )
    assert not index.exists()


def test_info(command: Command, bare: Command, photos: Path, index: Path) -> None:
    command("index", "add", photos, "--index", index)
    (info,) = bare("index", "info", "--index", index, "--json").json()
    assert (info["photos"], info["dropped"], info["storage"], info["dimensions"]) == (
        3,
        0,
        "float32",
        8,
    )
    assert info["pack"] == "tiny"
    assert info["bytes"] == sum(path.stat().st_size for path in index.glob("*.safetensors"))
    assert bare("index", "info", "--index", photos).status == 2


def test_verify(command: Command, photos: Path, index: Path, tmp_path: Path) -> None:
    command("index", "add", photos, "--index", index)
    few = command("index", "verify", "--index", index)
    assert (few.status, few.out.splitlines()[0]) == (0, f"{index}: sound, 3 photos")
    for seed in range(102):
        random_photo(seed + 100, (32, 32)).save(photos / f"{seed}.png")
    command("index", "add", photos, "--index", index)
    (tmp_path / "sentences.txt").write_text("a dog\nzyxwv\n!!!\ntwo people in the snow\n")
    ended = command(
        "index", "verify", "--index", index, "--sentences", tmp_path / "sentences.txt", "--json"
    )
    assert ended.status == 1  # a line has no word
    (found,) = ended.json()
    assert (found["sound"], found["photos"], found["sentences"], found["k"]) == (True, 105, 2, 10)
    (recall,) = found["recall"]
    assert recall["candidates"] == 100
    # Of ten best, five candidates are missing at the most
    assert 0.5 <= recall["worst"] <= recall["recall"] <= 1
    assert "recall@3 over" in command("index", "verify", "--index", index, "-k", 3).out
    (segment,) = index.glob("*.safetensors")
    damaged = bytearray(segment.read_bytes())
    damaged[-9] ^= 1
    segment.write_bytes(damaged)
    ended = command("index", "verify", "--index", index)
    assert (ended.status, ended.out) == (2, "")
    assert f"{segment}: damaged, its checksum does not fit" in ended.err


def test_remove(command: Command, bare: Command, photos: Path, index: Path) -> None:
    command("index", "add", photos, "--index", index)
    shutil.rmtree(photos / "more")  # photos need not be there to be removed
    ended = bare("index", "remove", photos / "more", photos / "none.jpg", "--index", index)
    assert ended.status == 1
    assert "none.jpg: the index holds no such photo" in ended.err
    assert ended.out == f"{index}: 1 dropped; 2 photos in all\n"
    assert names(index) == ["a.jpg", "b.png"]


def test_remove_by_a_name_whose_letters_are_composed_otherwise(
    command: Command, bare: Command, photos: Path, index: Path
) -> None:
    (photos / "more").rename(photos / "cafe\u0301")
    command("index", "add", photos, "--index", index)
    ended = bare("index", "remove", photos / "caf\u00e9", "--index", index)
    assert (ended.status, "1 dropped" in ended.out) == (0, True)
    assert names(index) == ["a.jpg", "b.png"]


def test_another_pack_is_refused(
    command: Command, bare: Command, photos: Path, index: Path, tmp_path: Path
) -> None:
    from ..tiny_pack import write_tiny_pack

    command("index", "add", photos, "--index", index)
    other = write_tiny_pack(tmp_path / "other", seed=5).folder
    for arguments in (["index", "add", photos], ["search", "a dog"]):
        ended = bare(*arguments, "--index", index, "--pack", other)
        assert ended.status == 2
        assert "was made with the pack 'tiny'" in ended.err
        assert "--pack" in ended.err


def test_two_writers(command: Command, photos: Path, index: Path) -> None:
    command("index", "add", photos, "--index", index)
    with WriterLock(index):
        ended = command("index", "add", photos, "--index", index)
    assert ended.status == 2
    assert f"another process is writing to this index (process {os.getpid()}" in ended.err
    assert len(names(index)) == 3


def test_an_index_where_nothing_can_be_written(command: Command, photos: Path) -> None:
    ended = command("index", "add", photos, "--index", "/proc/regiontalk.index")
    assert ended.status in (1, 2)
    assert ended.err.startswith("regiontalk: /proc/regiontalk.index")


@posix
def test_a_read_only_index(
    command: Command, photos: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a file system that is mounted for reading only would refuse it.

    The superuser may write everywhere else.
    """
    command("index", "add", photos, "--index", index)
    opened = os.open

    def refuse(path: str | Path, flags: int, *arguments: int, **options: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and index in Path(path).parents:
            raise OSError(30, "Read-only file system", str(path))
        return opened(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    ended = command("index", "add", photos, "--index", index)
    assert ended.status == 1
    assert ended.err == f"regiontalk: {index / 'lock'}: Read-only file system\n"
    # Reading needs no writing
    assert command("search", "a dog", "--index", index, "-k", 1).status == 0


@posix
def test_a_full_disk(
    command: Command, process: Callable[..., subprocess.Popen[str]], photos: Path, index: Path
) -> None:
    command("index", "add", photos, "--index", index)
    for seed in range(20):
        random_photo(seed + 50, (40, 40)).save(photos / f"{seed}.png")
    full = process(
        "index", "add", photos, "--index", index,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000)),
    )  # fmt: skip
    _, err = full.communicate(timeout=120)
    assert full.returncode == 1
    assert err == (
        f"regiontalk: {index}: cannot be written (File too large); the index keeps its 3 photos. "
        "Make room and go on\n"
    )
    assert len(names(index)) == 3
    assert command("index", "add", photos, "--index", index).status == 0
    assert len(names(index)) == 23


@posix
@pytest.mark.slow
def test_killed_at_any_moment(tiny_pack: Path, tmp_path: Path) -> None:
    """After the next run the index is, entry for entry, the one that was never interrupted."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(30):
        random_photo(seed, (48, 40)).save(photos / f"{seed:02}.png")
    (photos / "13-broken.jpg").write_bytes(b"\xff\xd8\xff")
    shutil.copy(photos / "03.png", photos / "29-copy.png")
    script = Path(__file__).with_name("kill_index_add.py")
    line = [sys.executable, str(script), str(photos), str(tiny_pack), str(tmp_path), "10"]
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    killed = sorted(tmp_path.glob("killed-*"))
    assert len(killed) == 10
    whole = content(tmp_path / "whole")
    assert len(whole) == 31
    for index in killed:
        assert content(index) == whole, index.name
        listed = {record.file for record in Index.open(index).manifest.segments}
        assert {path.name for path in index.iterdir()} == {"lock", "manifest.json", *listed}


def test_dates_come_from_exif(command: Command, photos: Path, index: Path) -> None:
    photo = random_photo(3, (40, 30))
    exif = photo.getexif()
    exif[0x0132] = "2020:01:02 03:04:05"
    photo.save(photos / "written.jpg", exif=exif)
    exif.get_ifd(0x8769)[0x9003] = "2019:12:31 23:59:59"
    photo.save(photos / "taken.jpg", exif=exif)
    exif.get_ifd(0x8769)[0x9003] = "0000:00:00 00:00:00"
    photo.save(photos / "zeros.jpg", exif=exif)
    exif[0x0132] = "yesterday"
    photo.save(photos / "nonsense.jpg", exif=exif)
    command("index", "add", photos, "--index", index)
    dates = {
        Path(entry.path).name: entry.to_json()["taken"] for _, entry in Index.open(index).entries()
    }
    assert dates["written.jpg"] == "2020-01-02T03:04:05"
    assert dates["taken.jpg"] == "2019-12-31T23:59:59"
    assert dates["zeros.jpg"] == "2020-01-02T03:04:05"
    assert dates["nonsense.jpg"] is dates["a.jpg"] is None


def test_odd_names(command: Command, photos: Path, index: Path) -> None:
    for seed, name in enumerate(("new\nline.png", "ümlaut→.png", " .png")):
        random_photo(seed + 20, (40, 40)).save(photos / name)
    assert command("index", "add", photos, "--index", index).status == 0
    assert set(names(index)) >= {"new\nline.png", "ümlaut→.png", " .png"}
    found = command("search", "a dog", "--index", index, "--json").json()
    assert {Path(each["file"]).name for each in found} == set(names(index))
    assert np.isfinite([each["score"] for each in found]).all()
