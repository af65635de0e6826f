"""What people read as certainty in every command, and `regiontalk evaluate certainty`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import regiontalk
from regiontalk.pack import save_pack
from regiontalk.settings import CertaintySettings

from ..tiny_pack import tiny_arrays, tiny_settings, tiny_vision_onnx, tiny_vocabulary
from .conftest import random_photo

Command = Callable[..., Any]


def sure_pack(folder: Path, certainty: CertaintySettings) -> Path:
    settings = replace(tiny_settings(), certainty=certainty)
    return save_pack(
        folder, settings, tiny_arrays(settings), tiny_vision_onnx(), tiny_vocabulary()
    ).folder


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny pack with two lines that make it neither always sure nor never."""
    return sure_pack(
        tmp_path_factory.mktemp("packs") / "sure", CertaintySettings(0.2, -0.3, 0.5, -0.2)
    )


@pytest.fixture
def command(bare: Command, pack: Path) -> Command:
    return lambda *arguments: bare(*arguments, "--pack", pack)


@pytest.fixture
def index(command: Command, photos: Path, tmp_path: Path) -> Path:
    assert command("index", "add", photos, "--index", tmp_path / "photos.index").status == 0
    return tmp_path / "photos.index"


def test_align(command: Command, photo_file: Path, pack: Path) -> None:
    sentence = "a dog, a brwn cat and the boy"
    (found,) = command("align", photo_file, sentence, "--json").json()
    assert found == regiontalk.load(pack).align(photo_file, sentence).to_json()
    words = {word["text"]: word for word in found["words"]}
    assert words["the"]["sure"] is None and 0 < words["dog"]["sure"] < 1
    assert words["brwn"]["sure"] is None and not words["brwn"]["known"]
    assert words["brwn"]["did_you_mean"] == ["brown"]
    ended = command("align", photo_file, sentence)
    assert "unknown: 'brwn' (did you mean 'brown'?)" in ended.err
    _, _, sure, titles, *lines = ended.out.splitlines()
    assert sure == f"  sure {found['sure']:.0%}"
    assert titles.split() == ["sure", "left", "top", "right", "bottom", "words"]
    for line, phrase in zip(lines, found["phrases"], strict=False):
        assert ("not found" in line) == (phrase["sure"] is not None and phrase["sure"] < 0.5)
        assert line.endswith(phrase["text"])


def test_a_pack_that_believes_nothing(bare: Command, photo_file: Path, tmp_path: Path) -> None:
    doubtful = sure_pack(tmp_path / "doubtful", CertaintySettings(1e-3, -9.0, 1e-3, -9.0))
    out = bare("align", photo_file, "a dog", "--pack", doubtful).out
    assert "not found  a dog" in out and "  sure 0%" in out
    (found,) = bare("align", photo_file, "a dog", "--json", "--pack", doubtful).json()
    assert not any(phrase["found"] for phrase in found["phrases"])
    ended = bare("describe", photo_file, "--pack", doubtful)
    caption = regiontalk.load(doubtful).describe(photo_file).caption
    assert caption.is_unsure and f"  {caption.text}  (unsure, {caption.sure:.0%})" in ended.out


def test_search(command: Command, index: Path, bare: Command) -> None:
    found = command("search", "a dog", "--index", index, "--json").json()
    lines = command("search", "a dog", "--index", index).out.splitlines()
    assert lines == [
        f"{each['rank']:>3}. {format(each['sure'], '.0%'):>8}  {each['file']}" for each in found
    ]
    boxes = command("search", "--region", "a dog", "--index", index, "--json").json()
    assert all(0 <= each["sure"] <= 1 for each in boxes)
    least = found[0]["sure"] - 1e-3
    likely = command("search", "a dog", "--index", index, "--json", "--min-sure", least).json()
    assert likely == [each for each in found if each["sure"] >= least]
    assert (
        "unknown: 'dogg' (did you mean 'dog'?)"
        in command("search", "dogg cat", "--index", index).err
    )


def test_nothing_fits(bare: Command, photos: Path, tmp_path: Path) -> None:
    doubtful = sure_pack(tmp_path / "doubtful", CertaintySettings(1e-3, -9.0))
    assert bare("index", "add", photos, "--index", tmp_path / "i", "--pack", doubtful).status == 0
    ended = bare("search", "a dog", "--index", tmp_path / "i", "--pack", doubtful)
    assert ended.status == 0 and "nothing fits well: the best result is 0% sure" in ended.err
    assert (
        bare(
            "search", "a dog", "--index", tmp_path / "i", "--pack", doubtful, "--min-sure", 0.1
        ).out
        == ""
    )


