"""Datasets of photos with boxes: data classes, and helpers shared by the readers of all formats.

Boxes are `boxes_xyxy`: left, top, right, bottom in pixels of the upright photo. Edges are
continuous: pixel column c, counted from 0, lies between c and c + 1. Axis name: B boxes of a photo.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from regiontalk.data.captions import ALL, Problems, exists, refuse_split, repeated, safe_names
from regiontalk.errors import DataError
from regiontalk.json_files import json_lines
from regiontalk.language import tokenise
from regiontalk.photos import open_photo

Line = TypeVar("Line")

TOLERANCE = 1.5
"""Pixels that a box may extend beyond its photo, as scaling rounds and some tools count from 1. It
is clipped."""

LEAVE_OUT = "or leave them out, counted, with --leave-out"

Kind = Literal["labels", "captions", "entities"]
"""Type of the boxes' texts: class names, captions, or ids of the entities that phrases name."""


@dataclass(frozen=True, eq=False)
class BoxedPhoto:
    """A photo's file and its boxes.

    Attributes:
        file: its path; it exists unless `Selection.need_files` is off.
        width, height: in pixels, of the upright photo.
        boxes_xyxy: (B, 4) float32, inside the photo, each with an area.
        texts: one or more for each box.
        unclear: classes whose instances are not annotated exhaustively, such as those of COCO's
            crowd regions.
        names: the dataset's name of the photo, then aliases such as COCO's id; may be empty.
    """

    file: Path
    width: int
    height: int
    boxes_xyxy: np.ndarray
    texts: tuple[tuple[str, ...], ...]
    unclear: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The dataset's name of the photo, else the file's name."""
        return self.names[0] if self.names else self.file.name

    @property
    def labels(self) -> frozenset[str]:
        """The texts of its boxes."""
        return frozenset(text for texts in self.texts for text in texts)

    @property
    def shown(self) -> frozenset[str]:
        """The texts of its boxes, and the classes in `unclear`."""
        return self.labels | self.unclear

    def boxes_of(self, text: str) -> np.ndarray:
        """The boxes with this text, (B, 4)."""
        rows: np.ndarray = self.boxes_xyxy[[text in texts for texts in self.texts]]
        return rows


@dataclass(frozen=True)
class BoxedDataset:
    """One split of a dataset with boxes.

    Attributes:
        name, split: for messages and results.
        kind: type of the boxes' texts.
        photos: at least one, in the data's order; photos without a box are possible.
        left_out: invalid entries that were skipped because the caller allowed it: counts by kind.
        remarks: valid entries that take no part, such as crowd regions: counts by kind.
        classes: the annotators' classes: those that the data lists, in that order, else the sorted
            labels of all boxes in the data, of photos that take no part too. Empty where boxes have
            no classes.
    """

    name: str
    split: str
    kind: Kind
    photos: tuple[BoxedPhoto, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)
    remarks: Mapping[str, int] = field(default_factory=dict)
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def files(self) -> list[Path]:
        return [photo.file for photo in self.photos]


@dataclass(frozen=True)
class Selection:
    """Photo selection, and the handling of invalid entries.

    Attributes:
        names: of the selected photos, as the data names them; None for all.
        every: subsampling: of the selected names in sorted order the first and each `every`-th
            after it; None for all.
        leave_out: skip and count invalid entries instead of refusing the dataset.
        need_files: whether the photos' files must exist; if not, only the annotations count.
        max_pixels: limit for photos that are opened to read their size; see `open_photo`.

    Raises:
        ValueError: if `every` is below 1.
    """

    names: frozenset[str] | None = None
    every: int | None = None
    leave_out: bool = False
    need_files: bool = True
    max_pixels: int | None = None

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise ValueError(f"every must be at least 1, found {self.every}")

    def choose(
        self, found: Iterable[str], problems: Problems, refused: Collection[str] = ()
    ) -> list[str]:
        """Selects from the names in the data, in order.

        Args:
            found: the names.
            problems: collects selected names that the data lacks.
            refused: names already in `problems`. With `leave_out` they are dropped; else they stay,
                so that all their errors are reported together.
        """
        found = list(found)
        if self.names is not None:
            problems.add("photos asked for that the data lacks", sorted(self.names - set(found)))
            found = [name for name in found if name in self.names]
        if self.every is not None:
            kept = set(sorted(found)[:: self.every])
            found = [name for name in found if name in kept]
        return [name for name in found if name not in refused] if self.leave_out else found

    def settle(self, problems: Problems) -> dict[str, int]:
        """Raises the collected errors, or with `leave_out` returns their counts."""
        if not self.leave_out:
            problems.raise_if_any(LEAVE_OUT)
        return problems.counts()


EVERYTHING = Selection()


@dataclass(frozen=True)
class RawBox:
    """A parsed box: its place in the file (for messages), its edges, its texts."""

    place: str
    xyxy: tuple[float, float, float, float]
    texts: tuple[str, ...]


@dataclass
class RawPhoto:
    """A parsed photo with its aliases; without a size, it is read from the photo's file."""

    size: tuple[int, int] | None = None
    boxes: list[RawBox] = field(default_factory=list)
    unclear: set[str] = field(default_factory=set)
    aliases: tuple[str, ...] = ()


