"""`regiontalk align`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import regiontalk

Command = Callable[..., Any]
SENTENCE = "A black dog, two women and a zebra!"


def test_json_is_what_the_model_says(command: Command, photo_file: Path, tiny_pack: Path) -> None:
    ended = command("align", photo_file, SENTENCE, "--json", "--beta", 0.5)
    assert (ended.status, ended.err) == (0, "")
    (found,) = ended.json()
    assert found == regiontalk.load(tiny_pack).align(photo_file, SENTENCE, beta=0.5).to_json()
    assert list(found) == [
        "file",
        "width",
        "height",
        "sentence",
        "score",
        "words",
        "phrases",
        "regions",
    ]
    assert found["sentence"] == SENTENCE
    words = [word["text"] for word in found["words"]]
    assert words == ["a", "black", "dog", "two", "women", "and", "a", "zebra"]
    assert [
        word for each in found["phrases"] for word in words[each["start"] : each["end"]]
    ] == words
    for phrase in found["phrases"]:
        assert phrase["box_xyxy"] == pytest.approx(
            found["regions"][phrase["region"]]["box_xyxy"], abs=0.06
        )


def test_a_large_beta_keeps_the_sentence_on_one_region(command: Command, photo_file: Path) -> None:
    (found,) = command("align", photo_file, SENTENCE, "--json", "--beta", 1e6).json()
    assert [phrase["text"] for phrase in found["phrases"]] == ["a black dog two women and a zebra"]


def test_text(command: Command, photo_file: Path) -> None:
    (expected,) = command("align", photo_file, SENTENCE, "--json").json()
    ended = command("align", photo_file, SENTENCE)
    assert ended.status == 0
    lines = ended.out.splitlines()
    assert lines[:2] == [f"{photo_file} (120 x 80)", f"  {SENTENCE}"]
    assert [line.split("  ")[-1].strip() for line in lines[4:-1]] == [
        each["text"] for each in expected["phrases"]
    ]


def test_draw(command: Command, photo_file: Path, tmp_path: Path) -> None:
    assert command("align", photo_file, SENTENCE, "--draw", tmp_path / "out.png").status == 0
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.format == "PNG"


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("", "empty or has no word"),
        (" ?! ", "empty or has no word"),
        ("zebra xylophone", "'zebra', 'xylophone'"),
    ],
)
def test_a_sentence_without_known_words(
    command: Command, photo_file: Path, sentence: str, expected: str
) -> None:
    ended = command("align", photo_file, sentence, "--json")
    assert (ended.status, ended.out) == (1, "")
    assert expected in ended.err


@pytest.mark.parametrize("beta", ["-1", "nan", "inf"])
def test_a_beta_that_makes_no_sense(command: Command, photo_file: Path, beta: str) -> None:
    ended = command("align", photo_file, "a dog", "--beta", beta)
    assert (ended.status, ended.out) == (2, "")
    assert "beta" in ended.err


@pytest.mark.parametrize("name", ["missing.jpg", "", "."])
def test_a_photo_that_is_none(command: Command, name: str) -> None:
    ended = command("align", name, "a dog", "--draw", "never.png")
    assert (ended.status, ended.out) == (1, "")
    assert len(ended.err.splitlines()) == 1
