"""Captions of photos as a file or a folder states them, with names and splits. The photos need not be there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from regiontalk.data.captions import Problems
from regiontalk.errors import DataError

ALL = "all"
"""The split that is every photo."""

DEFAULT_SPLIT = "train"
"""The split of photos for which the data states none."""

DEV_NAMES = ("dev", "val", "valid", "validation")
"""What data calls the photos that choices are made on; RegionTalk's name first."""

SPLIT_FOLDERS = ("train", *DEV_NAMES, "test")
"""Names of folders that are splits."""


class CaptionRow(NamedTuple):
    """What one line or entry says of a photo.

    Attributes:
        name: of the photo: its path below the folder of the photos.
        split: None where none is stated.
        captions: as people, or a system, wrote them.
        aliases: other names of the photo, such as COCO's numbers.
    """

    name: str
    split: str | None
    captions: list[str]
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Captions:
    """Captions photo by photo.

    Attributes:
        source: the file or folder, for messages.
        captions: the captions of each photo by its name, in the order in which the names first occur.
        splits: of each photo; None where none is stated.
        aliases: the photos that each other name stands for; more than one where it is ambiguous.
        lists: the names in each split, where files beside the captions list them: then `splits` do not count.
    """

    source: Path
    captions: dict[str, list[str]]
    splits: dict[str, str | None]
    aliases: dict[str, list[str]]
    lists: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def states_splits(self) -> bool:
        """Whether the data says of any photo which split it is in."""
        return bool(self.lists) or any(self.splits.values())

    def names(self, split: str) -> list[str]:
        """The photos of a split, in the order of its list or of the captions.

        Args:
            split: a name that the data states, several joined by `+`, or "all". "dev" also finds what the data calls
                val, valid or validation. Photos for which no split is stated are in "train".

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
                there = ", ".join(sorted(stated))
                raise DataError(f"{self.source}: has no split {split!r}; splits found: {there}")
            wanted |= found
        return wanted

    def _listed(self, parts: list[str]) -> list[str]:
        for part in parts:
            if part not in self.lists:
                found = ", ".join(self.lists)
                raise DataError(f"{self.source}: has no {part}.txt for --split {part}; splits found: {found}")
        return [name for part in parts for name in self.lists[part]]


def joined(source: Path, rows: Iterable[CaptionRow], lists: Mapping[str, list[str]] | None = None) -> Captions:
    """Joins the rows of each photo.

    Args:
        lists: the names in each split, where files beside the captions list them.

    Raises:
        DataError: if rows or lists put a photo into two splits.
    """
    captions: dict[str, list[str]] = {}
    splits: dict[str, str | None] = {}
    aliases: dict[str, list[str]] = {}
    in_two: dict[str, None] = {}
    for row in rows:
        captions.setdefault(row.name, []).extend(row.captions)
        if (splits.setdefault(row.name, row.split) or DEFAULT_SPLIT) != (row.split or DEFAULT_SPLIT):
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
    return [f"{name} ({' and '.join(sorted(splits))})" for name, splits in splits_of.items() if len(splits) > 1]
