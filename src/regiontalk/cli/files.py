"""Files that commands write: never half of one, never in the place of what they read, never only after long work."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def identities(paths: Iterable[str | os.PathLike[str]]) -> set[tuple[int, int]]:
    """What tells the files and folders that are there apart, whatever they are called, as `os.path.samefile` does.

    Two names of one file have one identity: links, and upper and lower case where the disk takes them as one.
    """
    found = set()
    for path in paths:
        try:
            status = os.stat(path)
        except (OSError, ValueError):  # not there, or a name that no file can have
            continue
        found.add((status.st_dev, status.st_ino))
    return found


def require_writable(target: Path) -> None:
    """Find out, before any work, whether a file can be written: something else can be made beside it.

    Raises:
        OSError: if not; it names the file.
    """
    with _naming(target):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        beside = _beside(target)
        beside.touch(exist_ok=False)
        beside.unlink()


def make_place(target: Path) -> None:
    """As `require_writable`, once the file's folder is made.

    Raises:
        OSError: if it cannot be; it names the file.
    """
    with _naming(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    require_writable(target)


def write_whole(target: Path, content: bytes | memoryview) -> None:
    """Make a file's folder, write beside it and rename: a full disk leaves no half of a file, and an older one whole.

    Raises:
        OSError: if it cannot be written; it names the file.
    """
    beside = _beside(target)
    with _naming(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            beside.write_bytes(content)
            beside.replace(target)
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)


def _beside(target: Path) -> Path:
    return target.with_name(f".{secrets.token_hex(8)}.partial")


@contextmanager
def _naming(target: Path) -> Iterator[None]:
    """Errors name the file that a user asked for, not one beside it."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error