def test_what_a_text_says(
    bare: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A word that somebody's text has is not unknown.

    A photo found by its text fits, however unlikely its content.
    """
    monkeypatch.setenv("COLUMNS", "300")  # no line is folded, however long the folder
    doubtful = sure_pack(tmp_path / "doubtful", CertaintySettings(1e-3, -9.0))
    (photos / "a.jpg.txt").write_text("Anna's dog", "utf-8")
    searched = ("--index", tmp_path / "i", "--pack", doubtful)
    assert bare("index", "add", photos, *searched, "--captions", photos).status == 0
    ended = bare("search", "a dog, brwn, with Anna", *searched)
    assert "fits" not in ended.err and "unknown: 'brwn' (did you mean 'brown'?)\n" in ended.err
    assert ended.out.splitlines()[0].split("  ")[-3:] == [
        " 0%",
        str(photos / "a.jpg"),
        "(its text has dog, anna)",
    ]
    found = bare("search", "a dog with Anna", *searched, "--json").json()
    assert (found[0]["sure"], found[0]["text_words"]) == (
        pytest.approx(0, abs=0.1),
        ["dog", "anna"],
    )
    assert list(found[0])[-4:] == ["score", "sure", "phrases", "text_words"]
    assert "unknown: 'anna'" in bare("search", "--region", "Anna's dog", *searched).err
    (alone,) = bare("search", "Anna", *searched, "--min-sure", 0.5, "--json").json()
    assert ("sure" in alone, alone["text_words"], alone["phrases"]) == (False, ["anna"], [])
    ended = bare("search", "Anna", *searched)
    assert (ended.status, ended.err) == (0, "")


def test_a_pack_without_probabilities(
    bare: Command, photos: Path, tmp_path: Path, tiny_pack: Path
) -> None:
    assert bare("index", "add", photos, "--index", tmp_path / "i", "--pack", tiny_pack).status == 0
    ended = bare(
        "search", "a dog", "--index", tmp_path / "i", "--pack", tiny_pack, "--min-sure", 0.1
    )
    assert ended.status == 2 and "tells no probabilities" in ended.err


@pytest.fixture
def boxed(tmp_path: Path) -> Path:
    """Four photos with a dog or a cat, as `boxes.jsonl`."""
    folder = tmp_path / "boxed"
    (folder / "images").mkdir(parents=True)
    lines = []
    for number, label in enumerate(["dog", "cat", "dog", "person"]):
        random_photo(number, (64, 48)).save(folder / "images" / f"{number}.jpg")
        boxes = {"boxes_xyxy": [[0, 0, 30, 20]], "labels": [label]}
        lines.append({"file_name": f"{number}.jpg", "width": 64, "height": 48, **boxes})
    (folder / "boxes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_evaluate_boxes(command: Command, boxed: Path, tmp_path: Path) -> None:
    diagram = tmp_path / "reliability.svg"
    (found,) = command("evaluate", "certainty", boxed, "--json", "--diagram", diagram).json()
    assert found["questions"] == 8 and sum(each["questions"] for each in found["bins"]) == 8
    assert found["signature"]["pack"] == "tiny"
    assert diagram.read_text().startswith("<svg") and diagram.read_text().count("<circle") == len(
        found["bins"]
    )
    out = command("evaluate", "certainty", boxed, "--sentence", "a {} and a {}").out
    assert "of 8 answers right" in out and "expected calibration error" in out


def test_evaluate_captions(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    lines = []
    for number, text in enumerate(["a dog", "a cat", "a man"]):
        random_photo(number, (64, 48)).save(folder / f"{number}.jpg")
        lines.append({"file_name": f"{number}.jpg", "captions": [text, text], "split": "dev"})
    (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (found,) = command(
        "evaluate", "certainty", folder, "--captioned", "--split", "dev", "--json"
    ).json()
    assert found["questions"] == 6
    ended = command("evaluate", "certainty", folder, "--captioned", "--every", 2)
    assert ended.status == 2 and "--every" in ended.err


def test_refusals(bare: Command, boxed: Path, tiny_pack: Path, tmp_path: Path) -> None:
    ended = bare("evaluate", "certainty", boxed, "--pack", tiny_pack)
    assert ended.status == 2 and "tells no probabilities" in ended.err
    ended = bare(
        "evaluate",
        "certainty",
        boxed,
        "--pack",
        tiny_pack,
        "--diagram",
        tmp_path / "no" / "such.svg",
    )
    assert ended.status == 2 and "--diagram" in ended.err
