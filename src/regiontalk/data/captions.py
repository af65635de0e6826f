"""Datasets of captioned photos: data classes, splits, path checks and collected errors."""

from __future__ import annotations

import os.path
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple, NoReturn

from regiontalk.errors import DataError
from regiontalk.language import tokenise

ALL = "all"
"""Name of the split that holds every photo."""

DEFAULT_SPLIT = "train"
"""Split of photos for which the data states none."""

DEV_NAMES = ("dev", "val", "valid", "validation")
"""Names of the development split in datasets; RegionTalk's own first."""

SPLIT_FOLDERS = ("train", *DEV_NAMES, "test")
"""Names of folders that are splits."""

_NAMES_SHOWN = 5


@dataclass(frozen=True)
class CaptionedPhoto:
    """A photo's file and its captions, at least one, each with at least one word."""

    file: Path
    captions: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """One split of a dataset.

    Attributes:
        name: of the dataset, for messages and results.
        split: "train", "dev", "test" or the dataset's own name of it.
        photos: at least one, in the order of the split's list; every file exists.
    """

    name: str
    split: str
    photos: tuple[CaptionedPhoto, ...]

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def files(self) -> list[Path]:
        return [photo.file for photo in self.photos]


class Problems:
    """Errors of a dataset, collected by kind and reported together.

    The message has counts and the first few names.
    """

    def __init__(self, source: Path) -> None:
        self.source = source
        self._names: dict[str, list[str]] = {}

    def add(self, kind: str, names: Iterable[str]) -> None:
        """Adds the files or lines with one kind of error ("photos listed but missing")."""
        self._names.setdefault(kind, []).extend(names)

    def counts(self) -> dict[str, int]:
        """Number of errors of each kind."""
        return {kind: len(names) for kind, names in self._names.items() if names}

    def raise_if_any(self, way_out: str = "") -> None:
        """Raises a DataError with all collected errors, if there are any.

        `way_out` is an alternative to mending the files.
        """
        found = [
            f"{kind}: {len(names)} ({_some(names)})" for kind, names in self._names.items() if names
        ]
        if found:
            advice = "mend the files first" + (f", {way_out}" if way_out else "")
            raise DataError(f"{self.source}: " + "; ".join(found) + f". Nothing was read: {advice}")


def refuse_split(source: Path, split: str, found: Iterable[str]) -> NoReturn:
    """Raises the error for a split that the data lacks."""
    raise DataError(
        f"{source}: has no split {split!r}; splits found: {', '.join(sorted(found)) or 'none'}"
    )


def name_in_data(split: str) -> str:
    """The name of a split in COCO, Flickr30k Entities and Visual Genome: "val" for "dev"."""
    return "val" if split == DEV_NAMES[0] else split


def captioned_photos(
    source: Path, names: Iterable[str], folder: Path, captions: dict[str, list[str]]
) -> tuple[CaptionedPhoto, ...]:
    """Joins photos and captions; any error refuses all of them.

    Args:
        source: the dataset, for messages.
        names: of the photos, relative to `folder`, in order.
        folder: where the photos lie.
        captions: the captions of each name.

    Raises:
        DataError: if a name leaves the folder, a photo is missing or listed twice, has no caption,
            or a caption has no word. All errors are reported together.
    """
    names = list(names)
    problems = Problems(source)
    safe_names(names, problems)
    problems.raise_if_any()
    problems.add("photos listed twice", repeated(names))
    problems.add("photos listed but missing", [name for name in names if not exists(folder / name)])
    problems.add("photos without a caption", [name for name in names if not captions.get(name)])
    wordless = [
        name for name in names if not all(tokenise(caption) for caption in captions.get(name, []))
    ]
    problems.add("photos with a caption that holds no word", wordless)
    problems.raise_if_any()
    if not names:
        raise DataError(f"{source}: holds no photo")
    return tuple(CaptionedPhoto(folder / name, tuple(captions[name])) for name in names)


def safe_names(names: Iterable[str], problems: Problems) -> list[str]:
    """The distinct names that stay inside their folder; the others go to `problems`.

    Guards against path traversal: every name that a dataset states passes here before its file is
    looked for.
    """
    found = list(dict.fromkeys(names))
    safe = [name for name in found if is_safe_name(name)]
    problems.add("file names that leave the folder", sorted(set(found).difference(safe)))
    return safe


