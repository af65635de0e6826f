"""Time and memory of backbones of their real sizes, with random weights.

Neither depends on the weights, and nothing is fetched.

    python benchmarks/backbones.py           # EfficientNet-Lite2, DINOv2-small, SigLIP 2 base
    python benchmarks/backbones.py --only dinov2-small

Each runs in a process of its own, so that peaks of memory are its own: a training step of the
vision network, bfloat16, in batches of `--batch` photos; then its exported graph through ONNX
Runtime. Needs the extras `train` and `hub`.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SIZES = {"efficientnet-lite2": 320, "dinov2-small": 224, "siglip2-base": 224}
"""Pixels a side of the photos."""


def main() -> None:
    """Measure each backbone in a process of its own and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", choices=SIZES, action="append", help="this backbone; may be given again"
    )
    parser.add_argument(
        "--batch", type=int, default=16, help="photos in a training step (default: 16)"
    )
    parser.add_argument("--here", choices=SIZES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(measure(options.here, options.batch))
        return
    columns = (
        "backbone",
        "parameters",
        "trained, photos/s",
        "memory",
        "graph",
        "looked at, photos/s",
    )
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|", flush=True)
    for name in options.only or SIZES:
        line = [sys.executable, __file__, "--here", name, "--batch", str(options.batch)]
        subprocess.run(line, check=True)


def measure(name: str, batch: int) -> str:
    """A row of the table."""
    import torch

    from regiontalk.training.vision_graph import vision_graph
    from regiontalk.training.vision_net import VisionNet, float_pixels

    torch.manual_seed(0)
    network, size = VisionNet(backbone(name)), SIZES[name]
    count = sum(each.numel() for each in network.parameters()) / 1e6
    pixels = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    photos = float_pixels(torch.from_numpy(pixels))

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            feature_map = network.train().backbone(photos)
            boxes, logits = network.proposals(feature_map)
        (feature_map.float().mean() + boxes.mean() + logits.mean()).backward()
        network.zero_grad(set_to_none=True)

    trained = batch / fastest(step, 2)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    graph = vision_graph(network, pixels[:8])
    looked = batch / fastest(runner(graph, pixels), 3)
    cells = (
        f"{name}, {size} px",
        f"{count:.1f} M",
        f"{trained:.1f}",
        f"{memory:.1f} GB",
        f"{len(graph) / 1e6:.0f} MB",
    )
    return "| " + " | ".join((*cells, f"{looked:.1f}")) + " |"


def backbone(name: str) -> Any:
    """The network with random weights."""
    from regiontalk.training.backbones.efficientnet_lite import EfficientNetLiteBackbone
    from regiontalk.training.backbones.hub import IMAGENET, HubBackbone, import_transformers

    if name == "efficientnet-lite2":
        return EfficientNetLiteBackbone(name, 512)
    transformers = import_transformers()
    if name == "dinov2-small":
        config = transformers.Dinov2Config(
            hidden_size=384, num_attention_heads=6, image_size=518, patch_size=14
        )
        return HubBackbone(transformers.Dinov2Backbone(config), IMAGENET, {})
    config = transformers.SiglipVisionConfig(
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        image_size=224,
    )
    return HubBackbone(transformers.SiglipVisionModel(config), IMAGENET, {})


def runner(graph: bytes, pixels: np.ndarray) -> Callable[[], None]:
    """Looks at all photos, as `Model.look` batches them."""
    import onnxruntime

    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def run() -> None:
        for at in range(0, len(pixels), 8):
            session.run(None, {"pixels": pixels[at : at + 8]})

    return run


def fastest(work: Callable[[], None], repeats: int) -> float:
    """Seconds of the fastest run, after one that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


if __name__ == "__main__":
    main()
