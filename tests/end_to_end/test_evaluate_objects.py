"""`regiontalk evaluate objects`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import regiontalk
from regiontalk.data import read_boxes
from regiontalk.evaluation.objects.photo_captions import write_photo_captions
from regiontalk.evaluation.objects.run import evaluate_objects

from .conftest import random_photo

Command = Callable[..., Any]

SAID = ("a dog by a man", "a cat and a frisbee", "two people with a puppy", "the sofa")


@pytest.fixture
def boxed(tmp_path: Path) -> Path:
    """Four photos with a dog and a person, the person larger, as `boxes.jsonl`.

    The last with a sofa instead.
    """
    folder = tmp_path / "boxed"
    (folder / "images").mkdir(parents=True)
    lines = []
    for number in range(4):
        random_photo(number, (64, 48)).save(folder / "images" / f"{number}.jpg")
        boxes = {"boxes_xyxy": [[0, 0, 30, 20], [20, 10, 64, 48]], "labels": ["dog", "person"]}
        lines.append({"file_name": f"{number}.jpg", "width": 64, "height": 48, **boxes})
    lines[3]["labels"] = ["dog", "sofa"]
    (folder / "boxes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    """A caption of each."""
    file = tmp_path / "captions.jsonl"
    lines = [{"image": f"{number}.jpg", "caption": text} for number, text in enumerate(SAID)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_captions_of_any_system(bare: Command, boxed: Path, captions: Path) -> None:
    ended = bare("evaluate", "objects", boxed, "--captions", captions, "--json")
    assert (ended.status, ended.err) == (0, "")
    (found,) = ended.json()
    # of the classes dog, person and sofa: dog, person; none; person, dog; sofa
    assert found["captions"] == {
        "chair_i": 0.0,
        "chair_s": 0.0,
        "main_named": 75.0,
        "recall": 62.5,
        "photos": 4,
        "captions": 4,
        "mentions": 5,
        "wrong": 0,
    }
    signature = found["signature"]
    assert (signature["dataset"], signature["captions_from"]) == ("boxed", "captions.jsonl")
    assert signature["seen_in_training"].startswith("unknown")
    assert signature["classes"] == ["dog", "person", "sofa"]
    (found,) = bare(
        "evaluate", "objects", boxed, "--captions", captions, "--classes", "voc", "--json"
    ).json()
    assert (found["captions"]["wrong"], found["captions"]["mentions"]) == (1, 6)
    assert found["captions"]["chair_s"] == 25.0
    assert found["wrong_words"] == [{"words": "cat", "class": "cat", "captions": 1}]


def test_the_photos_need_not_be_there(bare: Command, boxed: Path, captions: Path) -> None:
    (there,) = bare("evaluate", "objects", boxed, "--captions", captions, "--json").json()
    shutil.rmtree(boxed / "images")
    assert bare("evaluate", "objects", boxed, "--captions", captions, "--json").json() == [there]


def test_a_packs_captions(command: Command, boxed: Path, tiny_pack: Path) -> None:
    ended = command("evaluate", "objects", boxed, "--beam", 1, "--json")
    assert (ended.status, ended.err) == (0, "")
    (found,) = ended.json()
    model, dataset = regiontalk.load(tiny_pack), read_boxes(boxed)
    assert found == json.loads(
        json.dumps(evaluate_objects(dataset, write_photo_captions(model, dataset, 1)).to_json())
    )
    assert (found["signature"]["pack"], found["signature"]["beam"]) == ("tiny", 1)


def test_what_describe_prints_has_the_packs_numbers(
    command: Command, bare: Command, boxed: Path, tmp_path: Path
) -> None:
    (tmp_path / "said.jsonl").write_text(command("describe", boxed / "images", "--json").out)
    (theirs,) = bare(
        "evaluate", "objects", boxed, "--captions", tmp_path / "said.jsonl", "--json"
    ).json()
    (mine,) = command("evaluate", "objects", boxed, "--json").json()
    assert {**theirs, "signature": None} == {**mine, "signature": None}


def test_coco_results_people_and_intervals(bare: Command, tmp_path: Path) -> None:
    """As for COCO: instances, results by number, and `captions_*.json` with people's captions."""
    images = [{"id": n, "file_name": f"{n:012}.jpg", "width": 64, "height": 48} for n in (7, 8)]
    things = [(7, 18, [0, 0, 9, 9]), (7, 44, [0, 0, 20, 20]), (8, 18, [0, 0, 9, 9])]
    annotations = [
        {"id": row, "image_id": image, "category_id": kind, "bbox": box}
        for row, (image, kind, box) in enumerate(things)
    ]
    crowd = {"id": 9, "image_id": 8, "category_id": 1, "bbox": [0, 0, 60, 40], "iscrowd": 1}
    categories = [
        {"id": n, "name": name}
        for n, name in ((1, "person"), (18, "dog"), (44, "bottle"), (17, "cat"))
    ]
    content = {"images": images, "annotations": [*annotations, crowd], "categories": categories}
    boxes, results, people = (
        tmp_path / name for name in ("instances_val.json", "results.json", "captions_val.json")
    )
    boxes.write_text(json.dumps(content))
    told = [
        {"image_id": 7, "caption": "A bottle, a cat"},
        {"image_id": 8, "caption": "some people"},
    ]
    results.write_text(json.dumps(told))
    written = [(7, "a dog"), (7, "a cat near a bottle"), (8, "a dog among people"), (8, "a bird")]
    notes = [
        {"id": row, "image_id": image, "caption": text} for row, (image, text) in enumerate(written)
    ]
    people.write_text(json.dumps({"images": images, "annotations": notes}))
    line = (
        "evaluate",
        "objects",
        boxes,
        "--captions",
        results,
        "--human",
        people,
        "--bootstrap",
        40,
        "--seed",
        1,
    )
    ended = bare(*line, "--json")
    assert (ended.status, ended.err) == (0, "")
    (found,) = ended.json()
    # The cat; the crowd is people
    assert found["captions"]["chair_i"] == pytest.approx(100 / 3, abs=1e-3)
    assert found["captions"]["main_named"] == 50.0  # the bottle of 7; of 8 the dog is the only box
    # Birds are none of the classes
    assert (found["human"]["captions"], found["human"]["wrong"]) == (4, 1)
    assert found["boxes_or_people"]["chair_i"] == 0.0
    low, high = found["interval"]["captions"]["recall"]
    assert low <= found["captions"]["recall"] <= high
    assert found["signature"]["interval"].endswith("40 bootstrap samples of photos, seed 1")
    text = bare(*line).out
    for part in (
        "CHAIRi",
        "main thing named",
        "the same, against boxes and people",
        "named most often",
        "crowd",
    ):
        assert part in text


