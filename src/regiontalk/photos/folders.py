"""Recursive search for photos in folders, with a record of skipped files and unreadable folders."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path

from regiontalk import files
from regiontalk.errors import PhotoError
from regiontalk.photos.kinds import OtherKind, escaped, kind_by_name

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

SYSTEM_FOLDERS = (
    "@eaDir",
    "@Recycle",
    "#recycle",
    "#snapshot",
    "$RECYCLE.BIN",
    "System Volume Information",
    ".thumbnails",
    "lost+found",
)
"""Folders that systems and NAS devices make: thumbnails, deleted files, snapshots. Searched only if
they are named."""

_SYSTEM_NAMES = frozenset(name.lower() for name in SYSTEM_FOLDERS)


@dataclass
class FoundPhotos:
    """Result of a search of folders.

    Attributes:
        photos: in order.
        unreadable: folders that could not be read, and why; whether photos below them still exist
            is unknown.
        system_folders: skipped folders, see `SYSTEM_FOLDERS`.
        other_kinds: skipped photos of formats that are not read, counted by format.
    """

    photos: list[Path] = field(default_factory=list)
    unreadable: dict[Path, PhotoError] = field(default_factory=dict)
    system_folders: list[Path] = field(default_factory=list)
    other_kinds: Counter[OtherKind] = field(default_factory=Counter)

    def problems(self, name: str) -> dict[str, str]:
        """Error messages by folder: the unreadable ones, or `name` if no photo was found."""
        if not self.photos and not self.unreadable:
            return {
                name: "no photo in this folder; name one that holds JPEG, PNG or other pictures"
            }
        return {str(folder): str(error) for folder, error in self.unreadable.items()}


def search_photos(paths: Paths, exclude: Sequence[str] = ()) -> FoundPhotos:
    """The photos at some paths, folders searched recursively, and a record of what was skipped.

    Args:
        paths: files, which are taken unchecked: `open_photo` raises if they are missing or no
            photos; and folders, which are searched recursively for files with a photo's suffix,
            sorted by path. Hidden files and folders, links to folders and `SYSTEM_FOLDERS` are
            skipped.
        exclude: glob patterns (`*`, `?`, `[...]`) of files and folders to skip, case-insensitive.
            One with a slash is matched against the path relative to the named folder, any other
            against the name alone.

    Raises:
        PhotoError: if a path is empty.
    """
    found = FoundPhotos()
    excluded = _matcher(exclude)
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        name = os.fsdecode(path)
        if not name:
            raise PhotoError(
                "'': expected a photo or a folder of photos, found an empty name. Name one."
            )
        if os.path.isdir(name):
            _search(name, excluded, found)
        else:
            found.photos.append(Path(name))
    return found


def find_photos(paths: Paths, exclude: Sequence[str] = ()) -> list[Path]:
    """The photos of `search_photos`; an unreadable folder is an error.

    Raises:
        PhotoError: if a folder cannot be read, or a path is empty.
    """
    found = search_photos(paths, exclude)
    for error in found.unreadable.values():
        raise error
    return found.photos


def names_in_folders(folder: str | os.PathLike[str]) -> list[tuple[Path, list[str]]]:
    """Sorted names of all files, photos or not, in each folder that `search_photos` searches.

    Raises:
        PhotoError: if a folder cannot be read.
    """
    found = FoundPhotos()
    listed = [
        (Path(inside), sorted(names))
        for inside, names in _walk(os.fsdecode(folder), _matcher(()), found)
    ]
    for error in found.unreadable.values():
        raise error
    return sorted(listed)


def _search(folder: str, excluded: Callable[[str], bool], found: FoundPhotos) -> None:
    photos: list[Path] = []
    for inside, names in _walk(folder, excluded, found):
        for name in names:
            kind = kind_by_name(name)
            if isinstance(kind, OtherKind):
                found.other_kinds[kind] += 1
            elif kind:
                photos.append(Path(inside, name))
    found.photos += sorted(photos)


def _walk(
    folder: str, excluded: Callable[[str], bool], found: FoundPhotos
) -> Iterator[tuple[str, list[str]]]:
    """Each folder that is searched, with the names of its files that are not hidden or excluded."""

    def unreadable(error: OSError) -> None:
        name = os.fsdecode(error.filename or folder)
        text = str(
            files.unreadable(name, error, PhotoError, "Change its permissions, or exclude it.")
        )
        found.unreadable[Path(name)] = PhotoError(escaped(text))

    for inside, folders, names in os.walk(folder, onerror=unreadable):
        below = os.path.relpath(inside, folder)
        folders[:] = [name for name in folders if _is_entered(inside, name, below, excluded, found)]
        yield (
            inside,
            [
                name
                for name in names
                if not name.startswith(".") and not excluded(os.path.join(below, name))
            ],
        )


def _is_entered(
    inside: str, name: str, below: str, excluded: Callable[[str], bool], found: FoundPhotos
) -> bool:
    if excluded(os.path.join(below, name)):
        return False
    if name.lower() in _SYSTEM_NAMES:
        found.system_folders.append(Path(inside, name))
        return False
    return not name.startswith(".")


def _matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """A predicate: whether a path relative to the named folder matches one of the patterns."""
    clean = [
        pattern.replace(os.sep, "/").strip("/").removeprefix("./").lower() for pattern in patterns
    ]
    of_names = [re.compile(translate(each)) for each in clean if each and "/" not in each]
    of_paths = [re.compile(translate(each)) for each in clean if "/" in each]

    def matches(path: str) -> bool:
        whole = os.path.normpath(path).replace(os.sep, "/").lower()
        name = whole.rpartition("/")[2]
        return any(each.match(name) for each in of_names) or any(
            each.match(whole) for each in of_paths
        )

    return matches
