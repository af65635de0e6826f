"""Files: regular and bounded, or refused before a byte is read; written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regiontalk.errors import DataError, PackError
from regiontalk.files import (
    create,
    fitting_name,
    open_regular,
    open_to_change,
    read_bytes,
    read_text,
    read_with_status,
    sha256_hex,
    write_bytes,
    written,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    return path


def test_reads_what_is_there(file: Path) -> None:
    assert read_bytes(file, 3) == b"abc"
    with open_regular(file, 3) as stream:
        assert sha256_hex(stream) == sha256_hex(b"abc")
    file.write_bytes(b"\xef\xbb\xbfabc")
    assert read_text(file) == "abc"


def test_a_bound_holds(file: Path) -> None:
    with pytest.raises(
        DataError, match=r"file: expected a file of at most 2 bytes, found 3\. Cut it\.$"
    ):
        read_bytes(file, 2, advice="Cut it.")


def test_a_file_takes_no_more_memory_than_it_has(file: Path) -> None:
    import tracemalloc

    tracemalloc.start()
    read_bytes(file, 1 << 40)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_errors_are_of_the_callers_kind(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="missing: no such file"):
        read_bytes(tmp_path / "missing", 9, PackError)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_what_is_not_regular_is_refused_unopened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, found in (
        ("pipe", "expected a regular file, found a pipe"),
        ("zero", "expected a regular file, found a pipe, socket or device"),
        ("nowhere", "no such file"),
        ("loop", "a link that leads nowhere"),
        ("", "expected a file, found a folder"),
        ("pipe/below", "no such file"),
        ("a\0b", "a name that no file can have"),
    ):
        with pytest.raises(DataError, match=found):
            read_bytes(f"{tmp_path}/{name}", 1 << 30)
    with pytest.raises(DataError, match="an empty name"):
        read_bytes("", 1)


def test_links_are_followed_only_where_they_may_be(file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(file)
    assert read_bytes(tmp_path / "link", 3) == b"abc"
    with pytest.raises(DataError, match="link: expected a plain file, found a link"):
        read_bytes(tmp_path / "link", 3, links=False)


def test_text_is_utf8(file: Path) -> None:
    file.write_bytes(b"ab\xff")
    with pytest.raises(DataError, match=r"not UTF-8 text \(byte 2\)"):
        read_text(file)


def test_what_is_written_is_whole_or_the_old_one(file: Path) -> None:
    with pytest.raises(RuntimeError), written(file) as stream:
        stream.write(b"half")
        raise RuntimeError
    assert file.read_bytes() == b"abc"
    assert os.listdir(file.parent) == ["file"]
    with written(file) as stream:
        stream.write(b"new")
        assert file.read_bytes() == b"abc"
    assert file.read_bytes() == b"new"
    write_bytes(file.parent / "folder" / "file", b"deep")
    assert (file.parent / "folder" / "file").read_bytes() == b"deep"


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_a_private_file_stays_private(file: Path, tmp_path: Path) -> None:
    file.chmod(0o600)
    write_bytes(file, b"new")
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"new", 0o600)
    (tmp_path / "link").symlink_to(file)
    write_bytes(tmp_path / "link", b"no link")  # what a link leads to says nothing
    write_bytes(tmp_path / "other", b"")
    assert (tmp_path / "link").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_nothing_is_written_through_a_link(file: Path, tmp_path: Path) -> None:
    (tmp_path / "target.new").symlink_to(file)
    with written(tmp_path / "target", beside=tmp_path / "target.new") as stream:
        stream.write(b"content")
    assert file.read_bytes() == b"abc"
    assert (tmp_path / "target").read_bytes() == b"content"
    assert not os.path.lexists(tmp_path / "target.new")
    (tmp_path / "link").symlink_to(tmp_path / "missing")
    with pytest.raises(FileExistsError):
        create(tmp_path / "link")
    assert not (tmp_path / "missing").exists()


def test_errors_of_writing_name_the_target(tmp_path: Path) -> None:
    with (
        pytest.raises(OSError, match="folder/file") as raised,
        written(tmp_path / "folder" / "file"),
    ):
        pass
    assert raised.value.filename == str(tmp_path / "folder" / "file")


def test_what_changes_while_it_is_read_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, status = read_with_status(file, 9)
    assert (content, status.st_size, status.st_mtime_ns) == (b"abc", 3, file.stat().st_mtime_ns)
    asked, times = os.fstat, []

    def written_over(descriptor: int) -> os.stat_result:
        times.append(descriptor)
        if len(times) == 3:  # after it was opened and read
            os.utime(file, (1, 1))
        return asked(descriptor)

    monkeypatch.setattr(os, "fstat", written_over)
    with pytest.raises(DataError, match=r"file: changed while it was read\. Try again"):
        read_bytes(file, 9)


def test_changing_a_file_in_place(file: Path) -> None:
    with open_to_change(file, 9) as stream:
        stream.seek(1)
        stream.write(b"X")
    assert file.read_bytes() == b"aXc"
    with pytest.raises(DataError, match="no such file"):
        open_to_change(file.with_name("missing"), 9)
    with pytest.raises(DataError, match="at most 2 bytes"):
        open_to_change(file, 2)


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
def test_nothing_is_changed_through_a_link(file: Path) -> None:
    link, pipe = file.with_name("link"), file.with_name("pipe")
    link.symlink_to(file)
    os.mkfifo(pipe)
    with pytest.raises(DataError, match="link: expected a plain file, found a link"):
        open_to_change(link, 9)
    with pytest.raises(DataError, match="pipe: expected a regular file, found a pipe"):
        open_to_change(pipe, 9)


@pytest.mark.parametrize("stem", ["a" * 300, "ä" * 130, "a" + "\U0001f600" * 70, "\udcff" * 300])
def test_names_are_cut_to_what_a_file_system_takes(stem: str, tmp_path: Path) -> None:
    name = fitting_name(stem, "-12.png")
    assert 250 <= len(os.fsencode(name)) <= 255
    assert name.endswith("-12.png") and stem.startswith(name.removesuffix("-12.png"))
    (tmp_path / name).touch()
    assert fitting_name("short", ".png") == "short.png"
