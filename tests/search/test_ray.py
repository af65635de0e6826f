"""Bulk embedding on Ray makes the index that one process makes, byte for byte."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ..tiny_pack import write_tiny_pack

pytest.importorskip("ray", reason="needs the extra ray")

EXAMPLE = Path(__file__).parents[2] / "examples" / "bulk_index_ray.py"
IN_ONE_PROCESS = ("-m", "regiontalk", "index", "add")


def run(pack: Path, *line: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, line), "--pack", str(pack)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def save_photos(folder: Path, numbers: range) -> None:
    for number in numbers:
        pixels = np.random.default_rng(number).integers(0, 256, (20, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")


def content(index: Path) -> dict[str, bytes]:
    """Every file but the lock, which names who wrote last."""
    return {path.name: path.read_bytes() for path in index.iterdir() if path.name != "lock"}


@pytest.mark.slow
def test_the_same_bytes_as_one_process(tmp_path: Path) -> None:
    """An index that has some photos goes on.

    With more new ones than a commit, and moved, copied and broken ones.
    """
    # So that photos have hubness
    tiny_pack = write_tiny_pack(tmp_path / "pack", score="mean", bank=True).folder
    photos, one, many = tmp_path / "photos", tmp_path / "one.index", tmp_path / "many.index"
    photos.mkdir()
    save_photos(photos, range(280, 290))
    assert run(tiny_pack, *IN_ONE_PROCESS, photos, "--index", one).returncode == 0
    shutil.copytree(one, many)
    save_photos(photos, range(270))
    (photos / "285.png").rename(photos / "000-moved.png")
    shutil.copy(photos / "003.png", photos / "299-copy.png")
    (photos / "100-broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    os.utime(photos / "282.png", (1, 1))

    expected = run(tiny_pack, *IN_ONE_PROCESS, photos, "--index", one)
    ended = run(tiny_pack, EXAMPLE, photos, "--index", many, "--workers", 2)
    assert (ended.returncode, expected.returncode) == (1, 1)
    assert ended.stdout == expected.stdout.replace(str(one), str(many))
    assert "270 added, 1 moved, 1 copied, 9 unchanged, 1 failed" in ended.stdout
    for line in expected.stderr.splitlines():
        assert line in ended.stderr
    assert content(many) == content(one)
