"""Files: opened only if they are regular and of bounded size, written whole or not at all.

Strict JSON; checksums. Everything that reads or writes a file of a user's goes through here. What
is wrong becomes an error of the caller's kind, which names the file; a pipe, a device or a file
without end is refused before a byte of it is read.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, TypeAlias

from regiontalk.errors import DataError, RegionTalkError

ErrorKind: TypeAlias = type[RegionTalkError]

MAX_TEXT_BYTES = 1 << 30
"""Larger files of text are refused; the largest annotations in use, Visual Genome's, have 0.7
GB."""

MAX_NAME_BYTES = 255
"""Of a file's name, without its folder: the limit of common file systems."""

MAX_CONFIG_BYTES = 1 << 24
"""Larger files of settings are refused."""

_PIECE_BYTES = 1 << 20

_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # opening a pipe would wait for its other end
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_CHANGE = os.O_RDWR | _NO_WAIT | _NO_LINK | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_WRITE_NEW = (
    os.O_RDWR
    | os.O_CREAT
    | os.O_EXCL
    | _NO_LINK
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


# Reading


def open_regular(
    path: str | os.PathLike[str],
    max_bytes: int,
    error: ErrorKind = DataError,
    *,
    advice: str = "",
    links: bool = True,
) -> BinaryIO:
    """Open a file for reading, if it is a regular one of at most `max_bytes`.

    Args:
        error: the kind of error to raise.
        advice: a sentence that ends the error's text: what to do.
        links: whether the path may be a link; one that is not followed cannot make us read what
            lies elsewhere.

    Raises:
        RegionTalkError: of the kind `error`, if there is no such file, it is a folder, pipe, socket
            or device, a link that may not be one, too large, or may not be read.
    """
    name = os.fsdecode(path)
    if not name:
        raise problem("''", "expected a file, found an empty name", error, advice)
    try:
        if not links and os.path.islink(name):
            raise problem(name, "expected a plain file, found a link", error, advice)
        # Asked before it is opened: to open some devices is to act on them.
        check_regular(name, os.stat(name), max_bytes, error, advice)
        stream = open(os.open(name, _READ | _NO_WAIT | (0 if links else _NO_LINK)), "rb")  # noqa: SIM115 - returned
    except OSError as failure:
        raise unreadable(name, failure, error, advice) from None
    except ValueError:  # a zero byte or a lone surrogate
        raise problem(name, "a name that no file can have", error, advice) from None
    try:  # once more: it may be another one by now
        check_regular(name, os.fstat(stream.fileno()), max_bytes, error, advice)
    except BaseException:
        stream.close()
        raise
    return stream


def open_to_change(path: str | os.PathLike[str], max_bytes: int) -> BinaryIO:
    """Open a regular file that is there for reading and writing; never through a link.

    Raises:
        DataError: if there is none, it is a folder, pipe, socket, device or link, too large, or may
            not be read.
        OSError: if it may not be written; it names the file.
    """
    open_regular(path, max_bytes, DataError, links=False).close()
    stream = open(os.open(path, _CHANGE), "r+b")  # noqa: SIM115 - returned
    try:  # once more: it may be another one by now
        check_regular(os.fsdecode(path), os.fstat(stream.fileno()), max_bytes, DataError)
    except BaseException:
        stream.close()
        raise
    return stream


def read_bytes(
    path: str | os.PathLike[str],
    max_bytes: int,
    error: ErrorKind = DataError,
    *,
    advice: str = "",
    links: bool = True,
) -> bytes:
    """A file's bytes; takes memory for what the file holds, not for what it may hold.

    Raises:
        RegionTalkError: as `open_regular`; and if it changes meanwhile, or memory does not suffice.
    """
    return read_with_status(path, max_bytes, error, advice=advice, links=links)[0]


def read_with_status(
    path: str | os.PathLike[str],
    max_bytes: int,
    error: ErrorKind = DataError,
    *,
    advice: str = "",
    links: bool = True,
) -> tuple[bytes, os.stat_result]:
    """As `read_bytes`, and what `stat` says of the very file that was read."""
    with open_regular(path, max_bytes, error, advice=advice, links=links) as stream:
        name = os.fsdecode(path)
        try:
            before = os.fstat(stream.fileno())
            content = stream.read(before.st_size)
            more = stream.read(1)
            after = os.fstat(stream.fileno())
        except OSError as failure:
            raise unreadable(name, failure, error, advice) from None
        except MemoryError:
            raise problem(name, "too little memory to read it", error, advice) from None
    states = [(each.st_size, each.st_mtime_ns) for each in (before, after)]
    if more or len(content) != before.st_size or states[0] != states[1]:
        raise problem(name, "changed while it was read", error, advice or "Try again.")
    return content, before


def read_text(
    path: str | os.PathLike[str], max_bytes: int = MAX_TEXT_BYTES, error: ErrorKind = DataError
) -> str:
    """The text of a file, UTF-8 with or without a byte order mark.

    Raises:
        RegionTalkError: of the kind `error`, as `read_bytes`, and if it is not UTF-8.
    """
    try:
        return read_bytes(path, max_bytes, error).decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise problem(
            path, f"not UTF-8 text (byte {failure.start})", error, "Save it as UTF-8."
        ) from None
    except MemoryError:
        raise problem(path, "too little memory to read it", error) from None


def check_regular(
    name: str, status: os.stat_result, max_bytes: int, error: ErrorKind, advice: str = ""
) -> None:
    """See that what `stat` says is a regular file of at most `max_bytes`.

    Raises:
        RegionTalkError: of the kind `error`, if not.
    """
    if stat.S_ISDIR(status.st_mode):
        raise problem(name, "expected a file, found a folder", error, advice)
    if not stat.S_ISREG(status.st_mode):
        raise problem(
            name, "expected a regular file, found a pipe, socket or device", error, advice
        )
    if status.st_size > max_bytes:
        found = f"expected a file of at most {max_bytes:,} bytes, found {status.st_size:,}"
        raise problem(name, found, error, advice)


def unreadable(
    path: str | os.PathLike[str], failure: OSError, error: ErrorKind, advice: str = ""
) -> RegionTalkError:
    """What an error of the system's means, as one of the kind `error`."""
    if isinstance(failure, FileNotFoundError | NotADirectoryError):
        return problem(path, "no such file", error, advice)
    if failure.errno == errno.ELOOP:
        return problem(path, "a link that leads nowhere", error, advice)
    return problem(path, f"cannot be read ({failure.strerror or failure})", error, advice)


def problem(
    path: str | os.PathLike[str], found: str, error: ErrorKind, advice: str = ""
) -> RegionTalkError:
    """An error of the kind `error`: the file, what is wrong with it, what to do."""
    return error(f"{os.fsdecode(path)}: {found}" + (f". {advice}" if advice else ""))


# JSON and TOML


# Writing


@contextmanager
def written(
    target: Path, *, beside: Path | None = None, durable: bool = True
) -> Iterator[BinaryIO]:
    """A stream into a new file beside `target`, which takes the target's name in the end.

    But only if the block ends without an error. A kill at any moment leaves the old file or the new
    one, whole. The new file is made exclusively, never through a link that somebody left in its
    place, and may be read and written by whom the old one may.

    Args:
        beside: its name until then; None for a random one. A leftover of that name is removed.
        durable: whether to wait until it is on the disk, so that a power cut too leaves one of the
            two.

    Raises:
        OSError: if it cannot be written; it names the target.
    """
    partial = beside or target.with_name(f".{secrets.token_hex(8)}.partial")
    with naming(target):
        if beside is not None:
            partial.unlink(missing_ok=True)
        try:
            with create(partial) as stream:
                _take_permissions(partial, target)
                yield stream
                if durable:
                    stream.flush()
                    os.fsync(stream.fileno())
            partial.replace(target)
        except BaseException:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
    if durable:
        sync_folder(target.parent)


def _take_permissions(new: Path, old: Path) -> None:
    with suppress(OSError):  # there is no old file
        status = os.lstat(old)
        if stat.S_ISREG(status.st_mode):
            os.chmod(new, status.st_mode & 0o777)


def write_bytes(target: Path, content: bytes) -> None:
    """Make a file's folder and write it whole, see `written`; does not wait for the disk.

    Raises:
        OSError: if it cannot be written; it names the file.
    """
    with naming(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with written(target, durable=False) as stream:
        stream.write(content)


def create(path: Path) -> BinaryIO:
    """Open a file that is not there yet, for writing and reading; never through a link.

    Raises:
        FileExistsError: if anything is there, a link that leads nowhere too.
        OSError: if it cannot be made.
    """
    return open(os.open(path, _WRITE_NEW, 0o666), "w+b")


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk, where the system can be asked to."""
    with suppress(OSError):  # not on every system and file system
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def fitting_name(stem: str, ending: str) -> str:
    """A file name that ends so; its stem cut where the file system would refuse the whole.

    >>> len(fitting_name("ä" * 200, "-2.png").encode())
    254
    """
    room = MAX_NAME_BYTES - len(os.fsencode(ending))
    stem = stem[:room]
    while len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem + ending


@contextmanager
def naming(target: Path) -> Iterator[None]:
    """Errors of the system name this file, which a user asked for, not one beside it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


# Checksums


def sha256_hex(content: bytes | memoryview | IO[bytes]) -> str:
    """The sha256 of some bytes, or of what is left of a stream, read a piece at a time."""
    if isinstance(content, bytes | memoryview):
        return hashlib.sha256(content).hexdigest()
    digest = hashlib.sha256()
    while piece := content.read(_PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()


def json_sha256(content: object) -> str:
    """The sha256 of what JSON can hold, whatever the order of its keys."""
    return sha256_hex(json.dumps(content, sort_keys=True).encode())
