"""`regiontalk inspect`: words and regions by the lengths of their vectors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import regiontalk
from regiontalk.pack import save_pack

from ..tiny_pack import WORDS, tiny_arrays, tiny_settings, tiny_vision_onnx, tiny_vocabulary

Command = Callable[..., Any]

LENGTHS = {word: 10.0 * (1 + rank % 5) for rank, word in enumerate(WORDS)}
"""What the pack below gives: 10 x, with ties everywhere."""


@pytest.fixture(scope="module")
def worked_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each word of rank r has x = 1 + r mod 5 in its first dimension and nothing else.

    W_e takes x as it is and the recurrence is off, so e = h^f = h^b = x; W_d turns their sum into s
    = (2x * 3, 2x * 4): ‖s‖ = 10 x.
    """
    settings = tiny_settings()
    arrays = tiny_arrays(settings)
    words = {name: np.zeros_like(each) for name, each in arrays["words"].items()}
    words["embedding"][2:, 0] = [1 + rank % 5 for rank in range(len(WORDS))]
    words["W_e"][0, 0] = 1
    words["W_d"][0, :2] = (3, 4)
    folder = tmp_path_factory.mktemp("worked") / "worked"
    return save_pack(
        folder, settings, {**arrays, "words": words}, tiny_vision_onnx(), tiny_vocabulary()
    ).folder


def test_words_by_hand(bare: Command, worked_pack: Path) -> None:
    ended = bare("inspect", "--pack", worked_pack, "-k", 7, "--json")
    assert (ended.status, ended.err) == (0, "")
    found = ended.json()
    lists = {
        name: [each for each in found if each["list"] == name] for name in ("longest", "shortest")
    }
    assert found == lists["longest"] + lists["shortest"]
    fifth, fourth, first, second = WORDS[4::5], WORDS[3::5], WORDS[0::5], WORDS[1::5]
    # Ties: the more frequent word first
    assert [each["word"] for each in lists["longest"]] == [*fifth, *fourth][:7]
    assert [each["word"] for each in lists["shortest"]] == [*first, *second][:7]
    vocabulary = tiny_vocabulary()
    for each in found:
        assert list(each) == ["list", "rank", "word", "length", "count"]
        assert each["length"] == LENGTHS[each["word"]]
        assert each["count"] == vocabulary.counts[vocabulary.encode([each["word"]])[0]]
    assert [each["rank"] for each in lists["shortest"]] == list(range(1, 8))


def test_words_as_text(bare: Command, worked_pack: Path) -> None:
    ended = bare("inspect", "--pack", worked_pack, "--words", 7)
    assert (ended.status, ended.err) == (0, "")
    title, heading, *lines = ended.out.splitlines()
    assert title == "tiny: 30 words, each read alone; median length 30.0"
    assert heading.split() == ["longest", "shortest"]
    expected = bare("inspect", "--pack", worked_pack, "--words", 7, "--json").json()
    pairs = zip(expected[:7], expected[7:], strict=True)
    assert [line.split() for line in lines] == [
        [f"{a['length']:.1f}", a["word"], f"{b['length']:.1f}", b["word"]] for a, b in pairs
    ]


def test_words_of_any_pack_are_what_the_model_reads(command: Command, tiny_pack: Path) -> None:
    model = regiontalk.load(tiny_pack)
    lengths = {word: float(np.linalg.norm(model.read(word)[0].vectors)) for word in WORDS}
    found = command("inspect", "--json", "-k", 1000).json()
    assert len(found) == 2 * len(WORDS)  # all of them, twice
    for each in found:
        assert each["length"] == pytest.approx(lengths[each["word"]], rel=1e-5)
    values = [each["length"] for each in found]
    assert values == sorted(values[: len(WORDS)], reverse=True) + sorted(values[len(WORDS) :])
    assert len(command("inspect", "--json").json()) == 2 * 20