def is_safe_name(name: str) -> bool:
    """Whether a name from a list stays inside its folder on every system (path traversal).

    It is relative, printable, and without `..` and drive.
    """
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    printable = bool(name.strip()) and not any(ord(character) < 32 for character in name)
    inside = (
        not (posix.is_absolute() or windows.drive or windows.root) and ".." not in windows.parts
    )
    return printable and inside and windows.name != ""


def exists(file: Path) -> bool:
    """Whether this is a file; False, not an error, for impossible names (too long, odd)."""
    return os.path.isfile(file)


def repeated(names: Iterable[str]) -> list[str]:
    """The names that occur more than once, each once, in order."""
    return [name for name, times in Counter(names).items() if times > 1]


def holding_most(folders: Sequence[Path], names: Sequence[str]) -> Path:
    """The folder that holds the most of the first hundred photos; the first of several that do."""
    looked_for = [name for name in names[:100] if is_safe_name(name)]
    return max(folders, key=lambda folder: sum(exists(folder / name) for name in looked_for))


def _some(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


class CaptionRow(NamedTuple):
    """A parsed line or entry of a caption file.

    Attributes:
        name: of the photo: its path below the folder of the photos.
        split: None where none is stated.
        captions: as written.
        aliases: other names of the photo, such as COCO's ids.
    """

    name: str
    split: str | None
    captions: list[str]
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Captions:
    """Captions by photo, with splits and aliases.

    Attributes:
        source: the file or folder, for messages.
        captions: of each photo by its name, in order of first appearance.
        splits: of each photo; None where none is stated.
        aliases: the photos that each alias stands for; several where it is ambiguous.
        lists: names by split, from list files beside the captions; they override `splits`.
    """

    source: Path
    captions: dict[str, list[str]]
    splits: dict[str, str | None]
    aliases: dict[str, list[str]]
    lists: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def states_splits(self) -> bool:
        """Whether the data assigns any photo to a split."""
        return bool(self.lists) or any(self.splits.values())

    def names(self, split: str) -> list[str]:
        """The photos of a split, in the order of its list or of the captions.

        Args:
            split: a name that the data states, several joined by `+`, or "all". "dev" also matches
                val, valid and validation. Photos for which no split is stated are in "train".

        Raises:
            DataError: if the data lacks the split.
        """
        if split == ALL or not (self.captions or self.lists):
            return list(self.captions)
        if self.lists:
            return self._listed(split.split("+"))
        split_of = {name: part or DEFAULT_SPLIT for name, part in self.splits.items()}
        wanted = self._wanted(split, set(split_of.values()))
        return [name for name, part in split_of.items() if part in wanted]

    def _wanted(self, split: str, stated: set[str]) -> set[str]:
        wanted: set[str] = set()
        for part in split.split("+"):
            others = stated.intersection(DEV_NAMES) if part == DEV_NAMES[0] else set()
            found = {part} & stated or others
            if not found:
                refuse_split(self.source, split, stated)
            wanted |= found
        return wanted

    def _listed(self, parts: list[str]) -> list[str]:
        for part in parts:
            if part not in self.lists:
                found = ", ".join(self.lists)
                raise DataError(
                    f"{self.source}: has no {part}.txt for --split {part}; splits found: {found}"
                )
        return [name for part in parts for name in self.lists[part]]


def joined(
    source: Path, rows: Iterable[CaptionRow], lists: Mapping[str, list[str]] | None = None
) -> Captions:
    """Groups caption rows by photo.

    Args:
        lists: names by split, from list files beside the captions.

    Raises:
        DataError: if rows or lists put a photo into two splits.
    """
    captions: dict[str, list[str]] = {}
    splits: dict[str, str | None] = {}
    aliases: dict[str, list[str]] = {}
    in_two: dict[str, None] = {}
    for row in rows:
        captions.setdefault(row.name, []).extend(row.captions)
        if (splits.setdefault(row.name, row.split) or DEFAULT_SPLIT) != (
            row.split or DEFAULT_SPLIT
        ):
            in_two[row.name] = None
        for alias in row.aliases:
            if row.name not in aliases.setdefault(alias, []):
                aliases[alias].append(row.name)
    problems = Problems(source)
    problems.add("photos in two splits", in_two or _in_two_lists(lists or {}))
    problems.raise_if_any()
    return Captions(source, captions, splits, aliases, lists or {})


def _in_two_lists(lists: Mapping[str, list[str]]) -> list[str]:
    splits_of: dict[str, set[str]] = {}
    for split, names in lists.items():
        for name in names:
            splits_of.setdefault(name, set()).add(split)
    return [
        f"{name} ({' and '.join(sorted(splits))})"
        for name, splits in splits_of.items()
        if len(splits) > 1
    ]
