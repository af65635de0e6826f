"""Files that commands write: never in the place of what they read."""

from __future__ import annotations

import os
from collections.abc import Iterable


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
