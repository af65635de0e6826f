"""The parts of the command line: help, messages, where pictures go, the progress bar."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from regiontalk.cli import console, main
from regiontalk.cli.console import ProgressBar, Report, ending, printable
from regiontalk.cli.options import flags, grouped
from regiontalk.cli.outputs import plan_pictures, save_picture
from regiontalk.cli.text import alignment_text, description_text, folded
from regiontalk.errors import (
    ConfigError,
    DataError,
    PackError,
    PhotoError,
    SentenceError,
    TrainingError,
)
from regiontalk.structures import Alignment, Caption, Description, Phrase, Regions, Sentence

COMMANDS = (
    [["describe"], ["align"], ["regions"], ["inspect"], ["export"], ["teach"]]
    + [["train", each] for each in ("vision", "alignment", "captioner")]
    + [
        ["evaluate", each]
        for each in (
            "retrieval",
            "captions",
            "certainty",
            "describe",
            "grounding",
            "objects",
            "regions",
            "search",
        )
    ]
    + [["search"], ["serve"], ["report"]]
    + [["index", each] for each in ("add", "info", "verify", "remove", "push")]
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_shows_an_example(
    command: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, option])
    assert not ended.value.code
    example = f"  regiontalk {' '.join(command)} "
    assert example in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_recipes_that_help_names_are_there(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    for named in re.findall(r"recipes/\S+", capsys.readouterr().out):
        assert (Path(__file__).parents[1] / named).is_file(), named


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    for command, *_ in COMMANDS:
        assert f"\n  {command} " in out
    assert "..." not in out.split("Commands:")[1]  # no summary is cut off


@dataclass(frozen=True)
class Inner:
    size: Annotated[int, typer.Option("--size")] = 3


@dataclass(frozen=True, kw_only=True)
class Outer:
    names: Annotated[list[str], typer.Argument()]
    no_colour: Annotated[bool, typer.Option("--no-colour")] = False
    inner: Inner


def test_groups_of_options_are_typed_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    def command(*, first: Annotated[int, typer.Option("--first")] = 1, outer: Outer) -> None:
        print(first, outer)

    app = typer.Typer()
    app.command()(grouped(command))
    with pytest.raises(SystemExit) as ended:
        app(["a", "--size", "5", "b"])
    assert not ended.value.code
    expected = Outer(names=["a", "b"], inner=Inner(5))
    assert capsys.readouterr().out == f"1 {expected}\n"
    assert flags(expected) == {"--names": ["a", "b"], "--no-colour": None, "--size": 5}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (PhotoError("x"), 1),
        (SentenceError("x"), 1),
        (TrainingError("x"), 1),
        (PackError("x"), 2),
        (ConfigError("x"), 2),
        (DataError("x"), 2),
        (OSError(5, "Input/output error", "file"), 1),
        (BrokenPipeError(), 141),
        (KeyboardInterrupt(), 130),
    ],
)
def test_every_error_has_its_status(
    error: BaseException, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, ending():
        raise error
    assert ended.value.exit_code == status
    assert capsys.readouterr().out == ""


def test_a_mistake_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), ending():
        raise ZeroDivisionError


def test_a_failure_names_its_input_once(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    report.failure("a.jpg", "a.jpg: is broken")
    report.failure("b.jpg", "is broken")
    report.summary(3, "inputs")
    assert report.failures == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["regiontalk: a.jpg: is broken", "regiontalk: b.jpg: is broken"]
    assert "2 of 3 inputs" in lines[2]


@given(st.text())
def test_printable_text_is_printable(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert printable(shown) == shown
    if text.isprintable():
        assert shown == text


def test_no_pictures_without_draw() -> None:
    assert plan_pictures(None, ["a.jpg"], [Path("a.jpg")]) == {}


def test_one_picture(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    out = tmp_path / "out.png"
    assert plan_pictures(str(out), [str(photo)], [photo]) == {photo: out}
    assert plan_pictures(str(tmp_path), [str(photo)], [photo]) == {photo: tmp_path / "a.png"}
    assert plan_pictures(f"{tmp_path}/new/", [str(photo)], [photo]) == {
        photo: tmp_path / "new" / "a.png"
    }


def test_a_folder_of_one_photo_counts_as_many(tmp_path: Path) -> None:
    photo = tmp_path / "in" / "a.jpg"
    photo.parent.mkdir()
    pictures = plan_pictures(str(tmp_path / "out"), [str(photo.parent)], [photo])
    assert pictures == {photo: tmp_path / "out" / "a.png"}
    with pytest.raises(ConfigError, match="name a folder"):
        plan_pictures(str(tmp_path / "out.png"), [str(photo.parent)], [photo])


@given(
    st.lists(
        st.tuples(
            st.sampled_from("xyX"),
            st.sampled_from(["a", "A", "a-2", "b"]),
            st.sampled_from(["jpg", "png"]),
        )
    )
)
def test_pictures_have_different_names_whatever_the_case(parts: list[tuple[str, str, str]]) -> None:
    photos = [Path(folder, f"{name}.{suffix}") for folder, name, suffix in parts]
    pictures = plan_pictures("out/", [str(photo) for photo in photos], photos)
    assert set(pictures) == set(photos)
    assert len({str(picture).lower() for picture in pictures.values()}) == len(pictures)


def test_a_picture_may_not_replace_a_photo_through_a_link(tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    photo.touch()
    (tmp_path / "link.png").symlink_to(photo)
    with pytest.raises(ConfigError, match="would replace the photo"):
        plan_pictures(str(tmp_path / "link.png"), [str(photo)], [photo])


def test_a_picture_may_not_replace_a_photo_of_another_name(tmp_path: Path) -> None:
    """As A.png and a.png where upper and lower case are one.

    A hard link stands in for such a disk.
    """
    photo = tmp_path / "a.png"
    photo.touch()
    (tmp_path / "other.png").hardlink_to(photo)
    with pytest.raises(ConfigError, match="would replace the photo"):
        plan_pictures(str(tmp_path / "other.png"), [str(photo)], [photo])


def test_a_picture_is_written_beside_and_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    replace = Path.replace

    def watch(self: Path, target: Path) -> Path:
        seen.append(sorted(each.name for each in tmp_path.iterdir()))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watch)
    save_picture(Image.new("RGB", (4, 4)), tmp_path / "out.png", Report())
    assert len(seen) == 1
    assert "out.png" not in seen[0]
    assert [each.name for each in tmp_path.iterdir()] == ["out.png"]


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def count_to_three() -> None:
    with ProgressBar() as bar:
        bar.expect(3, "photos")
        for _ in range(3):
            bar.advance()
            with bar.aside(sys.stderr):
                pass


def test_a_bar_comes_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    count_to_three()
    assert terminal.getvalue() == ""
    monkeypatch.setattr(console, "PATIENCE", -1.0)
    count_to_three()
    shown = terminal.getvalue()
    assert "photos" in shown
    assert "1/3" in shown
    assert "3/3" in shown
    assert shown.endswith("\x1b[2K")  # the line is gone at the end


def test_no_bar_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "PATIENCE", -1.0)
    count_to_three()
    assert capsys.readouterr().err == ""


def test_a_photo_without_regions_says_so() -> None:
    whole = np.array([[0, 0, 4, 3]], np.float32)
    ones, features = np.ones(1, np.float32), np.ones((1, 2), np.float32)
    description = Description(
        Regions("a.jpg", 4, 3, whole, ones, features, features), Caption("a dog", -1.0), ()
    )
    assert description_text(description) == "a.jpg (4 x 3)\n  a dog\n  no region found\n"


WORDS = "a black dog and a brown one jump over a hurdle of wood"


def test_nothing_is_folded_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(sys, "__stdout__", io.StringIO())
    assert folded("  1.50  ", 20 * WORDS) == f"  1.50  {20 * WORDS}"


def test_words_are_folded_under_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    assert folded("  1.50  ", WORDS) == (
        "  1.50  a black dog and a\n        brown one jump over a\n        hurdle of wood"
    )
    assert folded(" " * 20 + "1.50  ", WORDS) == (
        " " * 20 + "1.50\n    a black dog and a brown\n    one jump over a hurdle of\n    wood"
    )
    assert folded("  1.50  ", "a black dog") == "  1.50  a black dog"
    assert len(folded("  1.50  ", 60 * "x").splitlines()) == 3  # a word that fits nowhere


def test_tables_of_words_fit_60_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    box = np.array([[0, 0, 1000, 800], [10, 20, 300, 400]], np.float32)
    array = np.ones((2, 3), np.float32)
    regions = Regions("a.jpg", 1000, 800, box, np.ones(2, np.float32), array, array)
    description = Description(regions, Caption(WORDS, -1.0), (Caption(WORDS, -1.0),))
    sentence = Sentence(WORDS, tuple(WORDS.split()), np.arange(13), np.ones((13, 3), np.float32))
    phrase = Phrase(WORDS, 0, 13, 1, (10.0, 20.0, 300.0, 400.0), 1.5)
    alignment = Alignment(
        regions,
        sentence,
        1.0,
        1.5,
        np.ones(13, np.int64),
        np.ones((13, len(regions)), np.float32),
        (phrase,),
    )
    for text in (description_text(description), alignment_text(alignment)):
        assert max(map(len, text.splitlines())) <= 60
        assert " ".join(text.split()).count("over a hurdle of wood") >= 1
