"""Where training runs, and in which precision."""

from __future__ import annotations

import torch


def best_device() -> str:
    """`cuda` when there is one, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def autocast(device: str) -> torch.autocast:
    """bfloat16 for convolutions and matrix products: two to three times faster, float32's range."""
    return torch.autocast(device, dtype=torch.bfloat16)
