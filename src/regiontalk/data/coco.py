"""COCO's JSON files: captions of photos, and instances (boxes with class names)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from regiontalk.data.boxes import (
    EVERYTHING,
    BoxedDataset,
    RawBox,
    RawPhoto,
    Selection,
    boxed_photos,
    photo_folders,
    refuse_repeated,
    refuse_split,
    size_of,
    wordless,
    xyxy_from_xywh,
)
from regiontalk.data.captions import Dataset, Problems, captioned_photos, exists, is_safe_name
from regiontalk.errors import DataError
from regiontalk.files import read_json

_ALL = "all"
_OTHER_NAME = {"dev": "val"}


def is_coco_captions(content: Any) -> bool:
    """Whether parsed JSON looks like COCO's captions, not like Karpathy's file, which has no annotations."""
    return isinstance(content, dict) and {"images", "annotations"} <= set(content)


def read_coco_captions(json_file: str | Path, image_folder: str | Path | None = None, split: str = _ALL) -> Dataset:
    """Reads a `captions_*.json`.

    Args:
        json_file: `{"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}`; more is ignored.
        image_folder: where the photos lie; None to look where COCO has them, see `coco_folders`.
        split: "all", or what the file's name says it holds: of `captions_val2017.json`, "val2017", "val" or "dev".

    Raises:
        DataError: if the file is damaged or of another split, a photo is missing, listed twice or without a caption, or
            a caption is without a photo or a word. It names the first few and counts all.
    """
    file = Path(json_file)
    content, problems = _content(file, split), Problems(file)
    names = _names(file, content["images"], problems)
    captions: dict[str, list[str]] = {}
    for number, each in enumerate(content["annotations"]):
        if not isinstance(each, dict) or not isinstance(each.get("caption"), str):
            raise DataError(f'{file}, annotation {number}: expected "image_id" and "caption", a text')
        name = names.get(_id(each.get("image_id")))
        if name is None:
            problems.add("captions without a photo", [f"annotation {number} of image {each.get('image_id')!r}"])
        else:
            captions.setdefault(name, []).append(each["caption"])
    problems.raise_if_any()
    folder = _one_folder(file, names.values(), image_folder)
    return Dataset(file.stem, split, captioned_photos(file, names.values(), folder, captions))


def read_coco_instances(
    json_file: str | Path,
    image_folder: str | Path | None = None,
    split: str = _ALL,
    selection: Selection = EVERYTHING,
) -> BoxedDataset:
    """Reads an `instances_*.json`.

    A crowd region (`iscrowd` 1) is one box around many objects that are not boxed one by one. It is no box here, and
    its class is `unclear` in that photo: whoever asks for this class there could be right and be counted wrong.

    Args:
        json_file: `{"images": [{"id", "file_name", "width", "height"}], "categories": [{"id", "name"}], "annotations":
            [{"image_id", "category_id", "bbox": [left, top, width, height], "iscrowd"}]}`; more is ignored.
        image_folder, split: as in `read_coco_captions`.
        selection: which photos take part.

    Raises:
        DataError: if the file is damaged or of another split, a photo is missing or listed twice, an annotation names
            an unknown photo or class, or a box has no area or sticks out. It names the first few and counts all.
    """
    file = Path(json_file)
    content, problems = _content(file, split), Problems(file)
    images = content["images"]
    names, classes = _names(file, images, problems), _classes(file, content.get("categories"), problems)
    raw = {image["file_name"]: RawPhoto(size_of(image.get("width"), image.get("height"))) for image in images}
    crowds = 0
    for number, each in enumerate(content["annotations"]):
        if not isinstance(each, dict):
            raise DataError(f"{file}, annotation {number}: expected an object")
        name, label = names.get(_id(each.get("image_id"))), classes.get(_id(each.get("category_id")))
        place = f"annotation {each.get('id', number)}"
        xyxy = xyxy_from_xywh(each.get("bbox"))
        if name is None or label is None:
            unknown = "photo" if name is None else "class"
            problems.add(f"boxes of an unknown {unknown}", [f"{place} ({each.get('image_id')!r})"])
        elif each.get("iscrowd"):
            crowds += 1
            raw[name].unclear.add(label)
        elif xyxy is None:
            problems.add("boxes that are not four numbers", [f"{name}, {place}"])
        else:
            raw[name].boxes.append(RawBox(place, xyxy, (label,)))
    folders = [Path(image_folder)] if image_folder else coco_folders(file)
    photos = boxed_photos(raw, folders, selection, problems)
    remarks = {"crowd regions, no boxes": crowds} if crowds else {}
    return BoxedDataset(file.stem, split, "labels", photos, selection.settle(problems), remarks)


def coco_folders(json_file: Path) -> list[Path]:
    """Where the photos of `annotations/captions_val2017.json` are looked for: the folder `val2017` or `images`, beside
    the file or beside its folder, or the file's own folder."""
    here, set_name = json_file.parent, json_file.stem.rsplit("_", 1)[-1]
    return photo_folders(
        *(base / sub for base in (here, here.parent) for sub in (set_name, f"images/{set_name}", "images")),
        here,
    )


def _content(file: Path, split: str) -> dict[str, Any]:
    """The parsed file, with lists of images and annotations."""
    content = read_json(file)
    if not isinstance(content, dict) or not all(isinstance(content.get(k), list) for k in ("images", "annotations")):
        raise DataError(f'{file}: not a COCO file; expected an object with the lists "images" and "annotations"')
    own = file.stem.rsplit("_", 1)[-1]
    if _OTHER_NAME.get(split, split) not in (_ALL, own, own.rstrip("0123456789")):
        refuse_split(file, split, [own, _ALL])
    return content


def _names(file: Path, images: list[Any], problems: Problems) -> dict[int | str | None, str]:
    """File names by the photos' ids."""
    for number, image in enumerate(images):
        named = isinstance(image, dict) and isinstance(image.get("file_name"), str)
        if not named or _id(image.get("id")) is None:
            raise DataError(f'{file}, image {number}: expected "id" and "file_name"')
    refuse_repeated(problems, "photos listed twice", [image["file_name"] for image in images])
    refuse_repeated(problems, "ids of two photos", [str(image["id"]) for image in images])
    problems.raise_if_any()
    return {image["id"]: image["file_name"] for image in images}


def _classes(file: Path, categories: Any, problems: Problems) -> dict[int | str | None, str]:
    """Names of classes by their ids."""
    if not isinstance(categories, list) or not categories:
        raise DataError(f'{file}: has no list "categories"; is it a file of instances?')
    for number, each in enumerate(categories):
        named = isinstance(each, dict) and isinstance(each.get("name"), str) and not wordless([each["name"]])
        if not named or _id(each.get("id")) is None:
            raise DataError(f'{file}, category {number}: expected "id" and "name"')
    refuse_repeated(problems, "ids of two classes", [str(each["id"]) for each in categories])
    problems.raise_if_any()
    return {each["id"]: each["name"] for each in categories}


def _id(value: Any) -> int | str | None:
    """An id that can be one: a whole number or a text."""
    return value if type(value) in (int, str) else None


def _one_folder(file: Path, names: Iterable[str], image_folder: str | Path | None) -> Path:
    """The folder that holds the most of the photos: captions' photos all lie in one."""
    if image_folder is not None:
        return Path(image_folder)
    names = [name for name in names if is_safe_name(name)]
    return max(coco_folders(file), key=lambda folder: sum(exists(folder / name) for name in names[:100]))
