"""Writing an index: one writer at a time, read-only places, full disks, and kills at any moment."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from regiontalk.search.index import Index
from regiontalk.search.writer import WriterLock

from .conftest import Command, random_photo
from .indexed import content, names, posix


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