def test_text(bare: Command, boxed: Path, captions: Path) -> None:
    out = bare("evaluate", "objects", boxed, "--captions", captions, "--classes", "voc").out
    for part in ("CHAIRs", "captions", "sofa", "1  cat  (cat)", "dataset: boxed", "photos: 4"):
        assert part in out
    assert "people" not in out.split("dataset")[0]
    (captions.parent / "none.jsonl").write_text(
        captions.read_text().replace("dog", "x").replace("cat", "x")
    )
    lines = [json.dumps({"image": f"{number}.jpg", "caption": ""}) for number in range(4)]
    captions.write_text("\n".join(lines))
    assert bare("evaluate", "objects", boxed, "--captions", captions).out.splitlines()[1].split()[
        :3
    ] == [*("captions", "-", "0.0")]


def test_per_caption(bare: Command, boxed: Path, captions: Path, tmp_path: Path) -> None:
    target = tmp_path / "each.jsonl"
    ended = bare(
        "evaluate", "objects", boxed, "--captions", captions, "--per-caption", target, "--json"
    )
    assert ended.status == 0
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [row["named"] for row in rows] == [["dog", "person"], [], ["dog", "person"], ["sofa"]]
    assert rows[0] == {
        "image": "0.jpg",
        "caption": SAID[0],
        "named": ["dog", "person"],
        "wrong": [],
        "main": "person",
        "main_named": True,
    }
    for read in (captions, boxed / "boxes.jsonl"):
        ended = bare("evaluate", "objects", boxed, "--captions", captions, "--per-caption", read)
        assert (ended.status, ended.out) == (2, "")
        assert "--per-caption would replace" in ended.err


