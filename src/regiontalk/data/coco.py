"""COCO's JSON files, captions and instances (boxes with class names), and Karpathy's splits.

The "Karpathy splits" are one JSON file with the photos, splits and captions of Flickr8K, Flickr30K
or COCO.
"""

from __future__ import annotations

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
    size_of,
    wordless,
    xyxy_from_xywh,
)
from regiontalk.data.captions import (
    ALL,
    CaptionRow,
    Dataset,
    Problems,
    captioned_photos,
    holding_most,
    joined,
    name_in_data,
    refuse_split,
    repeated,
)
from regiontalk.errors import DataError
from regiontalk.json_files import read_json
from regiontalk.settings import shown


def is_coco_captions(content: Any) -> bool:
    """Whether parsed JSON looks like COCO's captions; Karpathy's file has no annotations."""
    return isinstance(content, dict) and {"images", "annotations"} <= set(content)


def coco_rows(file: Path, content: dict[str, Any]) -> list[CaptionRow]:
    """Parses a `captions_*.json`: a row for each photo.

    The photo's id is an alias, and its name where no file is named.

    Args:
        file: for messages.
        content: `{"images": [{"id", "file_name" (if any)}], "annotations": [{"image_id",
            "caption"}]}`.

    Raises:
        DataError: if it is not that, a photo is listed twice, or a caption is without a photo.
    """
    problems = Problems(file)
    names = _names(file, _lists(file, content)["images"], problems, required=False)
    rows = {
        str(number): CaptionRow(name, None, [], (str(number),)) for number, name in names.items()
    }
    for number, each in enumerate(content["annotations"]):
        if (
            not isinstance(each, dict)
            or "image_id" not in each
            or not isinstance(each.get("caption"), str)
        ):
            raise DataError(
                f'{file}, annotation {number}: expected "image_id" and "caption", a text'
            )
        row = rows.get(str(_id(each["image_id"])))
        if row is None:
            problems.add(
                "captions without a photo", [f"annotation {number} of image {each['image_id']!r}"]
            )
        else:
            row.captions.append(each["caption"])
    problems.raise_if_any()
    return list(rows.values())


def read_coco_captions(
    json_file: str | Path, image_folder: str | Path | None = None, split: str = ALL
) -> Dataset:
    """Reads a `captions_*.json`.

    Args:
        json_file: `{"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}`;
            more is ignored.
        image_folder: where the photos lie; None for COCO's usual places, see `coco_folders`.
        split: "all", or the split that the file's name states: of `captions_val2017.json`,
            "val2017", "val" or "dev".

    Raises:
        DataError: if the file is damaged or of another split, a photo is missing, listed twice or
            without a caption, or a caption is without a photo or a word. It names the first few and
            counts all.
    """
    file = Path(json_file)
    content, problems = _content(file, split), Problems(file)
    names = list(_names(file, content["images"], problems).values())
    captions = {row.name: row.captions for row in coco_rows(file, content)}
    folder = holding_most(coco_folders(file, image_folder), names)
    return Dataset(file.stem, split, captioned_photos(file, names, folder, captions))


def read_coco_instances(
    json_file: str | Path,
    image_folder: str | Path | None = None,
    split: str = ALL,
    selection: Selection = EVERYTHING,
) -> BoxedDataset:
    """Reads an `instances_*.json`.

    A crowd region (`iscrowd` 1) is one box around many objects without boxes of their own. It is no
    box here, and its class is `unclear` in that photo: a correct answer about this class could be
    counted as wrong.

    Args:
        json_file: `{"images": [{"id", "file_name", "width", "height"}], "categories": [{"id",
            "name"}], "annotations": [{"image_id", "category_id", "bbox": [left, top, width,
            height], "iscrowd"}]}`; more is ignored.
        image_folder, split: as in `read_coco_captions`.

    Raises:
        DataError: if the file is damaged or of another split, a photo is missing or listed twice,
            an annotation names an unknown photo or class, or a box has no area or sticks out. It
            names the first few and counts all.
    """
    file = Path(json_file)
    content, problems = _content(file, split), Problems(file)
    images = content["images"]
    names = _names(file, images, problems)
    classes = _classes(file, content.get("categories"), problems)
    raw = {image["file_name"]: _raw_photo(image) for image in images}
    crowds = 0
    for number, each in enumerate(content["annotations"]):
        if not isinstance(each, dict):
            raise DataError(f"{file}, annotation {number}: expected an object")
        name = names.get(_id(each.get("image_id")))
        label = classes.get(_id(each.get("category_id")))
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
    photos = boxed_photos(raw, coco_folders(file, image_folder), selection, problems)
    remarks = {"crowd regions, no boxes": crowds} if crowds else {}
    settled, kinds = selection.settle(problems), (*classes.values(),)
    return BoxedDataset(file.stem, split, "labels", photos, settled, remarks, kinds)


def _raw_photo(image: dict[str, Any]) -> RawPhoto:
    size = size_of(image.get("width"), image.get("height"))
    return RawPhoto(size, aliases=(str(image["id"]),))


def coco_folders(json_file: Path, given: str | Path | None = None) -> list[Path]:
    """Folders to search for the photos of `annotations/captions_val2017.json`.

    The given one; else the folder `val2017`, `images/val2017` or `images` beside the file or beside
    its folder, or the file's own folder.
    """
    here, set_name = json_file.parent, json_file.stem.rsplit("_", 1)[-1]
    subfolders = (set_name, f"images/{set_name}", "images")
    return photo_folders(
        given, *(base / sub for base in (here, here.parent) for sub in subfolders), here
    )


