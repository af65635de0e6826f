"""Pipes, devices and links to them wherever a command takes a file: refused at once, by name.

No command waits.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from .conftest import Command

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes and /dev/zero")

MOST_SECONDS = 60
"""After which a command counts as hanging."""

USES: dict[str, Callable[[Path, Path], list[object]]] = {
    "describe a photo": lambda odd, _: ["describe", odd],
    "describe a folder": lambda odd, _: ["describe", odd.parent],
    "a table of alternative texts": lambda odd, out: ["describe", out / "a.jpg", "--csv", odd],
    "regions": lambda odd, _: ["regions", odd],
    "align": lambda odd, _: ["align", odd, "a dog"],
    "inspect": lambda odd, _: ["inspect", odd],
    "report of photos": lambda odd, out: ["report", odd, "-o", out / "r.html"],
    "report with sentences": lambda odd, out: [
        "report",
        out / "a.jpg",
        "--sentences",
        odd,
        "-o",
        out / "r.html",
    ],
    "index add": lambda odd, out: ["index", "add", odd, "--index", out / "index"],
    "index info": lambda odd, _: ["index", "info", "--index", odd.parent],
    "search in an index": lambda odd, _: ["search", "a dog", "--index", odd.parent],
    "search like a photo": lambda odd, out: ["search", "--sentences", out / "s.txt", "--like", odd],
    "search sentences": lambda odd, out: ["search", "--sentences", odd, "--like", out / "a.jpg"],
    "a captioned file": lambda odd, _: ["evaluate", "retrieval", odd],
    "a captioned folder": lambda odd, _: ["evaluate", "describe", odd.parent],
    "saved scores": lambda odd, _: ["evaluate", "retrieval", "--scores", odd],
    "predictions": lambda odd, out: ["evaluate", "captions", odd, out / "captions.csv"],
    "references": lambda odd, out: ["evaluate", "captions", out / "captions.csv", odd],
    "boxes": lambda odd, _: ["evaluate", "grounding", odd],
    "boxes in a folder": lambda odd, _: ["evaluate", "search", odd.parent],
    "captions of boxes": lambda odd, out: ["evaluate", "objects", out, "--captions", odd],
    "people's captions of boxes": lambda odd, out: ["evaluate", "objects", out, "--human", odd],
    "names of photos": lambda odd, out: [
        "evaluate",
        "grounding",
        out / "boxes.jsonl",
        "--images",
        odd,
    ],
}
NAMES = (
    *("odd.jpg", "manifest.json", "metadata.jsonl", "captions.csv", "boxes.jsonl", "scores.npy"),
    *("odd.jpg.txt", "odd.jpg.xmp"),
)
"""Names under which the commands above look for files, or judge them."""


@pytest.fixture(autouse=True)
def nothing_hangs() -> Iterator[None]:
    def give_up(*_: object) -> None:
        raise AssertionError(f"hangs: no end within {MOST_SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(MOST_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def sound(photo_file: Path, tmp_path: Path) -> Path:
    """A folder of sound files, and one to write to."""
    folder = tmp_path / "sound"
    folder.mkdir()
    shutil.copy(photo_file, folder / "a.jpg")
    (folder / "s.txt").write_text("a dog\n")
    (folder / "captions.csv").write_text("image,caption\na.jpg,a dog\n")
    (folder / "boxes.jsonl").write_text(
        '{"file_name": "a.jpg", "width": 120, "height": 80, "boxes_xyxy": '
        '[[1, 1, 9, 9]], "labels": ["dog"]}\n'
    )
    return folder


def _odd(kind: str, path: Path) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")


@pytest.mark.parametrize("kind", ["pipe", "link to a device"])
@pytest.mark.parametrize("use", USES)
def test_no_command_waits_for_it(
    command: Command, bare: Command, sound: Path, tmp_path: Path, kind: str, use: str
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in NAMES:
        _odd(kind, folder / name)
    for name in NAMES:
        arguments = USES[use](folder / name, sound)
        run = bare if arguments[1] == "captions" or arguments[:2] == ["index", "info"] else command
        if {"--scores", "--captions"} & {str(each) for each in arguments}:
            run = bare
        ended = run(*arguments)
        assert ended.status in (1, 2), (arguments, ended)
        assert str(folder) in ended.err or "no photo" in ended.err


@pytest.mark.parametrize("kind", ["pipe", "link to a device"])
def test_no_pack_of_them_is_loaded(
    bare: Command, tiny_pack: Path, photo_file: Path, tmp_path: Path, kind: str
) -> None:
    for file in sorted(tiny_pack.iterdir()):
        pack = Path(shutil.copytree(tiny_pack, tmp_path / file.name / "pack"))
        (pack / file.name).unlink()
        _odd(kind, pack / file.name)
        ended = bare("describe", photo_file, "--pack", pack)
        assert (ended.status, str(pack / file.name) in ended.err) == (2, True), ended


@pytest.mark.skipif(find_spec("torch") is None, reason="needs the extra train (PyTorch)")
@pytest.mark.parametrize("kind", ["pipe", "link to a device"])
@pytest.mark.parametrize(
    "what", [["train", "vision"], ["train", "alignment"], ["train", "captioner"], ["export"]]
)
def test_no_config_of_them_is_read(
    bare: Command, tmp_path: Path, kind: str, what: list[str]
) -> None:
    _odd(kind, tmp_path / "config.toml")
    ended = bare(*what, tmp_path / "config.toml")
    assert (ended.status, "config.toml: expected a regular file" in ended.err) == (2, True), ended
