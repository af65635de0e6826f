"""A vision run learns, resumes exactly, and says what it lacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from regiontalk.errors import DataError, TrainingError
from regiontalk.training import train_vision as vision_stage
from regiontalk.training.backbones.efficientnet_lite import EfficientNetLiteBackbone
from regiontalk.training.train_vision import VisionConfig, train_vision
from regiontalk.training.vision_graph import read_vision

from .small_world import TINY, logged, same_tensors

VISION_FILES = {"backbone.json", "vision.json", "vision.onnx", "vision.safetensors"}


@pytest.fixture
def tiny_backbone(monkeypatch: pytest.MonkeyPatch) -> str:
    """A backbone that needs no package: its weights are random, always the same."""

    def opened(name: str, dim: int) -> EfficientNetLiteBackbone:
        torch.manual_seed(4)
        return EfficientNetLiteBackbone(name, dim)

    monkeypatch.setattr(vision_stage, "open_backbone", opened)
    return TINY


@pytest.mark.parametrize("backbone_learning_rate", [0.0, 1e-3])
def test_vision_run_learns_and_resumes_exactly(
    box_labels: Path, tiny_backbone: str, tmp_path: Path, backbone_learning_rate: float
) -> None:
    config = VisionConfig(
        backbone=tiny_backbone,
        boxes=box_labels,
        output=tmp_path / "whole",
        dim=32,
        image_size=64,
        epochs=2,
        batch=8,
        learning_rate=3e-3,
        backbone_learning_rate=backbone_learning_rate,
    )
    whole = train_vision(config)
    broken = replace(config, output=tmp_path / "broken")
    train_vision(replace(broken, stop_after=3))
    assert not (broken.output / "vision.safetensors").exists()
    assert same_tensors(whole, train_vision(broken))
    for name in ("naming", "box", "objectness", "box_recall"):
        assert len(logged(config.output, f"dev_{name}")) == 2
    assert logged(config.output, "dev_loss")[-1] < logged(config.output, "dev_loss")[0]
    assert {file.name for file in config.output.iterdir()} >= {
        "checkpoint.safetensors",
        "log.csv",
        *VISION_FILES,
    }
    network, settings = read_vision(config.output)
    assert settings.feature_dim == 32
    first, last = "network.conv_stem.weight", "network.conv_head.weight"
    before, after = (
        vision_stage.open_backbone(tiny_backbone, 32).state_dict(),
        network.backbone.state_dict(),
    )
    assert torch.equal(before[first], after[first])  # edges and textures are never trained
    assert torch.equal(before[last], after[last]) == (backbone_learning_rate == 0)


def test_few_photos_make_no_vision_run(
    box_labels: Path, tiny_backbone: str, tmp_path: Path
) -> None:
    few = tmp_path / "boxes.jsonl"
    few.write_text("".join(box_labels.read_text().splitlines(True)[:10]))
    with pytest.raises(
        DataError, match=r"boxes\.jsonl: 10 photos, of which 256 are held out; give it more"
    ):
        train_vision(VisionConfig(backbone=tiny_backbone, boxes=few, output=tmp_path / "run"))
    with pytest.raises(
        TrainingError, match="image_size: this backbone takes multiples of 32 pixels"
    ):
        train_vision(
            VisionConfig(
                backbone=tiny_backbone, boxes=box_labels, output=tmp_path / "run", image_size=100
            )
        )
