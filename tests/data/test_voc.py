from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from PIL import Image

from regiontalk.data import Selection, read_boxes, read_voc
from regiontalk.data.xml_files import read_xml
from regiontalk.errors import DataError

LEAVE_OUT = Selection(leave_out=True)


def entry(name: str, *labels: str, **more: Any) -> dict[str, Any]:
    boxes = [[1.0 + row, 2.0, 30.5, 20.0] for row in range(len(labels))]
    return {
        "file_name": name,
        "width": 40,
        "height": 30,
        "boxes_xyxy": boxes,
        "labels": list(labels),
        **more,
    }


def write_lines(folder: Path, *entries: Any) -> Path:
    (folder / "images").mkdir(exist_ok=True)
    (folder / "boxes.jsonl").write_text("".join(json.dumps(each) + "\n" for each in entries))
    for each in entries:
        if isinstance(each, dict) and isinstance(each.get("file_name"), str):
            Image.new("RGB", (40, 30)).save(folder / "images" / each["file_name"])
    return folder


def annotation(name: str, objects: str, size: tuple[int, int] = (40, 30)) -> str:
    """As the VOC2012 annotations look, tabs included."""
    sizes = f"\t\t<width>{size[0]}</width>\n\t\t<height>{size[1]}</height>\n\t\t<depth>3</depth>\n"
    source = "\t<source>\n\t\t<database>The VOC2007 Database</database>\n\t</source>\n"
    head = (
        f"\t<folder>VOC2012</folder>\n\t<filename>{name}</filename>\n{source}\t<size>\n"
        f"{sizes}\t</size>\n"
    )
    return f"<annotation>\n{head}\t<segmented>1</segmented>\n{objects}</annotation>\n"


def voc_object(label: str, box: tuple[int, int, int, int], difficult: int = 0) -> str:
    edges = "".join(
        f"<{n}>{v}</{n}>" for n, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    of_part = "<xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax>"
    part = f"<part><name>head</name><bndbox>{of_part}</bndbox></part>"
    return (
        f"\t<object>\n\t\t<name>{label}</name>\n\t\t<pose>Left</pose>\n"
        f"\t\t<difficult>{difficult}</difficult>\n\t\t<bndbox>{edges}</bndbox>{part}\n\t</object>\n"
    )


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """VOCdevkit/VOC2012 with three photos, two in the split val."""
    for sub in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / sub).mkdir(parents=True)
    objects = {
        "2007_000001": voc_object("dog", (1, 1, 40, 30))
        + voc_object("person", (5, 6, 20, 21), difficult=1),
        "2007_000002": voc_object("tvmonitor", (2, 3, 10, 11)),
        "2007_000003": voc_object("cat", (2, 3, 10, 11)),
    }
    for stem, text in objects.items():
        (tmp_path / "Annotations" / f"{stem}.xml").write_text(annotation(f"{stem}.jpg", text))
        Image.new("RGB", (40, 30)).save(tmp_path / "JPEGImages" / f"{stem}.jpg")
    (tmp_path / "ImageSets/Main/val.txt").write_text("2007_000002\n2007_000001\n")
    (tmp_path / "ImageSets/Main/dog_val.txt").write_text("2007_000001  1\n2007_000002 -1\n")
    return tmp_path


def test_reads_lines(tmp_path: Path) -> None:
    found = read_boxes(write_lines(tmp_path, entry("a.jpg", "dog", "person"), entry("b.jpg")))
    assert (found.name, found.split, found.kind) == (tmp_path.name, "all", "labels")
    first, second = found.photos
    assert first.boxes_xyxy.tolist() == [[1, 2, 30.5, 20], [2, 2, 30.5, 20]]
    assert first.texts == (("dog",), ("person",))
    assert second.texts == ()


def test_splits_of_lines(tmp_path: Path) -> None:
    folder = write_lines(
        tmp_path, entry("a.jpg", "dog", split="train"), entry("b.jpg", "cat", split="test")
    )
    assert [photo.file.name for photo in read_voc(folder, "test").photos] == ["b.jpg"]
    with pytest.raises(DataError, match="has no split 'dev'; splits found: all, test, train"):
        read_voc(folder, "dev")


