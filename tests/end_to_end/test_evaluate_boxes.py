"""`regiontalk evaluate grounding`, `regions` and `search`."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import regiontalk
from regiontalk.data import read_boxes
from regiontalk.evaluation.captions.java import meteor_is_installed
from regiontalk.evaluation.grounding.class_names import SENTENCE
from regiontalk.evaluation.grounding.run import evaluate_classes
from regiontalk.evaluation.regions import run as region_runs
from regiontalk.evaluation.regions.run import evaluate_naming
from regiontalk.evaluation.search import evaluate_search
from regiontalk.pack import Pack

from .conftest import needs_meteor, random_photo

Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    """Java takes many seconds to start, once for all tests.

    Only those that are about METEOR wait for it.
    """
    monkeypatch.setattr(region_runs, "meteor_is_installed", lambda: False)


@pytest.fixture
def boxed(tmp_path: Path) -> Path:
    """Six photos with a dog and a person, in the form of `boxes.jsonl`."""
    folder = tmp_path / "boxed"
    (folder / "images").mkdir(parents=True)
    lines = []
    for number in range(6):
        random_photo(number, (64, 48)).save(folder / "images" / f"{number}.jpg")
        boxes = {"boxes_xyxy": [[0, 0, 30, 20], [20, 10, 64, 48]], "labels": ["dog", "person"]}
        lines.append({"file_name": f"{number}.jpg", "width": 64, "height": 48, **boxes})
    (folder / "boxes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def regions(boxed: Path) -> Path:
    """Boxes with captions."""
    lines = [
        {
            "image": f"{number}.jpg",
            "box_xyxy": [number, 0, 30, 20],
            "captions": ["A brown dog.", "the dog"],
        }
        for number in range(6)
    ]
    (boxed / "regions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return boxed / "regions.jsonl"


def test_grounding(command: Command, boxed: Path, tiny_pack: Path) -> None:
    ended = command("evaluate", "grounding", boxed, "--json")
    assert (ended.status, ended.err) == (0, "")
    (found,) = ended.json()
    assert found == json.loads(
        json.dumps(evaluate_classes(regiontalk.load(tiny_pack), read_boxes(boxed)).to_json())
    )
    signature = found["signature"]
    assert (signature["pack"], signature["pack_sha256"]) == ("tiny", Pack.load(tiny_pack).checksum)
    assert (signature["dataset"], signature["photos"], signature["queries"]) == ("boxed", 6, 12)
    assert signature["selection"] == "all photos of the split"
    assert signature["ties"] == "count against the system"


def test_grounding_of_chosen_photos(command: Command, boxed: Path, tmp_path: Path) -> None:
    names = tmp_path / "held_out.txt"
    names.write_text("1.jpg\n3.jpg\n\n5.jpg\n")
    (found,) = command("evaluate", "grounding", boxed, "--images", names, "--json").json()
    assert found["signature"]["photos"] == 3
    digest = hashlib.sha256(names.read_bytes()).hexdigest()
    assert found["signature"]["selection"] == {"images": "held_out.txt", "images_sha256": digest}
    (found,) = command("evaluate", "grounding", boxed, "--every", 4, "--json").json()
    assert found["signature"]["photos"] == 2
    assert "every 4." in found["signature"]["selection"]["every"]
    names.write_text("9.jpg\n")
    ended = command("evaluate", "grounding", boxed, "--images", names, "--json")
    assert (ended.status, ended.out) == (2, "")
    assert "photos asked for that the data lacks: 1 ('9.jpg')" in ended.err


def test_help_says_what_a_class_is_asked_for_with(bare: Command) -> None:
    assert f"by default '{SENTENCE}'" in " ".join(
        bare("evaluate", "grounding", "--help").out.split()
    )


def test_grounding_text(command: Command, boxed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    ended = command("evaluate", "grounding", boxed)
    table = ended.out[: ended.out.index("  regiontalk: ")]  # what follows is the signature
    assert max(map(len, table.splitlines())) <= 60
    assert len(re.findall(r"^ +model( +\d+\.\d){4}$", table, re.MULTILINE)) >= 2  # micro and macro
    assert ended.status == 0
    for part in (
        "whole photo",
        "random region",
        "pointing",
        "R@10",
        "best baseline",
        "man (6 photos)",
        "photos: 6",
    ):
        assert part in ended.out


def test_grounding_without_rare_classes(command: Command, boxed: Path) -> None:
    lines = (boxed / "boxes.jsonl").read_text().replace("person", "cat", 1)
    (boxed / "boxes.jsonl").write_text(lines)
    ended = command("evaluate", "grounding", boxed, "--min-photos", 5)
    assert (ended.status, ended.err) == (0, "")
    for part in (
        "cat not asked for: too rare (1 photo)",
        "man (5 photos)",
        "queries: 11",
        "min_photos_of_a_class: 5",
    ):
        assert part in ended.out
    ended = command("evaluate", "grounding", boxed, "--min-photos", 7)
    assert (ended.status, ended.out) == (2, "")
    assert "--min-photos 7: no class of boxed has so many; give 6 or less" in ended.err


def test_phrases(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "entities"
    for sub in ("Sentences", "Annotations", "images"):
        (folder / sub).mkdir(parents=True)
    random_photo(1, (64, 48)).save(folder / "images" / "7.jpg")
    (folder / "Sentences" / "7.txt").write_text(
        "[/EN#1/animals A brown dog] runs in [/EN#2/scene the snow] .\n"
    )
    edges = "<xmin>1</xmin><ymin>1</ymin><xmax>30</xmax><ymax>30</ymax>"
    (folder / "Annotations" / "7.xml").write_text(
        "<annotation><size><width>64</width><height>48</height></size>"
        f"<object><name>1</name><bndbox>{edges}</bndbox></object>"
        "<object><name>2</name><scene>1</scene></object>"
        "</annotation>"
    )
    (found,) = command("evaluate", "grounding", folder, "--json").json()
    assert found["signature"]["queries"] == 1
    assert found["signature"]["remarks"] == {"phrases without a box": 1}
    assert (
        "words by their alignment"
        in command("evaluate", "grounding", folder, "--format", "entities").out
    )
    for option in (("--sentence", "the {}"), ("--sentence", SENTENCE), ("--min-photos", 2)):
        ended = command("evaluate", "grounding", folder, *option)
        assert (ended.status, ended.out) == (2, "")
        assert option[0] in ended.err
    assert command("evaluate", "regions", folder).status == 2


def test_naming(command: Command, boxed: Path, tiny_pack: Path) -> None:
    ended = command("evaluate", "regions", boxed, "--beam", 1, "--json")
    assert (ended.status, ended.err) == (0, "")
    (found,) = ended.json()
    assert found == json.loads(
        json.dumps(evaluate_naming(regiontalk.load(tiny_pack), read_boxes(boxed), 1).to_json())
    )
    text = command("evaluate", "regions", boxed).out
    for part in ("full frame on crop", "dog", "person", "all, micro", "boxes: 12"):
        assert part in text


def test_region_captions(command: Command, regions: Path) -> None:
    others = Path(shutil.copytree(regions.parent, regions.parent.with_name("others")))
    ended = command("evaluate", "regions", regions, "--neighbours", others / regions.name, "--json")
    assert (ended.status, ended.err) == (0, "")
    (found,) = ended.json()
    assert found["nearest_neighbour"]["bleu1"] == 100
    assert found["signature"]["captions"] == 12
    text = command("evaluate", "regions", regions).out
    for part in ("BLEU-4", "full frame on crop", "human"):
        assert part in text


def test_dense_captioning(command: Command, regions: Path) -> None:
    ended = command("evaluate", "regions", regions, "--dense", "--similarity", "rouge_l", "--json")
    assert (ended.status, ended.err) == (0, "")
    (found,) = ended.json()
    assert (
        0 <= found["dense_captioning"]["map"] <= found["dense_captioning"]["detection_map"] <= 100
    )
    assert "similarity rouge_l" in found["signature"]["dense_captioning"]
    assert (
        "dense captioning: mAP"
        in command("evaluate", "regions", regions, "--dense", "--similarity", "rouge_l").out
    )


@pytest.mark.slow
@needs_meteor
def test_meteor(command: Command, regions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region_runs, "meteor_is_installed", meteor_is_installed)
    ended = command("evaluate", "regions", regions, "--dense", "--json")
    assert (ended.status, ended.err) == (0, "")
    (found,) = ended.json()
    assert 0 < found["human"]["meteor"] < 100
    assert all(
        0 <= found[captions]["meteor"] < 100 for captions in ("region", "full_frame_on_crop")
    )
    assert found["signature"]["meteor"].startswith("1.5, Java")
    assert "similarity meteor" in found["signature"]["dense_captioning"]
    assert 0 <= found["dense_captioning"]["map"] <= found["dense_captioning"]["detection_map"]


def test_what_is_wrong_can_be_left_out(command: Command, boxed: Path) -> None:
    (boxed / "images" / "2.jpg").unlink()
    ended = command("evaluate", "grounding", boxed, "--json")
    assert (ended.status, ended.out) == (2, "")
    assert "photos listed but missing: 1 ('2.jpg')" in ended.err
    assert "--leave-out" in ended.err
    ended = command("evaluate", "grounding", boxed, "--leave-out", "--json")
    assert ended.status == 0
    assert "left out: photos listed but missing: 1" in ended.err
    (found,) = ended.json()
    assert found["signature"]["left_out"] == {"photos listed but missing": 1}
    assert found["signature"]["photos"] == 5


@pytest.mark.parametrize("what", ["grounding", "regions"])
def test_a_broken_photo_spoils_the_number(command: Command, boxed: Path, what: str) -> None:
    (boxed / "images" / "3.jpg").write_bytes(b"broken")
    ended = command("evaluate", what, boxed, "--leave-out", "--json")
    assert (ended.status, ended.out) == (1, "")
    assert "3.jpg" in ended.err


@pytest.mark.parametrize("what", ["grounding", "regions"])
def test_a_photo_of_another_size(command: Command, boxed: Path, what: str) -> None:
    Image.new("RGB", (64, 50)).save(boxed / "images" / "3.jpg")
    ended = command("evaluate", what, boxed, "--json")
    assert (ended.status, ended.out) == (2, "")
    assert "expected a photo of 64 x 48" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("grounding", ""),
        ("grounding", "BOXED", "--format", "xml"),
        ("grounding", "BOXED", "--split", "test"),
        ("grounding", "BOXED", "--format", "coco"),
        ("grounding", "BOXED", "--sentence", "a dog"),
        ("grounding", "BOXED", "--seed", "1"),
        ("grounding", "BOXED/regions.jsonl"),
        ("grounding", "BOXED", "--images", "BOXED/none.txt"),
        ("grounding", "BOXED", "--images", "BOXED/empty.txt"),
        ("regions", "BOXED", "--dense", "--similarity", "none"),
        ("regions", "BOXED/regions.jsonl", "--similarity", "rouge_l"),
        ("regions", "BOXED", "--dense", "--similarity", "rouge_l"),
        ("regions", "BOXED", "--neighbours", "BOXED"),
        ("regions", "BOXED/regions.jsonl", "--neighbours", "BOXED"),
        ("regions", "BOXED/none.jsonl"),
        ("regions", "BOXED/regions.jsonl", "--neighbours", "BOXED/regions.jsonl"),
    ],
)
def test_wrong_commands(
    command: Command, boxed: Path, regions: Path, arguments: tuple[str, ...]
) -> None:
    (boxed / "empty.txt").write_text("\n")
    ended = command("evaluate", *(each.replace("BOXED", str(boxed)) for each in arguments))
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("regiontalk: ")


def test_a_pack_that_learnt_from_the_data_says_so(
    bare: Command, boxed: Path, tiny_pack: Path, tmp_path: Path
) -> None:
    """A pack's own words are enough; photos it never saw are named beside."""
    from dataclasses import replace

    from regiontalk.pack import save_pack

    from ..tiny_pack import tiny_arrays, tiny_settings, tiny_vision_onnx, tiny_vocabulary

    told = {"vision": "6 photos of boxed", "never_seen": "every second of boxed"}
    settings = replace(tiny_settings(), trained_on=told)
    pack = save_pack(
        tmp_path / "told", settings, tiny_arrays(settings), tiny_vision_onnx(), tiny_vocabulary()
    )
    ended = bare("evaluate", "grounding", boxed, "--json", "--pack", pack.folder)
    assert ended.status == 0
    assert "WARNING: the pack tiny was trained on photos that it is measured on" in ended.err
    assert "It never saw: every second of boxed" in ended.err


