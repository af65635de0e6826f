"""Boxes with captions: Visual Genome's region descriptions, or JSON Lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from regiontalk.data.boxes import (
    EVERYTHING,
    BoxedDataset,
    RawBox,
    RawPhoto,
    Selection,
    boxed_photos,
    json_objects,
    lines_of_split,
    photo_folders,
    refuse_repeated,
    size_of,
    wordless,
    xyxy_from_xywh,
    xyxy_of,
)
from regiontalk.data.captions import ALL, Problems, name_in_data, refuse_split
from regiontalk.errors import DataError
from regiontalk.json_files import read_json

_SIZES, _SPLITS = "image_data.json", "densecap_splits.json"


def read_visual_genome(
    json_file: str | Path,
    split: str = ALL,
    image_folder: str | Path | None = None,
    selection: Selection = EVERYTHING,
) -> BoxedDataset:
    """Reads Visual Genome's `region_descriptions.json`.

    `[{"id", "regions": [{"region_id", "x", "y", "width", "height", "phrase"}]}]`; newer files say
    "image_id" for "id". The sizes of photos come from `image_data.json` beside it or, without that,
    from the photos, which are `ID.jpg`. Identical boxes are merged into one with several captions.

    Args:
        json_file: the file.
        split: "all", or one of `densecap_splits.json` beside it: `{"train": [ids], "val": ...,
            "test": ...}`.
        image_folder: where the photos lie; None for `images`, `VG_100K` and `VG_100K_2` beside the
            file, or beside it.
        selection: photo selection and the handling of invalid entries; their names are ID.jpg.

    Raises:
        DataError: if the file is damaged or lacks a photo of the split, a photo is missing, twice
            there or in two splits, or a region has no area, sticks out of its photo, or has a
            phrase without a word. It names the first few and counts all.
    """
    file = Path(json_file)
    content, problems = read_json(file), Problems(file)
    if not isinstance(content, list) or not all(
        isinstance(e, dict) and "regions" in e for e in content
    ):
        raise DataError(f'{file}: expected a list of {{"id", "regions"}}, as Visual Genome has it')
    ids = [_image_id(file, number, entry) for number, entry in enumerate(content)]
    refuse_repeated(problems, "photos listed twice", map(str, ids))
    problems.raise_if_any()
    wanted, refused = _split_ids(file, split, problems)
    sizes = _sizes(file.parent / _SIZES)
    if wanted is not None:
        problems.add(
            "photos of the split that the file lacks",
            [f"{i}.jpg" for i in sorted(wanted - set(ids))],
        )
    by_name = {
        f"{i}.jpg": entry
        for i, entry in zip(ids, content, strict=True)
        if wanted is None or i in wanted
    }
    raw = {
        name: _visual_genome_photo(file, name, by_name[name], sizes, problems)
        for name in selection.choose(by_name, problems, refused)
    }
    here = file.parent
    folders = photo_folders(
        image_folder, *(here / name for name in ("images", "VG_100K", "VG_100K_2")), here
    )
    photos = boxed_photos(raw, folders, EVERYTHING, problems)
    return BoxedDataset(file.stem, split, "captions", photos, selection.settle(problems))


def read_region_lines(
    file: str | Path,
    split: str = ALL,
    image_folder: str | Path | None = None,
    selection: Selection = EVERYTHING,
) -> BoxedDataset:
    """Reads JSON Lines with one box a line.

    A line is `{"image", "box_xyxy", "captions": [...]}` and optionally "split".

    Args:
        file: the lines; those of one photo need not be adjacent.
        split: "all", or one that the lines name.
        image_folder: where the photos lie; None for `images` beside the file, or beside it.

    Raises:
        DataError: if a line is damaged, a photo is missing or in two splits, a box is duplicated,
            has no area or sticks out, or a caption has no word. It names the first few and counts
            all.
    """
    file = Path(file)
    problems, raw = Problems(file), dict[str, RawPhoto]()
    lines = [_region_line(file, number, entry) for number, entry in json_objects(file)]
    found, refused = lines_of_split(file, split, lines, problems)
    for name, box in found:
        photo = raw.setdefault(name, RawPhoto())
        if any(box.xyxy == other.xyxy for other in photo.boxes):
            problems.add("boxes that are there twice", [f"{name}, {box.place}"])
        elif wordless(box.texts):
            problems.add(
                "boxes without a caption, or with one that holds no word", [f"{name}, {box.place}"]
            )
        else:
            photo.boxes.append(box)
    folders = photo_folders(image_folder, file.parent / "images", file.parent)
    photos = boxed_photos(raw, folders, selection, problems, refused)
    return BoxedDataset(file.stem, split, "captions", photos, selection.settle(problems))


def _region_line(file: Path, number: int, entry: dict[str, Any]) -> tuple[str, str, RawBox]:
    name, captions, split = entry.get("image"), entry.get("captions"), entry.get("split", ALL)
    xyxy = xyxy_of(entry.get("box_xyxy"))
    texts = isinstance(captions, list) and all(isinstance(caption, str) for caption in captions)
    if not isinstance(name, str) or not isinstance(split, str) or xyxy is None or not texts:
        wanted = '{"image", "box_xyxy": [left, top, right, bottom], "captions": [...]}'
        raise DataError(f"{file}, line {number}: expected {wanted}")
    return name, split, RawBox(f"line {number}", xyxy, tuple(captions or ()))


def _image_id(file: Path, number: int, entry: dict[str, Any]) -> int:
    found = entry.get("id", entry.get("image_id"))
    regions = entry["regions"]
    if found is None and isinstance(regions, list) and regions and isinstance(regions[0], dict):
        found = regions[0].get("image_id")  # version 1.4 names it in the regions only
    if type(found) is not int or not isinstance(regions, list):
        raise DataError(
            f'{file}, entry {number}: expected "id", a whole number, and "regions", a list'
        )
    return found


def _visual_genome_photo(
    file: Path,
    name: str,
    entry: dict[str, Any],
    sizes: dict[int, tuple[int, int]],
    problems: Problems,
) -> RawPhoto:
    captions: dict[tuple[float, float, float, float], list[str]] = {}
    for place, xyxy, phrase in _visual_genome_regions(file, name, entry["regions"]):
        if wordless([phrase]):
            problems.add("regions with a phrase that holds no word", [f"{name}, {place}"])
        else:
            captions.setdefault(xyxy, []).append(phrase)
    boxes = [
        RawBox(f"region {row}", xyxy, tuple(texts))
        for row, (xyxy, texts) in enumerate(captions.items())
    ]
    return RawPhoto(sizes.get(int(name.removesuffix(".jpg"))), boxes)


def _visual_genome_regions(
    file: Path, name: str, regions: list[Any]
) -> Iterator[tuple[str, tuple[float, float, float, float], str]]:
    for row, region in enumerate(regions):
        fields = region if isinstance(region, dict) else {}
        xyxy = xyxy_from_xywh([fields.get(key) for key in ("x", "y", "width", "height")])
        phrase = fields.get("phrase")
        if xyxy is None or not isinstance(phrase, str):
            raise DataError(
                f'{file}, photo {name}, region {row}: expected "x", "y", "width", '
                '"height" and "phrase"'
            )
        yield f"region {fields.get('region_id', row)}", xyxy, phrase


def _sizes(file: Path) -> dict[int, tuple[int, int]]:
    """Photo sizes from `image_data.json`; none if it is missing."""
    if not file.is_file():
        return {}
    content = read_json(file)
    sizes: dict[int, tuple[int, int]] = {}
    for number, entry in enumerate(content if isinstance(content, list) else [None]):
        fields = entry if isinstance(entry, dict) else {}
        found, size = (
            fields.get("image_id", fields.get("id")),
            size_of(fields.get("width"), fields.get("height")),
        )
        if type(found) is not int or size is None:
            raise DataError(f'{file}, entry {number}: expected "image_id", "width" and "height"')
        sizes[found] = size
    return sizes


def _split_ids(file: Path, split: str, problems: Problems) -> tuple[set[int] | None, set[str]]:
    """Photo ids of a split, None for all, and the names of those in another split too."""
    if split == ALL:
        return None, set()
    lists = file.parent / _SPLITS
    content = read_json(lists) if lists.is_file() else {}
    if not isinstance(content, dict) or not all(isinstance(ids, list) for ids in content.values()):
        raise DataError(f'{lists}: expected {{"train": [ids], "val": [ids], "test": [ids]}}')
    wanted = name_in_data(split)
    if wanted not in content:
        refuse_split(file, split, [*content, ALL])
    ids = {each for each in content[wanted] if type(each) is int}
    others = {
        each
        for name, found in content.items()
        if name != wanted
        for each in found
        if type(each) is int
    }
    in_two = [f"{each}.jpg" for each in sorted(ids & others)]
    problems.add("photos in two splits", in_two)
    return ids, set(in_two)
