"""A small world to train on: drawn shapes with captions, and photos with named boxes.

Nothing from outside.
"""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from safetensors.numpy import load_file

from regiontalk.settings import VisionSettings
from regiontalk.training.alignment_config import AlignmentConfig
from regiontalk.training.alignment_data import read_alignment_data
from regiontalk.training.backbones import efficientnet_lite
from regiontalk.training.backbones.efficientnet_lite import EfficientNetLiteBackbone, Variant
from regiontalk.training.captioner_config import CaptionerConfig
from regiontalk.training.train_alignment import AlignmentRun, train_alignment
from regiontalk.training.vision_graph import save_vision
from regiontalk.training.vision_net import VisionNet, float_pixels

TINY = "efficientnet-lite-tiny"
efficientnet_lite.VARIANTS[TINY] = Variant(0.2, 0.4, "")
"""The project's own kind of backbone, of a size that trains in a test; nothing was published for
it."""

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 180, 60),
    "blue": (40, 70, 220),
    "yellow": (240, 220, 40),
    "black": (10, 10, 10),
    "white": (250, 250, 250),
    "pink": (250, 120, 200),
    "orange": (250, 130, 20),
}
SHAPES = ("circle", "square", "triangle")


def draw_shape(colour: str, shape: str) -> Image.Image:
    photo = Image.new("RGB", (64, 64), (128, 140, 150))
    draw, box = ImageDraw.Draw(photo), (12, 12, 52, 52)
    if shape == "circle":
        draw.ellipse(box, fill=COLOURS[colour])
    elif shape == "square":
        draw.rectangle(box, fill=COLOURS[colour])
    else:
        draw.polygon([(12, 52), (52, 52), (32, 12)], fill=COLOURS[colour])
    return photo


def say(colour: str, shape: str) -> list[str]:
    return [
        f"A {colour} {shape} .",
        f"there is a {shape} which is {colour}",
        f"The {shape} is {colour} and large",
    ]


@pytest.fixture(scope="session")
def shapes_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 photos in Flickr8k's layout: 16 to train on, 4 as dev and 4 as test."""
    folder = tmp_path_factory.mktemp("shapes")
    (folder / "images").mkdir()
    kinds = [(colour, shape) for colour in COLOURS for shape in SHAPES]
    names = ["_".join(kind) + ".jpg" for kind in kinds]
    with (folder / "captions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "caption"])
        for name, kind in zip(names, kinds, strict=True):
            draw_shape(*kind).save(folder / "images" / name, quality=95)
            writer.writerows([name, caption] for caption in say(*kind))
    order = np.random.default_rng(0).permutation(names)
    for split, some in (("train", order[:16]), ("dev", order[16:20]), ("test", order[20:])):
        (folder / f"{split}.txt").write_text("\n".join(some) + "\n")
    return folder


@pytest.fixture(scope="session")
def vision_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished vision run with random weights, which tell shapes and colours apart even so."""
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("vision")
    settings = VisionSettings(
        size=64, side=4, feature_dim=32, proposals=10, nms_iou=0.6, min_objectness=0.0
    )
    photos = np.stack(
        [np.asarray(draw_shape(colour, shape)) for colour in COLOURS for shape in SHAPES]
    )
    network = VisionNet(EfficientNetLiteBackbone(TINY, 32)).train()
    with torch.no_grad():
        for _ in range(50):  # as after training, its statistics are those of photos
            network.backbone(float_pixels(torch.from_numpy(photos)))
        normalise_map(network.backbone, float_pixels(torch.from_numpy(photos)))
    save_vision(folder, network, settings, photos)
    return folder


def normalise_map(backbone: EfficientNetLiteBackbone, photos: torch.Tensor) -> None:
    """Centre and scale each channel before its ReLU, as training does.

    Else half float numbers could not hold it.
    """
    fine, coarse = backbone.network.maps(photos)
    fused = backbone.fuse_fine(fine) + F.interpolate(
        backbone.fuse_coarse(coarse), scale_factor=2.0, mode="nearest"
    )
    mean, deviation = fused.mean((0, 2, 3)), fused.std((0, 2, 3))
    for layer in (backbone.fuse_fine, backbone.fuse_coarse):
        layer.weight.div_(deviation[:, None, None, None])
    backbone.fuse_fine.get_parameter("bias").sub_(mean).div_(deviation)


@pytest.fixture(scope="session")
def box_labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 random photos with two boxes each, as a recipe writes them."""
    folder, rng = tmp_path_factory.mktemp("boxes"), np.random.default_rng(2)
    lines = []
    for photo in range(300):
        name = f"{photo:03}.png"
        Image.fromarray(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)).save(
            folder / name, compress_level=0
        )
        boxes = np.sort(rng.random((2, 2, 2)), axis=1).reshape(2, 4).tolist()
        names = [
            [["sofa"], ["couch"], ["triangle", "shape"], []][photo % 4],
            [["circle"], []][photo % 2],
        ]
        if photo == 0:
            names[0] = ["zebra"]  # too rare to be taught
        things = [{"box": box, "names": each} for box, each in zip(boxes, names, strict=True)]
        lines.append(json.dumps({"file_name": name, "boxes": things}))
    (folder / "boxes.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "boxes.jsonl"


@pytest.fixture(scope="session")
def alignment_config(
    shapes_folder: Path, vision_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> AlignmentConfig:
    folder = tmp_path_factory.mktemp("alignment")
    return AlignmentConfig(
        data=((shapes_folder, 1.0),),
        dev=(shapes_folder,),
        vision=vision_run,
        regions=folder / "regions",
        output=folder / "run",
        min_count=1,
        embedding=16,
        hidden=32,
        dim=16,
        dropout=0.0,
        learning_rate=5e-3,
        batch=16,
        epochs=100,
    )


@pytest.fixture(scope="session")
def alignment_run(alignment_config: AlignmentConfig) -> Path:
    train_alignment(alignment_config)
    return alignment_config.output


def captioner_config(alignment: AlignmentConfig, about: str, **more: object) -> CaptionerConfig:
    config = CaptionerConfig(
        data=alignment.data,
        dev=alignment.dev,
        about=about,  # type: ignore[arg-type]
        vision=alignment.vision,
        alignment=alignment.output,
        regions=alignment.regions,
        output=alignment.output.parent / f"captioner_{about}",
        hidden=48,
        embedding=16,
        dropout=0.0,
        learning_rate=1e-2,
        batch=16,
        epochs=40,
    )
    return replace(config, **more)  # type: ignore[arg-type]


def same_tensors(one: Path, other: Path) -> bool:
    a, b = load_file(one), load_file(other)
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def logged(folder: Path, name: str) -> list[float]:
    with (folder / "log.csv").open() as file:
        return [float(row["value"]) for row in csv.DictReader(file) if row["name"] == name]


def a_run(config: AlignmentConfig) -> AlignmentRun:
    """An alignment run on the CPU, not begun."""
    return AlignmentRun(config, read_alignment_data(config, "cpu"), "cpu")