@pytest.mark.parametrize("what", ["grounding", "regions"])
def test_photos_are_recognised_one_by_one(
    bare: Command, boxed: Path, tiny_pack: Path, tmp_path: Path, what: str
) -> None:
    """The pack's words name the dataset, but of the chosen photos it learnt none, or one."""
    from dataclasses import replace

    from regiontalk.fingerprints import fingerprint_files, listed
    from regiontalk.pack import save_pack

    from ..tiny_pack import tiny_arrays, tiny_settings, tiny_vision_onnx, tiny_vocabulary

    names = sorted((boxed / "images").iterdir())
    settings = replace(tiny_settings(), trained_on={"vision": "photos of boxed"})
    parts = settings, tiny_arrays(settings), tiny_vision_onnx(), tiny_vocabulary()
    learnt = listed(fingerprint_files([names[0]]))
    pack = save_pack(tmp_path / "told", *parts, training_photos=learnt).folder
    for chosen, count in ((names[0], 1), (names[1], 0)):
        (tmp_path / "list.txt").write_text(f"{chosen.name}\n")
        ended = bare(
            "evaluate", what, boxed, "--images", tmp_path / "list.txt", "--json", "--pack", pack
        )
        assert ended.status == 0
        assert ended.json()[0]["signature"]["photos_seen_in_training"] == count
        assert ("WARNING" in ended.err) == bool(count)


