"""Boxes with class names in Pascal VOC's layout: XML annotations, or a single `boxes.jsonl`."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath
from typing import Any

from regiontalk.data.boxes import (
    EVERYTHING,
    BoxedDataset,
    RawBox,
    RawPhoto,
    Selection,
    boxed_photos,
    json_objects,
    labels_of,
    lines_of_split,
    photo_folders,
    refuse_repeated,
    size_of,
    wordless,
    xyxy_of,
)
from regiontalk.data.captions import ALL, Problems, exists, refuse_split, safe_names
from regiontalk.data.xml_files import box_in, read_xml, size_in
from regiontalk.errors import DataError
from regiontalk.files import read_text

_JSONL = "boxes.jsonl"


def is_voc(folder: Path) -> bool:
    """Whether a folder is laid out like Pascal VOC or holds a `boxes.jsonl`, by its names alone."""
    return (folder / _JSONL).is_file() or (
        (folder / "Annotations").is_dir() and (folder / "JPEGImages").is_dir()
    )


def read_voc(
    folder: str | Path, split: str = ALL, selection: Selection = EVERYTHING
) -> BoxedDataset:
    """Reads boxes with class names.

    Either `boxes.jsonl` with a line for each photo, `{"file_name", "width", "height", "boxes_xyxy",
    "labels"}` and optionally "split", the photos in `images/` or beside it; or VOC's own
    `Annotations/*.xml`, `JPEGImages/` and `ImageSets/Main/SPLIT.txt`. VOC's difficult objects are
    boxes like all others, and counted.

    Args:
        folder: where they lie.
        split: "all", or one that the data names (VOC: "train", "val", "trainval").

    Raises:
        DataError: if the folder holds neither, the split is not there, or anything is damaged,
            missing or duplicated.
    """
    folder = Path(folder)
    if (folder / _JSONL).is_file():
        return _read_jsonl(folder / _JSONL, split, selection)
    if not is_voc(folder):
        raise DataError(
            f"{folder}: expected {_JSONL}, or Annotations and JPEGImages as in Pascal VOC"
        )
    return _read_xml(folder, split, selection)


def _read_jsonl(file: Path, split: str, selection: Selection) -> BoxedDataset:
    problems = Problems(file)
    lines = [_jsonl_photo(file, number, entry) for number, entry in json_objects(file)]
    found, refused = lines_of_split(file, split, lines, problems)
    refused |= refuse_repeated(problems, "photos listed twice", [name for name, _ in found])
    folders = photo_folders(None, file.parent / "images", file.parent)
    photos = boxed_photos(dict(found), folders, selection, problems, refused)
    left_out, classes = selection.settle(problems), labels_of(photo for _, _, photo in lines)
    return BoxedDataset(
        file.resolve().parent.name, split, "labels", photos, left_out, classes=classes
    )


def _jsonl_photo(file: Path, number: int, entry: dict[str, Any]) -> tuple[str, str, RawPhoto]:
    """A photo's name, split and boxes from one line."""
    name, labels, boxes = entry.get("file_name"), entry.get("labels"), entry.get("boxes_xyxy")
    size, split = size_of(entry.get("width"), entry.get("height")), entry.get("split", ALL)
    good = isinstance(name, str) and size and isinstance(split, str)
    lists = isinstance(labels, list) and isinstance(boxes, list) and len(labels) == len(boxes)
    if not good or not lists:
        wanted = (
            '{"file_name", "width", "height", "boxes_xyxy": [[...]], "labels": '
            "[...]}, a label for each box"
        )
        raise DataError(f"{file}, line {number}: expected {wanted}")
    photo = RawPhoto(size)
    for row, (box, label) in enumerate(zip(boxes or [], labels or [], strict=True)):
        xyxy = xyxy_of(box)
        if xyxy is None or not isinstance(label, str) or wordless([label]):
            raise DataError(
                f"{file}, line {number}, box {row}: expected four numbers and the name of a class"
            )
        photo.boxes.append(RawBox(f"box {row}", xyxy, (label,)))
    return str(name), str(split), photo


def _read_xml(folder: Path, split: str, selection: Selection) -> BoxedDataset:
    problems, raw, difficult = Problems(folder), dict[str, RawPhoto](), 0
    stems, refused = _stems(folder, split), set[str]()
    twice = refuse_repeated(problems, "photos listed twice", stems)
    for stem in safe_names(stems, problems):
        annotation = folder / "Annotations" / f"{stem}.xml"
        if not exists(annotation):
            problems.add("photos without an annotation", [stem])
            continue
        name, photo, hard = _xml_photo(annotation, problems)
        raw[name] = photo
        if stem in twice:
            refused.add(name)
        else:
            difficult += hard
    photos = boxed_photos(raw, [folder / "JPEGImages"], selection, problems, refused)
    remarks = {"difficult objects, boxes like all others": difficult} if difficult else {}
    left_out, classes = selection.settle(problems), labels_of(raw.values())
    return BoxedDataset(folder.resolve().name, split, "labels", photos, left_out, remarks, classes)


def _stems(folder: Path, split: str) -> list[str]:
    """The names without suffix of a split's photos."""
    if split == ALL:
        return sorted(path.stem for path in (folder / "Annotations").glob("*.xml"))
    lists = {path.stem: path for path in (folder / "ImageSets" / "Main").glob("*.txt")}
    if split not in lists:
        refuse_split(folder, split, [*lists, ALL])
    # lists of one class's photos have a second column, 1 or -1; those of a split have none
    return [line.split()[0] for line in read_text(lists[split]).splitlines() if line.strip()]


def _xml_photo(file: Path, problems: Problems) -> tuple[str, RawPhoto, int]:
    """A photo's name, its boxes, and how many of them are difficult."""
    root = read_xml(file)
    # Some tools write no name, another photo's, or a whole path; PureWindowsPath splits at / and \
    written = PureWindowsPath(root.findtext("filename", "").strip())
    name = written.name if written.stem == file.stem else f"{file.stem}.jpg"
    photo, difficult = RawPhoto(size_in(root)), 0
    for row, each in enumerate(root.findall("object")):
        label, xyxy = each.findtext("name", "").strip(), box_in(each)
        if xyxy is None or wordless([label]):
            problems.add("objects without a class or four numbers", [f"{file.name}, object {row}"])
            continue
        difficult += each.findtext("difficult", "0").strip() == "1"
        photo.boxes.append(RawBox(f"object {row}", xyxy, (label,)))
    return name, photo, difficult
