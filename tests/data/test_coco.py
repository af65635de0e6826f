"""COCO's captions and instances, and Karpathy's splits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from regiontalk.data import (
    Selection,
    read_boxes,
    read_coco_captions,
    read_coco_instances,
    read_dataset,
    read_karpathy,
)
from regiontalk.data.captions import CaptionRow
from regiontalk.data.coco import coco_rows, karpathy_rows
from regiontalk.errors import DataError

IMAGES = [
    {"license": 3, "file_name": "000000000042.jpg", "height": 30, "width": 40, "id": 42},
    {"license": 1, "file_name": "000000000073.jpg", "height": 30, "width": 40, "id": 73},
]
CAPTIONS = [
    {"image_id": 73, "id": 1, "caption": "Loooking at a motorbike."},
    {"image_id": 42, "id": 2, "caption": "A dog sleeps on shoes."},
    {"image_id": 42, "id": 3, "caption": "This wire metal rack holds several pairs of shoes.\n"},
]
CATEGORIES = [
    {"supercategory": "animal", "id": 18, "name": "dog"},
    {"supercategory": "person", "id": 1, "name": "person"},
]
INSTANCES = [
    {
        "segmentation": [[1.0, 2.0]],
        "area": 9.0,
        "iscrowd": 0,
        "image_id": 42,
        "bbox": [1.5, 2, 10, 20],
        "category_id": 18,
        "id": 7,
    },
    {
        "segmentation": {"counts": [272, 2], "size": [30, 40]},
        "iscrowd": 1,
        "image_id": 42,
        "bbox": [0, 0, 40, 30],
        "category_id": 1,
        "id": 8,
    },
]


def write(folder: Path, name: str, content: Any, photos: str = "val2017") -> Path:
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / photos).mkdir(exist_ok=True)
    for image in IMAGES:
        Image.new("RGB", (40, 30)).save(folder / photos / str(image["file_name"]))
    file = folder / "annotations" / name
    file.write_text(json.dumps(content))
    return file


def captions(**changes: Any) -> dict[str, Any]:
    return {"info": {}, "licenses": [], "images": IMAGES, "annotations": CAPTIONS, **changes}


def instances(**changes: Any) -> dict[str, Any]:
    return {
        "info": {},
        "images": IMAGES,
        "annotations": INSTANCES,
        "categories": CATEGORIES,
        **changes,
    }


def test_reads_captions(tmp_path: Path) -> None:
    file = write(tmp_path, "captions_val2017.json", captions())
    dataset = read_dataset(file, "val")
    assert (dataset.name, dataset.split) == ("captions_val2017", "val")
    assert dataset.photos[0].file == tmp_path / "val2017" / "000000000042.jpg"
    assert dataset.photos[0].captions == (CAPTIONS[1]["caption"], CAPTIONS[2]["caption"])
    for split in ("dev", "val2017", "all"):
        assert read_dataset(file, split).photos == dataset.photos
    for split in ("train", "test"):
        with pytest.raises(DataError, match=f"has no split '{split}'; splits found: all, val2017"):
            read_dataset(file, split)


def test_rows() -> None:
    images = [{"id": 42, "file_name": "a.jpg"}, {"id": 73}]
    assert coco_rows(Path("f"), {"images": images, "annotations": CAPTIONS[:2]}) == [
        CaptionRow("a.jpg", None, ["A dog sleeps on shoes."], ("42",)),
        CaptionRow("73", None, ["Loooking at a motorbike."], ("73",)),
    ]


def test_a_dataset_needs_file_names(tmp_path: Path) -> None:
    file = write(tmp_path, "captions_val2017.json", captions(images=[*IMAGES, {"id": 5}]))
    with pytest.raises(DataError, match='image 2: expected "id" and "file_name"'):
        read_dataset(file, "val")


def test_a_suffix_in_capitals(tmp_path: Path) -> None:
    file = write(tmp_path, "captions_val2017.json", captions()).rename(
        tmp_path / "captions_val2017.JSON"
    )
    assert len(read_dataset(file, "val").photos) > 0


@pytest.mark.parametrize(
    "photos", ["images", "annotations", "annotations/images", "images/val2017"]
)
def test_photos_in_other_places(tmp_path: Path, photos: str) -> None:
    (tmp_path / photos).mkdir(parents=True)
    file = write(tmp_path, "captions_val2017.json", captions(), photos)
    assert read_dataset(file, "val").photos[0].file.parent == tmp_path / photos
    (tmp_path / "val2017").mkdir()  # a folder of the right name that holds none of them
    assert read_dataset(file, "val").photos[0].file.parent == tmp_path / photos


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"annotations": CAPTIONS[1:]}, r"photos without a caption: 1 \('000000000073\.jpg'\)"),
        (
            {"annotations": [*CAPTIONS, {"image_id": 5, "caption": "x"}]},
            "captions without a photo: 1 .*3 of image 5",
        ),
        (
            {"annotations": [*CAPTIONS, {"image_id": 42, "caption": "."}]},
            "caption that holds no word: 1",
        ),
        ({"annotations": [{"image_id": 42}]}, 'annotation 0: expected "image_id" and "caption"'),
        (
            {"annotations": [*CAPTIONS, {"image_id": [], "caption": "x"}]},
            "captions without a photo: 1",
        ),
        (
            {"images": [*IMAGES, {"id": 9, "file_name": "000000000042.jpg"}]},
            r"photos listed twice: 1 \('000000000042",
        ),
        ({"images": [*IMAGES, {"id": 42, "file_name": "x.jpg"}]}, r"ids of two photos: 1 \('42'\)"),
        ({"images": [{"file_name": "x.jpg"}]}, 'image 0: expected "id" and "file_name"'),
    ],
)  # fmt: skip
def test_problems_of_captions(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_dataset(write(tmp_path, "captions_val2017.json", captions(**changes)), "val")


def test_a_missing_photo(tmp_path: Path) -> None:
    file = write(tmp_path, "captions_val2017.json", captions())
    (tmp_path / "val2017" / "000000000073.jpg").unlink()
    with pytest.raises(DataError, match=r"photos listed but missing: 1 \('000000000073\.jpg'\)"):
        read_coco_captions(file, tmp_path / "val2017")


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    images = [*IMAGES, {"id": 5, "file_name": "x" * 300}]
    more = [*CAPTIONS, {"image_id": 5, "caption": "A dog."}]
    file = write(tmp_path, "captions_val2017.json", captions(images=images, annotations=more))
    with pytest.raises(DataError, match=r"photos listed but missing: 1 \('xxx"):
        read_dataset(file, "val")


def test_not_coco(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a COCO file"):
        read_coco_captions(write(tmp_path, "x.json", []))
    with pytest.raises(DataError, match='has no list "categories"'):
        read_coco_instances(write(tmp_path, "x.json", captions()))


def test_reads_instances(tmp_path: Path) -> None:
    found = read_boxes(write(tmp_path, "instances_val2017.json", instances()))
    assert (found.name, found.kind, len(found)) == ("instances_val2017", "labels", 2)
    first = found.photos[0]
    assert first.boxes_xyxy.tolist() == [[1.5, 2, 11.5, 22]]  # of left, top, width, height
    assert first.texts == (("dog",),)
    assert first.unclear == {"person"}
    assert found.remarks == {"crowd regions, no boxes": 1}
    assert found.photos[1].texts == ()
    assert first.names == ("000000000042.jpg", "42")
    assert found.classes == ("dog", "person")  # as the file lists them, with a box or without


def test_reads_instances_without_photos(tmp_path: Path) -> None:
    file = write(tmp_path, "instances_val2017.json", instances())
    shutil.rmtree(tmp_path / "val2017")
    found = read_coco_instances(file, selection=Selection(need_files=False))
    assert [photo.name for photo in found.photos] == ["000000000042.jpg", "000000000073.jpg"]
    with pytest.raises(DataError, match="photos listed but missing: 2"):
        read_coco_instances(file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"annotations": [{**INSTANCES[0], "image_id": 5}]},
            r"boxes of an unknown photo: 1 \('annotation 7 \(5\)",
        ),
        ({"annotations": [{**INSTANCES[0], "category_id": 5}]}, "boxes of an unknown class: 1"),
        (
            {"annotations": [{**INSTANCES[0], "bbox": [1, 2, 0, 4]}]},
            r"boxes without an area: 1 \('000000000042",
        ),
        (
            {"annotations": [{**INSTANCES[0], "bbox": [1, 2, 50, 4]}]},
            "boxes that stick out of their photo: 1",
        ),
        ({"annotations": [{**INSTANCES[0], "bbox": [1, 2]}]}, "boxes that are not four numbers: 1"),
        ({"annotations": [3]}, "annotation 0: expected an object"),
        ({"categories": [*CATEGORIES, CATEGORIES[0]]}, r"ids of two classes: 1 \('18'\)"),
        ({"categories": [{"id": 1}]}, 'category 0: expected "id" and "name"'),
    ],
)  # fmt: skip
def test_problems_of_instances(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_coco_instances(write(tmp_path, "instances_val2017.json", instances(**changes)))


def test_bad_boxes_can_be_left_out(tmp_path: Path) -> None:
    bad = {**INSTANCES[0], "id": 9, "bbox": [1, 2, 0, 4]}
    file = write(tmp_path, "instances_val2017.json", instances(annotations=[*INSTANCES, bad]))
    found = read_boxes(file, selection=Selection(leave_out=True))
    assert found.left_out == {"boxes without an area": 1}
    assert len(found.photos[0].boxes_xyxy) == 1


def entry(name: str, split: str, *captions: str, **more: Any) -> dict[str, Any]:
    sentences = [
        {"raw": caption, "tokens": caption.lower().split(), "sentid": 1} for caption in captions
    ]
    return {"filename": name, "split": split, "sentences": sentences, "imgid": 7, **more}


KARPATHY = [
    entry("a.jpg", "train", "A dog .", "The dog runs"),
    entry("b.jpg", "val", "A cat"),
    entry("c.jpg", "test", "A bird"),
    entry("d.jpg", "restval", "A fish", filepath="val2014"),
]


def write_karpathy(folder: Path, images: Any, photos: bool = True) -> Path:
    file = folder / "dataset_tiny.json"
    file.write_text(json.dumps({"dataset": "tiny", "images": images}))
    if photos:
        for image in images:
            photo = folder / "images" / image.get("filepath", "") / image["filename"]
            photo.parent.mkdir(parents=True, exist_ok=True)
            photo.touch()
    return file


def test_reads_each_split(tmp_path: Path) -> None:
    file = write_karpathy(tmp_path, KARPATHY)
    dataset = read_karpathy(file, tmp_path / "images", "train")
    assert (dataset.name, dataset.split) == ("tiny", "train")
    assert dataset.photos[0].file == tmp_path / "images" / "a.jpg"
    assert dataset.photos[0].captions == ("A dog .", "The dog runs")
    assert (
        read_karpathy(file, tmp_path / "images", "dev").photos == read_dataset(file, "val").photos
    )
    assert read_dataset(file, "restval").photos[0].file == tmp_path / "images" / "val2014" / "d.jpg"
    assert [photo.file.name for photo in read_dataset(file, "train+restval").photos] == [
        "a.jpg",
        "d.jpg",
    ]


def test_karpathys_rows() -> None:
    images = [
        entry("a.jpg", "val", "A dog .", filepath="val2014", cocoid=7),
        entry("a.jpg", "test", "A cat", cocoid="x"),
    ]
    assert karpathy_rows(Path("f"), {"images": images}) == [
        CaptionRow("val2014/a.jpg", "val", ["A dog ."], ("7",)),
        CaptionRow("a.jpg", "test", ["A cat"]),
    ]


def test_every_photo(tmp_path: Path) -> None:
    assert len(read_dataset(write_karpathy(tmp_path, KARPATHY), "all")) == 4


def test_photos_beside_the_file(tmp_path: Path) -> None:
    file = write_karpathy(tmp_path, KARPATHY[:1], photos=False)
    (tmp_path / "a.jpg").touch()
    assert read_dataset(file, "train").photos[0].file == tmp_path / "a.jpg"


def test_only_the_photos_of_the_split_need_to_be_there(tmp_path: Path) -> None:
    file = write_karpathy(tmp_path, KARPATHY)
    (tmp_path / "images" / "a.jpg").unlink()
    assert len(read_dataset(file, "test")) == 1
    with pytest.raises(DataError, match=r"photos listed but missing: 1 \('a\.jpg'"):
        read_dataset(file, "train")


def test_photos_listed_twice(tmp_path: Path) -> None:
    file = write_karpathy(tmp_path, [*KARPATHY, entry("a.jpg", "test", "Again")])
    with pytest.raises(DataError, match=r"photos listed twice: 1 \('a\.jpg'"):
        read_dataset(file, "val")


def test_photos_without_a_caption(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"photos without a caption: 1 \('a\.jpg'"):
        read_dataset(write_karpathy(tmp_path, [entry("a.jpg", "train")]), "train")


@pytest.mark.parametrize(
    "more", [{"filename": "../a.jpg"}, {"filepath": "/etc"}, {"filepath": "a/../.."}]
)
def test_names_that_leave_the_folder(tmp_path: Path, more: dict[str, str]) -> None:
    file = write_karpathy(tmp_path, [entry("a.jpg", "train", "A dog") | more], photos=False)
    with pytest.raises(DataError, match="file names that leave the folder: 1"):
        read_karpathy(file, tmp_path, "train")


def test_unknown_split(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="no split 'valid'; splits found: restval, test, train, val"
    ):
        read_dataset(write_karpathy(tmp_path, KARPATHY), "valid")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "expected an object with a list"),
        ({"a": 1}, "expected an object with a list"),
        ([3], "image 0: expected filename, split and sentences"),
        (
            [{"filename": "a.jpg", "split": "train"}],
            "image 0: expected filename, split and sentences",
        ),
        (
            [{"filename": "a.jpg", "split": "train", "sentences": ["A dog"]}],
            "image 0: expected filename",
        ),
        (
            [{"filename": 3, "split": "train", "sentences": []}],
            "image 0: filepath, filename, split and raw must",
        ),
    ],
)
def test_damaged_content(tmp_path: Path, images: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_karpathy(write_karpathy(tmp_path, images, photos=False), tmp_path, "train")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '"text"'])
def test_damaged_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "dataset.json"
    file.write_text(text)
    with pytest.raises(DataError, match=r"dataset\.json: not"):
        read_karpathy(file, tmp_path, "train")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_karpathy(tmp_path / "dataset.json", tmp_path, "train")