@pytest.mark.parametrize(
    "bad",
    [
        entry("a.jpg", "dog", labels=[]),
        entry("a.jpg", "dog", width=0),
        entry("a.jpg", "dog", boxes_xyxy=[[1, 2, 3]]),
        entry("a.jpg", "dog", boxes_xyxy=[["1", 2, 3, 4]]),
        entry("a.jpg", "!"),
        {"file_name": "a.jpg"},
        [],
    ],
)
def test_damaged_lines_are_named(tmp_path: Path, bad: Any) -> None:
    folder = write_lines(tmp_path, entry("b.jpg"), bad)
    with pytest.raises(DataError, match=r"boxes\.jsonl, line 2"):
        read_voc(folder)


def test_problems_of_lines(tmp_path: Path) -> None:
    twice = [
        entry("a.jpg", "dog", split="train"),
        entry("a.jpg", "dog", split="test"),
        entry("b.jpg", "cat"),
    ]
    folder = write_lines(tmp_path, *twice)
    (folder / "images" / "b.jpg").unlink()
    with pytest.raises(DataError) as error:
        read_voc(folder)
    for part in (
        "photos in two splits: 1 ('a.jpg')",
        "photos listed twice: 1",
        "photos listed but missing: 1 ('b.jpg')",
    ):
        assert part in str(error.value)
    with pytest.raises(DataError, match=r"photos in two splits: 1 \('a\.jpg'\)"):
        read_voc(folder, selection=LEAVE_OUT)  # nothing is left


@pytest.mark.parametrize("order", [1, -1])
def test_lines_of_a_photo_in_two_splits_are_left_out(tmp_path: Path, order: int) -> None:
    two = [entry("a.jpg", "dog", split="test"), entry("a.jpg", "cat", split="train")][::order]
    folder = write_lines(
        tmp_path, *two, entry("b.jpg", "cow", split="test"), entry("c.jpg", split="dev")
    )
    found = read_voc(folder, "test", LEAVE_OUT)
    assert [(photo.file.name, photo.texts) for photo in found.photos] == [("b.jpg", (("cow",),))]
    assert found.left_out == {"photos in two splits": 1}
    assert read_voc(folder, "dev").left_out == {}
    named = Selection(frozenset({"a.jpg", "b.jpg"}), leave_out=True)
    # It is asked for, and it is there
    assert read_voc(folder, "test", named).left_out == {"photos in two splits": 1}


def test_lines_of_a_photo_listed_twice_are_left_out(tmp_path: Path) -> None:
    twice = [entry("a.jpg", "dog", split="test"), entry("a.jpg", "cat", split="test")]
    folder = write_lines(
        tmp_path, *twice, entry("b.jpg", "cow", split="test"), entry("c.jpg", split="train")
    )
    found = read_voc(folder, "test", LEAVE_OUT)
    assert [photo.file.name for photo in found.photos] == ["b.jpg"]
    assert found.left_out == {"photos listed twice": 1}
    assert len(read_voc(folder, "train")) == 1  # whose photos stand once


def test_a_photo_that_a_list_has_twice_is_left_out(voc: Path) -> None:
    (voc / "ImageSets/Main/val.txt").write_text("2007_000001\n2007_000002\n2007_000001\n")
    found = read_voc(voc, "val", LEAVE_OUT)
    assert [photo.file.name for photo in found.photos] == ["2007_000002.jpg"]
    assert found.left_out == {"photos listed twice": 1}
    assert found.remarks == {}  # the difficult object is in the other


def test_reads_xml(voc: Path) -> None:
    found = read_boxes(voc, "val")
    assert [photo.file.name for photo in found.photos] == ["2007_000002.jpg", "2007_000001.jpg"]
    dog, person = found.photos[1].boxes_xyxy.tolist()
    assert (dog, person) == ([0, 0, 40, 30], [4, 5, 20, 21])
    assert found.photos[1].texts == (("dog",), ("person",))  # and no head, which is a part
    assert found.remarks == {"difficult objects, boxes like all others": 1}
    assert len(read_voc(voc)) == 3
    assert [photo.file.name for photo in read_voc(voc, "dog_val").photos] == [
        "2007_000001.jpg",
        "2007_000002.jpg",
    ]
    with pytest.raises(DataError, match="has no split 'test'; splits found: all, dog_val, val"):
        read_voc(voc, "test")