def test_regions(command: Command, photo_file: Path, tiny_pack: Path) -> None:
    ended = command("inspect", photo_file, "--json")
    assert (ended.status, ended.err) == (0, "")
    (found,) = ended.json()
    assert list(found) == ["file", "width", "height", "regions"]
    assert (found["file"], found["width"], found["height"]) == (str(photo_file), 120, 80)
    (plain,) = command("regions", photo_file, "--json").json()
    vectors = regiontalk.load(tiny_pack).look(photo_file)[0].vectors
    assert sorted(each["region"] for each in found["regions"]) == list(range(len(vectors)))
    for each in found["regions"]:
        assert list(each) == ["region", "box_xyxy", "score", "length"]
        assert {name: each[name] for name in ("box_xyxy", "score")} == plain["regions"][
            each["region"]
        ]
        assert each["length"] == pytest.approx(
            float(np.linalg.norm(vectors[each["region"]])), rel=1e-5
        )
    values = [each["length"] for each in found["regions"]]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1]


def test_regions_as_text(command: Command, photo_file: Path) -> None:
    (expected,) = command("inspect", photo_file, "--json").json()
    ended = command("inspect", photo_file)
    assert (ended.status, ended.err) == (0, "")
    title, heading, *lines, end = ended.out.splitlines()
    assert (title, end) == (f"{photo_file} (120 x 80)", "")
    assert heading.split() == ["length", "objectness", "left", "top", "right", "bottom"]
    assert len(lines) == len(expected["regions"])
    for line, each in zip(lines, expected["regions"], strict=True):
        assert float(line.split()[0]) == pytest.approx(each["length"], rel=0.006, abs=0.1)
        assert line.endswith("whole photo") == (each["region"] == 0)


def test_draw(command: Command, photos: Path, photo_file: Path, tmp_path: Path) -> None:
    assert command("inspect", photo_file, "--draw", tmp_path / "out.png").status == 0
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.format == "PNG"
        assert picture.width >= 100
    ended = command("inspect", photos, "--draw", tmp_path / "out", "--json")
    assert (ended.status, len(ended.json())) == (0, 3)
    assert {each.name for each in (tmp_path / "out").iterdir()} == {"a.png", "b.png", "c.png"}


def test_a_missing_photo_is_named_and_the_others_are_done(
    command: Command, photo_file: Path, tmp_path: Path
) -> None:
    ended = command("inspect", tmp_path / "missing.jpg", photo_file, "--json")
    assert ended.status == 1
    assert [each["file"] for each in ended.json()] == [str(photo_file)]
    assert str(tmp_path / "missing.jpg") in ended.err.splitlines()[0]
    assert "1 of 2 inputs" in ended.err.splitlines()[1]


def test_an_empty_name_is_no_call_for_words(command: Command) -> None:
    ended = command("inspect", "")
    assert (ended.status, ended.out) == (1, "")
    assert "empty file name" in ended.err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-k", "0"], "greater than or equal to 1"),
        (["-k", "many"], "integer"),
        (["--draw", "never.png"], "--draw: does not apply without a photo"),
        (
            ["--draw", "never.png", "--threads", "1"],
            "--draw, --threads: does not apply without a photo",
        ),
        (["{photo}", "--words", "3"], "--words: does not apply beside photos"),
        (["{photo}", "--draw", "out.txt"], "expected a file that ends in"),
        (["{photo}", "--draw", "{photo}"], "would replace the photo"),
    ],
)
def test_a_wrong_command(
    command: Command,
    photo_file: Path,
    arguments: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = photo_file.read_bytes()
    ended = command("inspect", *(each.replace("{photo}", str(photo_file)) for each in arguments))
    assert (ended.status, ended.out) == (2, "")
    assert expected in ended.err
    assert photo_file.read_bytes() == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("photo", [True, False])
def test_a_pack_that_is_none(bare: Command, photo_file: Path, photo: bool) -> None:
    ended = bare("inspect", *[photo_file] * photo, "--pack", "nothing-of-the-kind")
    assert (ended.status, ended.out) == (2, "")
    assert "nothing-of-the-kind" in ended.err
    assert len(ended.err.splitlines()) == 1


def test_a_damaged_pack(bare: Command, damaged_pack: Path) -> None:
    ended = bare("inspect", "--pack", damaged_pack)
    assert (ended.status, ended.out) == (2, "")
    assert "vision.onnx" in ended.err
