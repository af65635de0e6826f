"""File access: reads of regular files of bounded size, atomic writes, checksums.

Everything that reads or writes a user's file goes through here. Failures become an error of the
class that the caller asks for, which names the file; pipes, devices and endless files are refused
before a byte is read.
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
"""Default limit of text files; the largest annotations in use, Visual Genome's, have 0.7 GB."""

MAX_NAME_BYTES = 255
"""Longest file name, without its folder, on common file systems."""

MAX_CONFIG_BYTES = 1 << 24
"""Limit of configuration files."""

_PIECE_BYTES = 1 << 20

_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # opening a FIFO would block until its other end opens
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
        error: the class of error to raise.
        advice: what to do, a sentence appended to the error's text.
        links: whether to follow a symbolic link. Without, an untrusted folder cannot redirect a
            read to files outside of it.

    Raises:
        RegionTalkError: of the class `error`, if the file is missing, a folder, pipe, socket or
            device, a link where `links` is false, too large, or not readable.
    """
    name = os.fsdecode(path)
    if not name:
        raise problem("''", "expected a file, found an empty name", error, advice)
    try:
        if not links and os.path.islink(name):
            raise problem(name, "expected a plain file, found a link", error, advice)
        # Before opening, because opening some devices has side effects.
        check_regular(name, os.stat(name), max_bytes, error, advice)
        stream = open(os.open(name, _READ | _NO_WAIT | (0 if links else _NO_LINK)), "rb")  # noqa: SIM115 - returned
    except OSError as failure:
        raise unreadable(name, failure, error, advice) from None
    except ValueError:  # a zero byte or a lone surrogate
        raise problem(name, "a name that no file can have", error, advice) from None
    try:  # again, against a race: the path may name another file by now
        check_regular(name, os.fstat(stream.fileno()), max_bytes, error, advice)
    except BaseException:
        stream.close()
        raise
    return stream


def open_to_change(path: str | os.PathLike[str], max_bytes: int) -> BinaryIO:
    """Open an existing regular file for reading and writing; symbolic links are not followed.

    Raises:
        DataError: if it is missing, a folder, pipe, socket, device or link, too large, or not
            readable.
        OSError: if it is not writable; it names the file.
    """
    open_regular(path, max_bytes, DataError, links=False).close()
    stream = open(os.open(path, _CHANGE), "r+b")  # noqa: SIM115 - returned
    try:  # again, against a race: the path may name another file by now
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
    """A file's bytes; memory is allocated for its actual size, not for `max_bytes`.

    Raises:
        RegionTalkError: as `open_regular`; also if it changes while it is read, or there is too
            little memory.
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
    """As `read_bytes`, with the `fstat` result of the descriptor that was read."""
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
    """A file's text, UTF-8 with or without a byte order mark.

    Raises:
        RegionTalkError: of the class `error`, as `read_bytes`; also if it is not UTF-8.
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
    """Check that a `stat` result is of a regular file of at most `max_bytes`.

    Raises:
        RegionTalkError: of the class `error`, if not.
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
    """Convert an `OSError` from opening or reading a file to the class `error`."""
    if isinstance(failure, FileNotFoundError | NotADirectoryError):
        return problem(path, "no such file", error, advice)
    if failure.errno == errno.ELOOP:
        return problem(path, "a link that leads nowhere", error, advice)
    return problem(path, f"cannot be read ({failure.strerror or failure})", error, advice)


def problem(
    path: str | os.PathLike[str], found: str, error: ErrorKind, advice: str = ""
) -> RegionTalkError:
    """Build an error of the class `error`: the file, what is wrong with it, what to do."""
    return error(f"{os.fsdecode(path)}: {found}" + (f". {advice}" if advice else ""))


# Writing


@contextmanager
def written(
    target: Path, *, beside: Path | None = None, durable: bool = True
) -> Iterator[BinaryIO]:
    """Atomic write: a stream to a temporary file in `target`'s folder, renamed to `target` at exit.

    If the block raises, `target` is left unchanged and the temporary file removed. A kill at any
    moment leaves the old file or the new one, complete. The temporary file is created exclusively
    (`create`), never through a symbolic link, with the permissions of the old file.

    Args:
        beside: path of the temporary file; None for a random name. A leftover file there is
            removed.
        durable: whether to fsync file and folder, so that a power cut too leaves one of the two.

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
    """Write a file atomically (`written`) without fsync, creating its folder.

    Raises:
        OSError: if it cannot be written; it names the file.
    """
    with naming(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with written(target, durable=False) as stream:
        stream.write(content)


def create(path: Path) -> BinaryIO:
    """Create a file exclusively and open it for writing and reading; links are not followed.

    Raises:
        FileExistsError: if the path exists, even as a dangling link.
        OSError: if it cannot be created.
    """
    return open(os.open(path, _WRITE_NEW, 0o666), "w+b")


def sync_folder(folder: Path) -> None:
    """Fsync a folder, so that renames in it are durable; does nothing where it is not supported."""
    with suppress(OSError):  # not supported by every system and file system
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def fitting_name(stem: str, ending: str) -> str:
    """Join stem and ending to a file name, the stem truncated to the limit of file systems.

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
    """Make an `OSError` of the block name `target` instead of a temporary file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


# Checksums


def sha256_hex(content: bytes | memoryview | IO[bytes]) -> str:
    """The sha256 of bytes, or of the rest of a stream, read in pieces of bounded size."""
    if isinstance(content, bytes | memoryview):
        return hashlib.sha256(content).hexdigest()
    digest = hashlib.sha256()
    while piece := content.read(_PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()


def json_sha256(content: object) -> str:
    """The sha256 of a JSON-serialisable value, independent of the order of keys."""
    return sha256_hex(json.dumps(content, sort_keys=True).encode())
