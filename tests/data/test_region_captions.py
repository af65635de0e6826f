from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from regiontalk.data import Selection, read_boxes, read_region_lines, read_visual_genome
from regiontalk.errors import DataError

LEAVE_OUT = Selection(leave_out=True)


def region(
    number: int, phrase: str, x: int = 1, y: int = 2, width: int = 20, height: int = 10
) -> dict[str, Any]:
    """As version 1.2 has it."""
    return {
        "region_id": number,
        "width": width,
        "height": height,
        "image_id": 1,
        "phrase": phrase,
        "y": y,
        "x": x,
    }


GENOME = [
    {
        "regions": [
            region(1382, "the clock is green"),
            region(1383, "shade is along the street", 5),
        ],
        "id": 1,
    },
    {"regions": [region(1384, "A tree."), region(1385, "a green tree")], "id": 2},
]
SIZES = [
    {"image_id": 1, "width": 40, "height": 30, "url": "x", "coco_id": None},
    {"image_id": 2, "width": 40, "height": 30},
]
LINES = [
    {"image": "a.jpg", "box_xyxy": [1, 2, 20, 20], "captions": ["a dog", "a brown dog"]},
    {"image": "b.jpg", "box_xyxy": [1, 2, 20, 20], "captions": ["a cat"]},
    {"image": "a.jpg", "box_xyxy": [3, 2, 20, 20], "captions": ["green grass"]},
]


def write_genome(folder: Path, content: Any = GENOME, sizes: Any = SIZES) -> Path:
    for part, name in (("VG_100K", "1.jpg"), ("VG_100K_2", "2.jpg")):
        (folder / part).mkdir(exist_ok=True)
        Image.new("RGB", (40, 30)).save(folder / part / name)
    if sizes is not None:
        (folder / "image_data.json").write_text(json.dumps(sizes))
    file = folder / "region_descriptions.json"
    file.write_text(json.dumps(content))
    return file


def write_lines(folder: Path, *lines: Any) -> Path:
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (40, 30)).save(folder / name)
    file = folder / "regions.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


@pytest.mark.parametrize("sizes", [SIZES, None])
def test_reads_visual_genome(tmp_path: Path, sizes: Any) -> None:
    found = read_boxes(write_genome(tmp_path, sizes=sizes))
    assert (found.name, found.kind) == ("region_descriptions", "captions")
    first, second = found.photos
    assert first.file == tmp_path / "VG_100K" / "1.jpg"
    assert first.boxes_xyxy.tolist() == [[1, 2, 21, 12], [5, 2, 25, 12]]
    assert first.texts == (("the clock is green",), ("shade is along the street",))
    assert second.file.parent.name == "VG_100K_2"
    assert second.texts == (("A tree.", "a green tree"),)  # one box, two descriptions


def test_splits_of_visual_genome(tmp_path: Path) -> None:
    file = write_genome(tmp_path)
    with pytest.raises(DataError, match="has no split 'test'; splits found: all"):
        read_visual_genome(file, "test")
    (tmp_path / "densecap_splits.json").write_text(
        json.dumps({"train": [1], "val": [2], "test": []})
    )
    assert [photo.file.name for photo in read_visual_genome(file, "dev").photos] == ["2.jpg"]
    (tmp_path / "densecap_splits.json").write_text(
        json.dumps({"train": [1], "val": [2, 7], "test": []})
    )
    with pytest.raises(DataError, match=r"photos of the split that the file lacks: 1 \('7\.jpg'\)"):
        read_visual_genome(file, "dev")
    left = read_visual_genome(file, "dev", selection=Selection(leave_out=True))
    assert (len(left), left.left_out) == (1, {"photos of the split that the file lacks": 1})
    (tmp_path / "densecap_splits.json").write_text(
        json.dumps({"train": [1, 2], "val": [2], "test": []})
    )
    with pytest.raises(DataError, match=r"photos in two splits: 1 \('2\.jpg'\)"):
        read_visual_genome(file, "val")
    left = read_visual_genome(file, "train", selection=LEAVE_OUT)
    assert [photo.file.name for photo in left.photos] == ["1.jpg"]
    assert left.left_out == {"photos in two splits": 1}


def test_image_id_in_the_regions_only(tmp_path: Path) -> None:
    assert len(read_visual_genome(write_genome(tmp_path, [{"regions": GENOME[0]["regions"]}]))) == 1


