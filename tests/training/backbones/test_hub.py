"""Backbones of transformers.

Tiny ones with random weights, from a folder to a pack that runs without torch.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from regiontalk.errors import TrainingError
from regiontalk.training.alignment_config import AlignmentConfig
from regiontalk.training.backbones import open_backbone
from regiontalk.training.backbones.hub import hub_backbone
from regiontalk.training.export import ExportConfig, export_pack
from regiontalk.training.train_alignment import train_alignment
from regiontalk.training.train_captioner import train_captioner
from regiontalk.training.train_vision import VisionConfig, train_vision
from regiontalk.training.vision_graph import float_graph, read_vision
from regiontalk.training.vision_net import VisionNet

from ..small_world import captioner_config

transformers = pytest.importorskip("transformers", reason="needs the extra 'hub'")

VIT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
TOWER = VIT | {"intermediate_size": 64, "image_size": 64, "patch_size": 16}
NETWORKS: dict[str, tuple[Callable[[], Any], int]] = {
    "dinov2": (
        lambda: transformers.Dinov2Backbone(
            transformers.Dinov2Config(**VIT, image_size=56, patch_size=14)
        ),
        14,
    ),
    "dinov3": (
        lambda: transformers.DINOv3ViTBackbone(
            transformers.DINOv3ViTConfig(
                **VIT, intermediate_size=64, patch_size=16, num_register_tokens=2
            )
        ),
        16,
    ),
    "convnext": (
        lambda: transformers.ConvNextBackbone(
            transformers.ConvNextConfig(
                depths=[1] * 4, hidden_sizes=[8, 16, 24, 32], out_features=["stage4"]
            )
        ),
        32,
    ),
    "swin": (
        lambda: transformers.SwinBackbone(
            transformers.SwinConfig(
                embed_dim=16, depths=[1, 1], num_heads=[2, 2], window_size=4, image_size=64
            )
        ),
        8,
    ),
    "resnet": (
        lambda: transformers.ResNetBackbone(
            transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
        ),
        8,
    ),
    "clip": (lambda: transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**TOWER)), 16),
    "siglip": (
        lambda: transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**TOWER)),
        16,
    ),
}


def saved(kind: str, folder: Path) -> Path:
    """A folder as the hub would have it."""
    torch.manual_seed(5)
    NETWORKS[kind][0]().save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny\n")
    (folder / "preprocessor_config.json").write_text(
        '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.25]}'
    )
    return folder


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_kind_opens_exports_and_comes_back(kind: str, tmp_path: Path) -> None:
    backbone = open_backbone(f"transformers:{saved(kind, tmp_path / 'tiny')}", 512)
    assert backbone.stride == backbone.multiple_of == NETWORKS[kind][1]
    assert backbone.description["origin"] == {
        "name": "tiny",
        "revision": "local",
        "licence": "apache-2.0",
    }
    assert backbone.description["scaling"] == [[0.5] * 3, [0.5, 0.5, 0.25]]
    size = 3 * backbone.stride
    network = VisionNet(backbone).eval()
    # Traced with two
    pixels = np.random.default_rng(1).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = network(torch.from_numpy(pixels))
    assert expected[0].shape == (3, 9, backbone.dim)
    session = onnxruntime.InferenceSession(float_graph(network, size).SerializeToString())
    for ours, theirs in zip(
        session.run(["map", "boxes", "objectness"], {"pixels": pixels}), expected, strict=True
    ):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4 * float(theirs.abs().max()))
    again = VisionNet(hub_backbone(json.loads(json.dumps(backbone.description)))).eval()
    again.load_state_dict(network.state_dict())
    with torch.no_grad():
        for ours, theirs in zip(again(torch.from_numpy(pixels)), expected, strict=True):
            assert torch.equal(ours, theirs)


def test_the_pixels_are_scaled_as_the_weights_expect(tmp_path: Path) -> None:
    with_file = open_backbone(f"transformers:{saved('resnet', tmp_path / 'a')}", 0)
    (tmp_path / "a" / "preprocessor_config.json").unlink()
    without = open_backbone(f"transformers:{tmp_path / 'a'}", 0)
    photos = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    channels = (1, 3, 1, 1)
    same = (photos / 255 - 0.5) / torch.tensor([0.5, 0.5, 0.25]).view(channels)
    as_imagenet = (same * deviation.view(channels) + mean.view(channels)) * 255
    with torch.no_grad():
        torch.testing.assert_close(with_file(photos), without(as_imagenet), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "cannot be opened"),
        ({"config.json": "{"}, "cannot be opened"),
        (
            {"config.json": '{"model_type": "bert"}'},
            "bert is neither a backbone nor one of clip, siglip",
        ),
        ({"config.json": '{"model_type": "resnet"}'}, "cannot be opened"),
    ],
)
def test_what_cannot_be_opened_is_told(tmp_path: Path, files: dict[str, str], told: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(TrainingError, match=told):
        open_backbone(f"transformers:{tmp_path}", 0)


def test_a_damaged_description_is_told() -> None:
    for damaged in (
        {},
        {"config": 3},
        {"config": {"model_type": "resnet"}},
        {"config": {"model_type": "no such"}},
    ):
        with pytest.raises(
            TrainingError, match="description of a transformers backbone is damaged"
        ):
            hub_backbone({"backbone": "transformers", **damaged})


def test_from_a_folder_to_a_pack_that_runs_without_torch(
    tmp_path: Path, box_labels: Path, alignment_config: AlignmentConfig, shapes_folder: Path
) -> None:
    """As recipes/hub_backbone says, with tiny settings."""
    name = f"transformers:{saved('siglip', tmp_path / 'siglip')}"
    vision = VisionConfig(name, box_labels, tmp_path / "vision", image_size=64, epochs=1, batch=64)
    train_vision(vision)
    assert read_vision(vision.output)[1].side == 4
    alignment = replace(
        alignment_config,
        vision=vision.output,
        regions=tmp_path / "regions",
        output=tmp_path / "alignment",
        epochs=1,
        vision_learning_rate=1e-4,
    )
    train_alignment(alignment)
    captioned = replace(alignment, vision=alignment.output, regions=tmp_path / "regions_tuned")
    photo, region = (
        captioner_config(captioned, about, epochs=1, output=tmp_path / about)
        for about in ("photo", "region")
    )
    for config in (photo, region):
        train_captioner(config)
    pack = export_pack(
        ExportConfig(
            output=tmp_path / "pack",
            name="hub",
            licence="apache-2.0",
            vision=alignment.output,
            alignment=alignment.output,
            photo_captioner=photo.output,
            region_captioner=region.output,
            data=(shapes_folder,),
        )
    )
    assert pack.settings.trained_on["backbone"] == {
        "name": "siglip",
        "revision": "local",
        "licence": "apache-2.0",
    }
    photos = sorted((shapes_folder / "images").glob("*.jpg"))[:2]
    script = (
        "import sys, regiontalk; model = regiontalk.load(sys.argv[1]); "
        "print(model.describe(sys.argv[2]).caption.text);assert not {'torch', 'transformers'} & "
        "set(sys.modules)"
    )
    line = [sys.executable, "-c", script, str(pack.folder), str(photos[0])]
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    assert ended.returncode == 0 and ended.stdout.strip(), ended.stderr
