"""MobileNetV2 (Sandler et al., 2018) with its normalisation folded in: the teacher of the vision network.

It runs beside its student, so that both see the very same pixels, whatever window on a photo these are.

Axis names: B photos, S pixels a side.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from regiontalk.errors import DataError
from regiontalk.training.staged_net import BORDERS

CLASSES = 1001
"""ImageNet's, after one for the background."""


def convolution(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution that pads right and below only where it skips cells, as TensorFlow does."""
    around = size // 2 if stride == 1 else 0
    padding = [] if stride == 1 else [nn.ZeroPad2d((0, size - 2, 0, size - 2))]
    return [*padding, nn.Conv2d(inputs, outputs, size, stride, around, groups=groups)]


class Block(nn.Module):
    """Expand, look around, project; with a shortcut where the shapes allow it."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        expand = [*convolution(inputs, hidden, 1), nn.ReLU6()] if expansion > 1 else []
        look = [*convolution(hidden, hidden, 3, stride, hidden), nn.ReLU6()]
        self.layers = nn.Sequential(*expand, *look, *convolution(hidden, outputs, 1))
        self.shortcut = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.shortcut else y


def stage(inputs: int, outputs: int, stride: int, blocks: int) -> list[nn.Module]:
    """Blocks that expand sixfold; the first changes channels and size."""
    return [Block(inputs, outputs, stride, 6), *(Block(outputs, outputs, 1, 6) for _ in range(blocks - 1))]


class TeacherNet(nn.Module):
    """Its six stages have the borders of `StagedNet`'s. It is never trained."""

    def __init__(self) -> None:
        super().__init__()
        first = [*convolution(3, 32, 3, 2), nn.ReLU6(), Block(32, 16, 1, 1), *stage(16, 24, 2, 2)]
        last = [*stage(160, 320, 1, 1), *convolution(320, BORDERS[-1], 1), nn.ReLU6()]
        middle = [stage(24, 32, 2, 3), stage(32, 64, 2, 4), stage(64, 96, 1, 3), stage(96, 160, 2, 3)]
        self.stages = nn.ModuleList(nn.Sequential(*layers) for layers in (first, *middle, last))
        self.classifier = nn.Conv2d(BORDERS[-1], CLASSES, 1)
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def chain(self, photos: Tensor) -> Iterator[Tensor]:
        """What each stage passes on, photos (B, 3, S, S) in -1..1 → (B, BORDERS[k], S / STRIDES[k], S / STRIDES[k])."""
        x = photos
        for each in self.stages:
            x = each(x)
            yield x

    def class_scores(self, pooled: Tensor) -> Tensor:
        """Log-probabilities of the classes for features (B, BORDERS[-1]) averaged over the last map."""
        return self.classifier(pooled[..., None, None])[..., 0, 0].log_softmax(-1)


def read_teacher(file: Path) -> TeacherNet:
    """The teacher, from the weights that the recipe's teach.py wrote.

    Raises:
        DataError: if they are missing, damaged or not its own.
    """
    teacher = TeacherNet()
    try:
        teacher.load_state_dict(load_file(file))
    except FileNotFoundError as error:
        raise DataError(f"{file}: not found; run the recipe's teach.py once more, it adds the teacher") from error
    except (SafetensorError, OSError, RuntimeError) as error:
        raise DataError(f"{file}: damaged ({error}); remove it and run the recipe's teach.py again") from error
    return teacher
