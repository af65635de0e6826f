"""Optimisers by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer


def parameter_groups(
    parameters: Iterable[nn.Parameter], learning_rate: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Two groups: matrices decay, biases and normalisation do not. Frozen parameters are left out."""
    trained = [p for p in parameters if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "lr": learning_rate, "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "lr": learning_rate, "weight_decay": 0.0},
    ]


def make_optimiser(name: str, groups: list[dict[str, Any]]) -> Optimizer:
    """`sgd` (momentum 0.9) and `rmsprop` as the paper used them, or `adamw`."""
    groups = [group for group in groups if group["params"]]
    if name == "sgd":
        return torch.optim.SGD(groups, momentum=0.9)
    if name == "rmsprop":
        return torch.optim.RMSprop(groups, alpha=0.99)
    return torch.optim.AdamW(groups, fused=True)


OPTIMISERS = ("sgd", "rmsprop", "adamw")