def _content(file: Path, split: str) -> dict[str, Any]:
    """Parses a COCO file, and checks its split."""
    content = _lists(file, read_json(file))
    own = file.stem.rsplit("_", 1)[-1]
    if name_in_data(split) not in (ALL, own, own.rstrip("0123456789")):
        refuse_split(file, split, [own, ALL])
    return content


def _lists(file: Path, content: Any) -> dict[str, Any]:
    """Checks that the content has the lists images and annotations."""
    if not isinstance(content, dict) or not all(
        isinstance(content.get(k), list) for k in ("images", "annotations")
    ):
        raise DataError(
            f'{file}: not a COCO file; expected an object with the lists "images" and "annotations"'
        )
    return content


def _names(
    file: Path, images: list[Any], problems: Problems, required: bool = True
) -> dict[int | str | None, str]:
    """File names by photo id; the id replaces a missing or empty name if none is required."""
    for number, image in enumerate(images):
        known = isinstance(image, dict) and _id(image.get("id")) is not None
        if not known or not isinstance(image.get("file_name", None if required else ""), str):
            raise DataError(f'{file}, image {number}: expected "id" and "file_name"')
    ids = [str(image["id"]) for image in images]
    names = [
        image.get("file_name") or ("" if required else number)
        for number, image in zip(ids, images, strict=True)
    ]
    refuse_repeated(problems, "photos listed twice", names)
    refuse_repeated(problems, "ids of two photos", ids)
    problems.raise_if_any()
    return {image["id"]: name for image, name in zip(images, names, strict=True)}


def _classes(file: Path, categories: Any, problems: Problems) -> dict[int | str | None, str]:
    """Class names by id."""
    if not isinstance(categories, list) or not categories:
        raise DataError(f'{file}: has no list "categories"; is it a file of instances?')
    for number, each in enumerate(categories):
        named = (
            isinstance(each, dict)
            and isinstance(each.get("name"), str)
            and not wordless([each["name"]])
        )
        if not named or _id(each.get("id")) is None:
            raise DataError(f'{file}, category {number}: expected "id" and "name"')
    refuse_repeated(problems, "ids of two classes", [str(each["id"]) for each in categories])
    problems.raise_if_any()
    return {each["id"]: each["name"] for each in categories}


def _id(value: Any) -> int | str | None:
    """The id if it is an integer or a text, else None."""
    return value if type(value) in (int, str) else None


def is_karpathy(content: Any) -> bool:
    """Whether parsed JSON looks like a Karpathy-split file."""
    return isinstance(content, dict) and isinstance(content.get("images"), list)


def karpathy_rows(file: Path, content: Any) -> list[CaptionRow]:
    """Parses a `dataset_*.json`: a row for each photo; COCO's ids are aliases.

    Args:
        file: for messages.
        content: `{"images": [{"filename", "filepath" (a folder, if any), "split", "sentences":
            [{"raw"}], "cocoid" (if any)}]}`; more fields are ignored. A photo's name is
            `filepath/filename`.

    Raises:
        DataError: if it is not that, or lists a photo twice, in any split.
    """
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list) or not images:
        raise DataError(
            f'{file}: not a Karpathy-split file; expected an object with a list "images"'
        )
    rows = [_row(file, number, image) for number, image in enumerate(images)]
    problems = Problems(file)
    problems.add("photos listed twice", repeated(row.name for row in rows))
    problems.raise_if_any()
    return rows


def read_karpathy(json_file: str | Path, image_folder: str | Path, split: str) -> Dataset:
    """Reads one split of a `dataset_*.json`, see `karpathy_rows`.

    Only the photos of this split need to exist.

    Args:
        json_file: the file.
        image_folder: where the photos lie: `image_folder/filepath/filename`.
        split: "train", "dev" (or "val", as the file calls it), "test", or "restval", COCO's
            validation photos in neither dev nor test. "train+restval" reads both, "all" every
            photo.

    Raises:
        DataError: if the file is damaged or lacks the split, a photo is missing, listed twice (in
            any split), without a caption, or with a caption without a word. It names the first few
            and counts all.
    """
    file = Path(json_file)
    content = read_json(file)
    found = joined(file, karpathy_rows(file, content))
    photos = captioned_photos(file, found.names(split), Path(image_folder), found.captions)
    name = content.get("dataset")
    return Dataset(name if isinstance(name, str) and name else file.stem, split, photos)


def _row(file: Path, number: int, image: Any) -> CaptionRow:
    try:
        folder, name, split = image.get("filepath") or "", image["filename"], image["split"]
        captions = [sentence["raw"] for sentence in image["sentences"]]
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(
            f"{file}, image {number}: expected filename, split and sentences with raw, "
            f"found {shown(image)}"
        ) from error
    if not all(isinstance(text, str) for text in (folder, name, split, *captions)):
        raise DataError(f"{file}, image {number}: filepath, filename, split and raw must be text")
    aliases = (str(image["cocoid"]),) if type(image.get("cocoid")) is int else ()
    return CaptionRow(f"{folder}/{name}" if folder else name, split, captions, aliases)
