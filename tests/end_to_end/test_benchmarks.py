"""The benchmarks run and say what they measured. How fast anything is, no test says."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from regiontalk.pack import Pack, save_pack

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(BENCHMARKS / f"{name}.py"), "--repeats", "1", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.fixture
def own_backbone(tiny_pack: Path, tmp_path: Path) -> Path:
    """The tiny pack with a graph exported from the project's own network."""
    torch = pytest.importorskip("torch")
    from regiontalk.training.backbones.efficientnet_lite import EfficientNetLiteBackbone
    from regiontalk.training.vision_graph import vision_graph
    from regiontalk.training.vision_net import VisionNet

    pack = Pack.load(tiny_pack)
    torch.manual_seed(0)
    network = VisionNet(
        EfficientNetLiteBackbone("efficientnet-lite0", pack.settings.vision.feature_dim)
    )
    size = pack.settings.vision.size
    graph = vision_graph(
        network, np.random.default_rng(0).integers(0, 256, (8, size, size, 3), dtype=np.uint8)
    )
    return save_pack(tmp_path / "own", pack.settings, pack.arrays, graph, pack.vocabulary).folder


def test_vision_with_eager_pytorch(own_backbone: Path) -> None:
    ended = run("vision", "--pack", str(own_backbone), "--copies", "1")
    assert ended.returncode == 0, ended.stderr
    assert "differ by" in ended.stdout  # and were the same, or it would have stopped
    for row in (
        "look",
        "a pass for each of 20 crops",
        "eager PyTorch",
        "at least 5",
        "at least 1.5",
    ):
        assert row in ended.stdout


@pytest.mark.skipif(find_spec("torch") is None, reason="needs the extra train (PyTorch)")
def test_vision_of_a_foreign_backbone(tiny_pack: Path) -> None:
    ended = run("vision", "--pack", str(tiny_pack), "--copies", "1")
    assert ended.returncode == 0, ended.stderr
    assert "backbone is not an EfficientNet-Lite" in ended.stdout
    assert "at least 5" in ended.stdout


def test_captions(tiny_pack: Path) -> None:
    ended = run("captions", "--pack", str(tiny_pack), "--copies", "1", "--beam", "2")
    assert ended.returncode == 0, ended.stderr
    assert "photo captioner" in ended.stdout
    assert "region captioner" in ended.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
def test_retrieval() -> None:
    ended = run("retrieval", "--photos", "20", "--sentences", "60", "--dimensions", "8")
    assert ended.returncode == 0, ended.stderr
    for row in ("retrieval", "plain product, tiles of ", "at least 60%", "under 1000 MB"):
        assert row in ended.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
def test_search_simulated() -> None:
    ended = run("search", "--simulate", "300", "--candidates", "20", "--queries", "2")
    assert ended.returncode == 0, ended.stderr
    for row in (
        "300 photos, 20 candidates",
        "two stages",
        "first exact search, which compares checksums",
        "Built in",
    ):
        assert row in ended.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="needs wait4")
def test_startup(tiny_pack: Path) -> None:
    ended = run("startup", "--pack", str(tiny_pack))
    assert ended.returncode == 0, ended.stderr
    for row in ("regiontalk --help", "regiontalk describe", "under 0.4", "under 1.5", "under 500"):
        assert row in ended.stdout


def test_like(tiny_pack: Path, captioned: Path) -> None:
    (captioned / "dev.txt").write_text("".join(f"{number}.jpg\n" for number in range(12)))
    for split in ("train.txt", "test.txt"):
        (captioned / split).write_text("")
    ended = run("like", "--pack", str(tiny_pack), str(captioned))
    assert ended.returncode == 0, ended.stderr
    for row in (
        "12 dev photos",
        "search --like: cosine of means",
        "MaxSim of dot products",
        "chance",
    ):
        assert row in ended.stdout
    assert (
        "nothing was measured"
        in run("like", "--pack", str(tiny_pack), str(captioned), "--photos", "10").stderr
    )


def test_own_texts(tiny_pack: Path, captioned: Path) -> None:
    ended = run("own_texts", "--pack", str(tiny_pack), str(captioned), "--split", "test")
    assert ended.returncode == 0, ended.stderr
    for row in ("10 test photos", "a caption", "three words", "a tenth"):
        assert row in ended.stdout


def test_a_command_that_fails_is_not_measured() -> None:
    ended = run("startup", "--pack", "missing")
    assert ended.returncode != 0
    assert "nothing was measured" in ended.stderr


def test_fingerprints(captioned: Path) -> None:
    (captioned / "copy.jpg").write_bytes((captioned / "images" / "0.jpg").read_bytes())
    line = [sys.executable, str(BENCHMARKS / "fingerprints.py"), str(captioned), "--changed", "3"]
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    for row in ("3 photos against", "mirrored", "78 pairs of 13 photos", "0 bits: "):
        assert row in ended.stdout
    assert ended.stdout.count("bits: ") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
def test_backbones() -> None:
    pytest.importorskip("torch")
    line = [
        sys.executable,
        str(BENCHMARKS / "backbones.py"),
        "--only",
        "efficientnet-lite2",
        "--batch",
        "2",
    ]
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "| efficientnet-lite2, 320 px | 6.1 M |" in ended.stdout