def test_a_name_that_the_annotation_lacks(voc: Path) -> None:
    file = voc / "Annotations/2007_000003.xml"
    file.write_text(file.read_text().replace("2007_000003.jpg", "other.jpg"))
    assert read_voc(voc).photos[2].file.name == "2007_000003.jpg"


@pytest.mark.parametrize(
    "path", ["images/", "/home/me/photos/", "../", "C:\\me\\", "\\\\server\\me\\", "./a\\b/"]
)
def test_of_a_path_in_the_annotation_the_name_counts(voc: Path, path: str) -> None:
    file = voc / "Annotations/2007_000003.xml"
    file.write_text(file.read_text().replace("2007_000003.jpg", f"{path}2007_000003.png"))
    (voc / "JPEGImages/2007_000003.jpg").rename(voc / "JPEGImages/2007_000003.png")
    assert read_voc(voc).photos[2].file == voc / "JPEGImages/2007_000003.png"


def test_problems_of_xml(voc: Path) -> None:
    (voc / "ImageSets/Main/val.txt").write_text("2007_000001\n2007_000002\n2007_000002\nnone\n")
    (voc / "Annotations/2007_000001.xml").write_text(
        annotation(
            "2007_000001.jpg", voc_object("dog", (5, 5, 4, 9)) + "<object><name>cat</name></object>"
        )
    )
    with pytest.raises(DataError) as error:
        read_voc(voc, "val")
    for part in (
        "photos listed twice: 1 ('2007_000002')",
        "photos without an annotation: 1 ('none')",
        "objects without a class or four numbers: 1 ('2007_000001.xml, object 1')",
        "boxes without an area: 1 ('2007_000001.jpg, object 0",
    ):
        assert part in str(error.value)


def test_a_name_that_no_file_can_have(voc: Path) -> None:
    (voc / "ImageSets/Main/val.txt").write_text(f"2007_000001\n{'x' * 300}\n")
    with pytest.raises(DataError, match=r"photos without an annotation: 1 \('xxx"):
        read_voc(voc, "val")


def test_xml_with_a_document_type(voc: Path) -> None:
    (voc / "Annotations/2007_000001.xml").write_text("<!DOCTYPE annotation><annotation/>")
    with pytest.raises(DataError, match=r"2007_000001\.xml: not an XML annotation"):
        read_voc(voc)


def test_other_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected boxes\.jsonl"):
        read_voc(tmp_path)
    with pytest.raises(DataError, match="no boxes found"):
        read_boxes(tmp_path)
    with pytest.raises(DataError, match="leave the other folder out"):
        read_boxes(write_lines(tmp_path, entry("a.jpg")), image_folder=tmp_path)


@pytest.mark.parametrize("name", ["../../outside/a", "/etc/a", "..\\outside\\a"])
def test_no_annotation_outside_the_folder_is_read(
    voc: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (voc / "ImageSets/Main/val.txt").write_text(f"2007_000002\n{name}\n")
    read: list[Path] = []
    reads = read_xml

    def noted(file: Path) -> Element:
        read.append(file)
        return reads(file)

    monkeypatch.setattr("regiontalk.data.voc.read_xml", noted)
    with pytest.raises(DataError, match="file names that leave the folder: 1"):
        read_voc(voc, "val")
    assert [file.name for file in read] == ["2007_000002.xml"]


def test_classes_are_those_of_all_boxes(tmp_path: Path, voc: Path) -> None:
    (tmp_path / "lines").mkdir()
    entries = entry("a.jpg", "dog", split="val"), entry("b.jpg", "cat", "bird", split="train")
    assert read_voc(write_lines(tmp_path / "lines", *entries), "val").classes == (
        "bird",
        "cat",
        "dog",
    )
    assert read_voc(voc).classes == ("cat", "dog", "person", "tvmonitor")
    assert read_voc(voc, selection=Selection(every=3)).classes == (
        "cat",
        "dog",
        "person",
        "tvmonitor",
    )
    assert read_voc(voc, "val").classes == ("dog", "person", "tvmonitor")


def test_without_photos(voc: Path) -> None:
    for photo in (voc / "JPEGImages").iterdir():
        photo.unlink()
    found = read_voc(voc, selection=Selection(need_files=False))
    assert [photo.name for photo in found.photos] == [
        f"2007_00000{number}.jpg" for number in (1, 2, 3)
    ]