def test_problems_of_visual_genome(tmp_path: Path) -> None:
    bad = [
        region(1, "out", width=60),
        region(2, "flat", height=0),
        region(3, "!"),
        region(4, "fine"),
    ]
    file = write_genome(tmp_path, [{"id": 1, "regions": bad}, {"id": 3, "regions": []}])
    with pytest.raises(DataError) as error:
        read_visual_genome(file)
    for part in (
        "regions with a phrase that holds no word: 1 ('1.jpg, region 3')",
        "boxes that stick out of their photo: 1",
        "boxes without an area: 1",
        "photos listed but missing: 1 ('3.jpg')",
    ):
        assert part in str(error.value)
    left = read_visual_genome(file, selection=Selection(leave_out=True))
    assert [photo.texts for photo in left.photos] == [(("fine",),)]
    with pytest.raises(DataError, match=r"photos listed twice: 1 \('1'\)"):
        read_visual_genome(write_genome(tmp_path, [GENOME[0], GENOME[0]]))


@pytest.mark.parametrize(
    "content",
    [{}, [3], [{"regions": []}], [{"id": 1, "regions": 3}], [{"id": 1, "regions": [{"x": 1}]}]],
)
def test_damaged_visual_genome(tmp_path: Path, content: Any) -> None:
    with pytest.raises(DataError, match=r"region_descriptions\.json.*expected"):
        read_visual_genome(write_genome(tmp_path, content))
    with pytest.raises(DataError, match=r"image_data\.json, entry 0: expected"):
        read_visual_genome(write_genome(tmp_path, sizes=[{"image_id": 1}]))


def test_reads_lines(tmp_path: Path) -> None:
    found = read_boxes(write_lines(tmp_path, *LINES))
    assert (found.name, found.split, found.kind) == ("regions", "all", "captions")
    assert [photo.file.name for photo in found.photos] == ["a.jpg", "b.jpg"]
    assert found.photos[0].texts == (("a dog", "a brown dog"), ("green grass",))


def test_splits_of_lines(tmp_path: Path) -> None:
    file = write_lines(
        tmp_path,
        *(line | {"split": "test" if line["image"] == "b.jpg" else "train"} for line in LINES),
    )
    assert len(read_region_lines(file, "test").photos) == 1
    with pytest.raises(DataError, match="has no split 'dev'"):
        read_region_lines(file, "dev")


def test_problems_of_lines(tmp_path: Path) -> None:
    file = write_lines(
        tmp_path,
        *LINES,
        LINES[0],
        LINES[1] | {"split": "test"},
        {"image": "b.jpg", "box_xyxy": [0, 0, 1, 1], "captions": []},
        {"image": "c.jpg", "box_xyxy": [0, 0, 1, 1], "captions": ["x"]},
    )
    with pytest.raises(DataError) as error:
        read_region_lines(file)
    for part in (
        "boxes that are there twice: 2 ('a.jpg, line 4', 'b.jpg, line 5')",
        "photos in two splits: 1 ('b.jpg')",
        "boxes without a caption, or with one that holds no word: 1 ('b.jpg, line 6')",
        "photos listed but missing: 1 ('c.jpg')",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize("order", [1, -1])
def test_lines_of_a_photo_in_two_splits_are_left_out(tmp_path: Path, order: int) -> None:
    two = [LINES[0] | {"split": "test"}, LINES[2] | {"split": "train"}][::order]
    file = write_lines(tmp_path, *two, LINES[1] | {"split": "test"})
    with pytest.raises(DataError, match=r"photos in two splits: 1 \('a\.jpg'\)"):
        read_region_lines(file, "test")
    left = read_region_lines(file, "test", selection=LEAVE_OUT)
    assert [photo.file.name for photo in left.photos] == ["b.jpg"]
    assert left.left_out == {"photos in two splits": 1}


def test_damage_in_another_split_is_none_of_this_one(tmp_path: Path) -> None:
    wordless = LINES[0] | {"captions": ["!"], "split": "train"}
    twice = [LINES[2] | {"split": "train"}] * 2
    file = write_lines(tmp_path, wordless, *twice, LINES[1] | {"split": "test"})
    assert read_region_lines(file, "test").left_out == {}
    assert read_region_lines(file, "train", selection=LEAVE_OUT).left_out == {
        "boxes without a caption, or with one that holds no word": 1,
        "boxes that are there twice": 1,
    }


@pytest.mark.parametrize(
    "bad",
    [
        {"image": "a.jpg", "captions": ["x"]},
        {"image": 3, "box_xyxy": [1, 2, 3, 4], "captions": ["x"]},
        {"image": "a.jpg", "box_xyxy": [1, 2, 3, 4], "captions": "x"},
        3,
    ],
)
def test_damaged_lines(tmp_path: Path, bad: Any) -> None:
    with pytest.raises(DataError, match=r"regions\.jsonl, line 4: expected"):
        read_region_lines(write_lines(tmp_path, *LINES, bad))


def test_unknown_files(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(DataError, match="expected COCO's instances"):
        read_boxes(tmp_path / "x.json")
    with pytest.raises(DataError, match="no such file"):
        read_boxes(tmp_path / "none.json")
