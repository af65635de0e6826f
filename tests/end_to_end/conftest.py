"""Running the command line as a user types it, in this process or in one of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from regiontalk.cli import main
from regiontalk.evaluation.captions.java import meteor_is_installed


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status and what it printed."""

    status: int
    out: str
    err: str

    def json(self) -> list[dict[str, Any]]:
        """Each line of stdout as JSON; no line may be anything else."""
        return [json.loads(line) for line in self.out.splitlines()]


Command = Callable[..., Ended]

needs_meteor = pytest.mark.skipif(
    not meteor_is_installed(), reason="needs Java and the extra metrics-java"
)


@pytest.fixture
def bare(capsys: pytest.CaptureFixture[str]) -> Command:
    """`bare("describe", photo)` runs `regiontalk describe PHOTO` in this process."""

    def run(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([os.fspath(each) if isinstance(each, Path) else str(each) for each in arguments])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def command(bare: Command, tiny_pack: Path) -> Command:
    """As `bare`, with the tiny pack."""
    return lambda *arguments: bare(*arguments, "--pack", tiny_pack)


@pytest.fixture
def process(tiny_pack: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts `python -m regiontalk ... --pack TINY` as a process of its own.

    Further options go to `Popen`.
    """

    def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "regiontalk", *map(str, arguments), "--pack", str(tiny_pack)]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        return subprocess.Popen(line, **options)

    return start


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with three photos, the last in a folder below."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for seed, name in enumerate(("a.jpg", "b.png", "more/c.jpg")):
        random_photo(seed, (60 + 20 * seed, 48)).save(folder / name)
    return folder


@pytest.fixture
def damaged_pack(tiny_pack: Path, tmp_path: Path) -> Path:
    """The tiny pack with one byte of its vision graph changed."""
    pack = Path(shutil.copytree(tiny_pack, tmp_path / "damaged"))
    graph = bytearray((pack / "vision.onnx").read_bytes())
    graph[len(graph) // 2] ^= 1
    (pack / "vision.onnx").write_bytes(graph)
    return pack


@pytest.fixture
def captioned(tmp_path: Path) -> Path:
    """A folder like Flickr8k's: 12 photos with two captions each, all of the test split but two."""
    folder = tmp_path / "dataset"
    (folder / "images").mkdir(parents=True)
    lines = ["image,caption"]
    for number in range(12):
        random_photo(number, (64, 48)).save(folder / "images" / f"{number}.jpg")
        lines += [
            f'{number}.jpg,"A dog runs , number {number} ."',
            f"{number}.jpg,Two people in the snow.",
        ]
    (folder / "captions.csv").write_text("\n".join(lines) + "\n")
    (folder / "train.txt").write_text("10.jpg\n11.jpg\n")
    (folder / "test.txt").write_text("".join(f"{number}.jpg\n" for number in range(10)))
    return folder


def random_photo(seed: int, size: tuple[int, int]) -> Image.Image:
    """Soft random blobs, so that photos differ and the tiny network finds something in each."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BILINEAR)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "photos.index"