def boxed_photos(
    raw: Mapping[str, RawPhoto],
    folders: Sequence[Path],
    selection: Selection,
    problems: Problems,
    refused: Collection[str] = (),
) -> tuple[BoxedPhoto, ...]:
    """Validates parsed photos and boxes; invalid entries go to `problems` and are left out.

    Args:
        raw: photos by name, a path relative to one of the folders.
        folders: where photos may lie, searched in order.
        selection: only selected photos need to exist, if any.
        problems: collects the errors; the caller settles them.
        refused: names already in `problems`, see `Selection.choose`.

    Raises:
        DataError: at once if a name leaves the folder, or no photo is left.
        PhotoError: if a photo must be opened for its size and cannot.
    """
    names = selection.choose(safe_names(raw, problems), problems, refused)
    found = {name: locate(folders, name) for name in names}
    if not selection.need_files:
        found = {name: file or folders[-1] / name for name, file in found.items()}
    problems.add("photos listed but missing", [name for name in names if found[name] is None])
    photos = tuple(
        _boxed_photo(name, file, raw[name], selection.max_pixels, problems)
        for name, file in found.items()
        if file is not None
    )
    if not photos:
        problems.raise_if_any()
        raise DataError(f"{problems.source}: holds no photo of those asked for")
    return photos


def locate(folders: Sequence[Path], name: str) -> Path | None:
    """The first file of this name in some folders."""
    return next((folder / name for folder in folders if exists(folder / name)), None)


def photo_folders(given: str | Path | None, *candidates: Path) -> list[Path]:
    """Folders to search for photos: the given one, else the candidates that exist.

    If none exists the last candidate, so that messages can name it.
    """
    if given:
        return [Path(given)]
    return [folder for folder in candidates if folder.is_dir()] or [candidates[-1]]


def xyxy_of(value: Any) -> tuple[float, float, float, float] | None:
    """Validates a box from a file: four finite numbers, as floats; else None."""
    if (
        not isinstance(value, list)
        or len(value) != 4
        or not all(type(edge) in (int, float) for edge in value)
    ):
        return None
    try:
        left, top, right, bottom = (float(edge) for edge in value)
    except OverflowError:
        return None
    box = left, top, right, bottom
    return box if all(np.isfinite(box)) else None


def xyxy_from_xywh(value: Any) -> tuple[float, float, float, float] | None:
    """As `xyxy_of`, from left, top, width and height."""
    box = xyxy_of(value)
    return box and (box[0], box[1], box[0] + box[2], box[1] + box[3])


def size_of(width: Any, height: Any) -> tuple[int, int] | None:
    """Validates a photo's size from a file: two positive integers; else None."""
    good = all(type(side) is int and 1 <= side < 1 << 24 for side in (width, height))
    return (width, height) if good else None


