"""One writer at a time, and a lock's file that never writes into another one."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from regiontalk.errors import DataError
from regiontalk.search.index import Index
from regiontalk.search.writer import IndexWriter, WriterLock

from .made import PACK

MakeIndex = Callable[..., Index]
posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")


def test_one_writer_at_a_time(make_index: MakeIndex) -> None:
    folder = make_index([2]).folder
    with (
        IndexWriter(folder, PACK),
        pytest.raises(DataError, match=f"another process .*process {os.getpid()}"),
        IndexWriter(folder, PACK),
    ):
        pass
    with IndexWriter(folder, PACK):  # and the lock is free again
        pass


def test_the_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    code = (
        "import os, pathlib; from regiontalk.search.writer import WriterLock; "
        f"p = pathlib.Path({str(tmp_path)!r})\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code + "WriterLock(p).__enter__(); os._exit(9)"], check=False
    )
    assert ended.returncode == 9
    assert (tmp_path / "lock").read_text().startswith("process ")
    with WriterLock(tmp_path):
        assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()} ")


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOLCK])
def test_a_file_system_without_locks_is_no_other_process(
    make_index: MakeIndex, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    folder = make_index([2]).folder

    def refuse(stream: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("regiontalk.search.writer._lock", refuse)
    expected = rf"{folder}: cannot be locked for writing \({os.strerror(number)}\).*on another disk"
    with pytest.raises(DataError, match=expected), IndexWriter(folder, PACK):
        pass
    assert Index.open(folder).photos == 2


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EACCES])
def test_another_process_is_told_by_two_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(stream: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("regiontalk.search.writer._lock", refuse)
    with pytest.raises(DataError, match="another process is writing"), WriterLock(tmp_path):
        pass


@posix
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_the_file_of_a_lock_is_no_other_file(
    make_index: MakeIndex, tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    folder, mine = make_index([2]).folder, tmp_path / "letter.txt"
    mine.write_text("my own words")
    (folder / "lock").unlink()
    link(mine, folder / "lock")
    with (
        pytest.raises(DataError, match=r"lock: expected .*, found (a link|something else)"),
        IndexWriter(folder, PACK),
    ):
        pass
    assert mine.read_text() == "my own words"


@posix
def test_a_lock_that_leads_nowhere_makes_no_file(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(DataError, match="lock: expected a plain file, found a link"),
        WriterLock(tmp_path),
    ):
        pass
    assert not (tmp_path / "elsewhere").exists()


@posix
def test_a_lock_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock")
    with (
        pytest.raises(DataError, match="lock: expected a regular file, found a pipe"),
        WriterLock(tmp_path),
    ):
        pass


def test_a_lock_that_was_killed_while_it_wrote_is_free(tmp_path: Path) -> None:
    for text in ("", "process 1"):
        (tmp_path / "lock").write_text(text)
        with WriterLock(tmp_path):
            assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()} ")
