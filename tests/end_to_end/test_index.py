"""`regiontalk index`: adding, changing, moving, pruning; kills, two writers, full disks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regiontalk.search.index import Index

from ..tiny_pack import write_tiny_pack
from .conftest import Command, random_photo
from .indexed import content, names


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