def labels_of(photos: Iterable[RawPhoto]) -> tuple[str, ...]:
    """The distinct texts of the boxes of some photos, sorted."""
    return tuple(sorted({text for photo in photos for box in photo.boxes for text in box.texts}))


def wordless(texts: Iterable[str]) -> bool:
    """Whether there is no text, or one of them holds no word."""
    texts = list(texts)
    return not texts or not all(tokenise(text) for text in texts)


def refuse_repeated(problems: Problems, kind: str, names: Iterable[str]) -> set[str]:
    """Adds duplicate names to `problems` and returns them."""
    found = repeated(names)
    problems.add(kind, found)
    return set(found)


def lines_of_split(
    file: Path, split: str, lines: Sequence[tuple[str, str, Line]], problems: Problems
) -> tuple[list[tuple[str, Line]], set[str]]:
    """The parsed lines of one split.

    Args:
        file: the lines', for messages.
        split: "all", or one that the lines name.
        lines: all lines of the file: photo's name, split, content.
        problems: collects the split's photos that are in another split too.

    Returns:
        name and content of the split's lines, and the names of the photos in two splits.

    Raises:
        DataError: if no line is of the split.
    """
    splits: dict[str, set[str]] = {}
    for name, part, _ in lines:
        splits.setdefault(name, set()).add(part)
    found = [(name, more) for name, part, more in lines if split in (part, ALL)]
    if split != ALL and not found:
        refuse_split(file, split, {*(part for _, part, _ in lines), ALL})
    in_two = [name for name in dict.fromkeys(name for name, _ in found) if len(splits[name]) > 1]
    problems.add("photos in two splits", in_two)
    return found, set(in_two)


def json_objects(file: Path) -> list[tuple[int, dict[str, Any]]]:
    """The objects of a JSON Lines file, with their line numbers.

    Raises:
        DataError: if a line is not a JSON object.
    """
    lines = list(json_lines(file))
    bad = next((n for n, entry in lines if not isinstance(entry, dict)), None)
    if bad is not None:
        raise DataError(f"{file}, line {bad}: expected a JSON object")
    return lines


def _boxed_photo(
    name: str, file: Path, raw: RawPhoto, max_pixels: int | None, problems: Problems
) -> BoxedPhoto:
    width, height = raw.size or _own_size(file, max_pixels)
    kept = [
        (box, raw_box)
        for raw_box in raw.boxes
        if (box := _inside(name, raw_box, width, height, problems))
    ]
    return BoxedPhoto(
        file,
        width,
        height,
        np.array([box for box, _ in kept], np.float32).reshape(-1, 4),
        tuple(raw_box.texts for _, raw_box in kept),
        frozenset(raw.unclear),
        (name, *raw.aliases),
    )


def _own_size(file: Path, max_pixels: int | None) -> tuple[int, int]:
    # Only the size is needed: min_side=1 decodes JPEGs at their lowest resolution
    photo = open_photo(file, max_pixels=max_pixels, min_side=1)
    return photo.width, photo.height


def _inside(
    name: str, box: RawBox, width: int, height: int, problems: Problems
) -> tuple[float, float, float, float] | None:
    """The box clipped to the photo; None if it has no area or exceeds the tolerance."""
    left, top, right, bottom = box.xyxy
    where = f"{name}, {box.place}: {left:g} {top:g} {right:g} {bottom:g}"
    if right <= left or bottom <= top:
        problems.add("boxes without an area", [where])
        return None
    if min(left, top, width - right, height - bottom) < -TOLERANCE:
        problems.add("boxes that stick out of their photo", [f"{where} in {width} x {height}"])
        return None
    cut = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
    if np.float32(cut[2]) <= np.float32(cut[0]) or np.float32(cut[3]) <= np.float32(cut[1]):
        problems.add("boxes without an area", [where])
        return None
    return cut
