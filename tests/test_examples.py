"""What people copy runs as it stands, with the default pack.

The examples, and the Python in docs/python.md.
"""

from __future__ import annotations

import doctest
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import regiontalk

ROOT = Path(__file__).parents[1]
SAMPLES = Path(regiontalk.__file__).parent / "samples"
MOST_LINES = 12
"""Of an example, without its docstring, imports and blank lines."""

Example = Callable[..., list[str]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the sample photos in `photos/`."""
    (tmp_path / "photos").mkdir()
    for sample in SAMPLES.glob("*.jpg"):
        shutil.copy(sample, tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def example(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Example:
    """`example("describe_folder.py", "photos")` runs it as a user does.

    The lines that it printed.
    """

    def run(name: str, *arguments: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
        return capsys.readouterr().out.splitlines()

    return run


def test_describe_folder(example: Example, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    lines = example("describe_folder.py", "photos")
    named = [line.partition(": ")[0] for line in lines if not line.startswith(" ")]
    assert named == [
        f"photos/{name}.jpg" for name in ("astronaut", "camera", "chelsea", "coffee", "rocket")
    ]
    assert any(line.startswith("    ") for line in lines)  # regions too


def test_align_sentence(example: Example) -> None:
    (line,) = example("align_sentence.py", "photos/chelsea.jpg", "a cat")
    assert line.startswith("a cat: ") and "(score " in line


def test_search_photos_and_similar_photos(example: Example, here: Path) -> None:
    for query, best in (("a cat", "chelsea"), ("a cup of coffee", "coffee")):
        lines = example("search_photos.py", "photos", "photos.index", query)
        assert len(lines) == 5 and f"  {here / 'photos' / best}.jpg  " in lines[0]
    lines = example("similar_photos.py", "photos.index", "photos/rocket.jpg")
    assert lines[0] == f"1.000  {here / 'photos' / 'rocket.jpg'}" and len(lines) == 5


@pytest.mark.parametrize(
    "name", ["describe_folder.py", "align_sentence.py", "search_photos.py", "similar_photos.py"]
)
def test_examples_are_short(name: str) -> None:
    _, _, code = (ROOT / "examples" / name).read_text(encoding="utf-8").partition('"""\n\n')
    lines = [
        line for line in code.splitlines() if line and not line.startswith(("import ", "from "))
    ]
    assert 0 < len(lines) <= MOST_LINES


def test_python_page(here: Path) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, tried = doctest.testfile(
        str(ROOT / "docs" / "python.md"), module_relative=False, optionflags=flags
    )
    assert (failed, tried > 20) == (0, True)