def test_chosen_photos(bare: Command, boxed: Path, captions: Path, tmp_path: Path) -> None:
    (found,) = bare(
        "evaluate", "objects", boxed, "--captions", captions, "--every", 3, "--json"
    ).json()
    assert found["captions"]["photos"] == 2
    assert found["signature"]["captions_of_other_photos"] == 2
    assert "every 3." in found["signature"]["selection"]["every"]
    (tmp_path / "list.txt").write_text("1.jpg\n0.jpg\n")
    (tmp_path / "said.txt").write_text("a cat\na man\n")
    line = (
        "evaluate",
        "objects",
        boxed,
        "--captions",
        tmp_path / "said.txt",
        "--images",
        tmp_path / "list.txt",
    )
    (found,) = bare(*line, "--json").json()
    assert (found["captions"]["photos"], found["captions"]["main_named"]) == (2, 50.0)


def test_photos_without_a_caption(bare: Command, boxed: Path, captions: Path) -> None:
    captions.write_text("".join(captions.read_text().splitlines(keepends=True)[:3]))
    ended = bare("evaluate", "objects", boxed, "--captions", captions, "--json")
    assert (ended.status, ended.out) == (2, "")
    assert "photos without a caption: 1 ('3.jpg')" in ended.err and "--leave-out" in ended.err
    ended = bare("evaluate", "objects", boxed, "--captions", captions, "--leave-out", "--json")
    assert ended.status == 0
    assert "left out: photos without a caption in captions.jsonl: 1" in ended.err
    (found,) = ended.json()
    assert (found["captions"]["photos"], found["signature"]["photos"]) == (3, 3)


def test_a_pack_with_people_beside(command: Command, boxed: Path, captions: Path) -> None:
    (found,) = command("evaluate", "objects", boxed, "--human", captions, "--json").json()
    assert found["human"]["main_named"] == 75.0
    assert found["signature"]["human_from"] == "captions.jsonl"
    assert found["signature"]["pack"] == "tiny"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--captions", ""), "--captions: an empty name"),
        (("--captions", "BOXED/none.json"), "none.json: no such file"),
        (("--captions", "CAPTIONS", "--beam", "2"), "--beam: does not apply with --captions"),
        (("--captions", "CAPTIONS", "--pack", "x"), "--pack: does not apply with --captions"),
        (
            ("--captions", "CAPTIONS", "--classes", "imagenet"),
            "--classes imagenet: expected data, voc, coco",
        ),
        (("--captions", "CAPTIONS", "--seed", "1"), "--seed: does not apply without --bootstrap"),
        (("--captions", "CAPTIONS", "--split", "test"), "has no split 'test'"),
        (("--captions", "CAPTIONS", "--human", "BOXED/boxes.jsonl"), "expected"),
    ],
)
def test_wrong_commands(
    bare: Command, boxed: Path, captions: Path, options: tuple[str, ...], told: str
) -> None:
    filled = [
        each.replace("BOXED", str(boxed)).replace("CAPTIONS", str(captions)) for each in options
    ]
    ended = bare("evaluate", "objects", boxed, *filled)
    assert (ended.status, ended.out) == (2, "")
    assert told in ended.err


def test_captions_of_boxes_are_no_classes(bare: Command, boxed: Path, captions: Path) -> None:
    line = {"image": "0.jpg", "box_xyxy": [0, 0, 30, 20], "captions": ["a dog"]}
    (boxed / "regions.jsonl").write_text(json.dumps(line) + "\n")
    ended = bare("evaluate", "objects", boxed / "regions.jsonl", "--captions", captions)
    assert ended.status == 2 and "its boxes have no classes" in ended.err


def test_a_broken_photo_spoils_the_number(command: Command, boxed: Path) -> None:
    (boxed / "images" / "1.jpg").write_bytes(b"broken")
    ended = command("evaluate", "objects", boxed, "--json")
    assert (ended.status, ended.out) == (1, "")
    assert "1.jpg" in ended.err
