"""Files that commands write: never half of one, never in the place of what they read, never only after long work."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from regiontalk.files import naming


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
    with naming(target):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        beside = target.with_name(f".{secrets.token_hex(8)}.partial")
        beside.touch(exist_ok=False)
        beside.unlink()


def make_place(target: Path) -> None:
    """As `require_writable`, once the file's folder is made.

    Raises:
        OSError: if it cannot be; it names the file.
    """
    with naming(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    require_writable(target)