def test_intervals_in_words_and_in_json(command: Command, boxed: Path) -> None:
    (found,) = command(
        "evaluate", "grounding", boxed, "--bootstrap", 50, "--seed", 2, "--json"
    ).json()
    low, high = found["interval"]["words"]["macro"]["model"]["pointing"]
    text = command("evaluate", "grounding", boxed, "--bootstrap", 50, "--seed", 2).out
    assert f"macro  pointing [{low:.1f}, {high:.1f}]" in text
    assert found["signature"]["interval"].endswith("50 bootstrap samples of photos, seed 2")
    assert "interval" not in command("evaluate", "grounding", boxed).out


def test_search(command: Command, boxed: Path, tiny_pack: Path) -> None:
    lines = [json.loads(line) for line in (boxed / "boxes.jsonl").read_text().splitlines()]
    for line in lines[:4]:
        line["labels"][1] = "sheep"  # of which the tiny pack has no word
    lines[0]["labels"][0] = "cat"
    (boxed / "boxes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    ended = command("evaluate", "search", boxed, "--json")
    assert (ended.status, ended.err) == (0, "")
    (found,) = ended.json()
    assert found == json.loads(
        json.dumps(evaluate_search(regiontalk.load(tiny_pack), read_boxes(boxed)).to_json())
    )
    assert found["unknown_classes"] == {"sheep": 4}
    assert {label: each["photos"] for label, each in found["by_class"].items()} == {
        "cat": 1,
        "dog": 5,
        "person": 2,
    }
    # The first of its synonyms that this pack knows
    assert found["by_class"]["person"]["word"] == "man"
    assert found["by_class"]["dog"]["r_precision"] in (0.8, 1.0)  # five of six photos show one
    assert found["chance"] == pytest.approx(8 / 18, abs=1e-3)
    assert found["signature"]["sentence"] == "{}"
    text = command("evaluate", "search", boxed, "--min-photos", 2).out
    assert (
        "cat" not in text
        and "sheep not searched for: the pack knows no word for it (4 photos)" in text
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--sentence", "a dog"], "expected one {} where the class's name goes"),
        (["--sentence", "{} {}"], "expected one {} where the class's name goes"),
        (["--sentence", "{x}"], "expected one {} where the class's name goes"),
        (["--min-photos", "7"], "no class of boxed has so many"),
    ],
)
def test_wrong_searches_are_told(
    command: Command, boxed: Path, options: list[str], told: str
) -> None:
    ended = command("evaluate", "search", boxed, *options)
    assert (ended.status, ended.out) == (2, "") and told in ended.err


def test_captions_of_boxes_are_no_classes(command: Command, regions: Path) -> None:
    ended = command("evaluate", "search", regions)
    assert ended.status == 2 and "its boxes have no classes" in ended.err
