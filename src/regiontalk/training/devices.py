"""Where training runs, and in which precision."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.utils.deterministic

from regiontalk.vision.session import available_cpus

MOST_PROCESSES = 12
"""That make batches: each keeps two ready, and a batch of photos takes tens of megabytes."""


def best_device() -> str:
    """`cuda` when there is one, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def loading_processes() -> int:
    """How many processes make batches while another trains; 0 where a thread will do.

    A GPU waits for its batches, and threads would take turns with the one that keeps it busy. On a CPU all cores are
    busy training anyway.
    """
    if not torch.cuda.is_available() or "fork" not in multiprocessing.get_all_start_methods():
        return 0
    return min(available_cpus(), MOST_PROCESSES)


def autocast(device: str) -> torch.autocast:
    """bfloat16 for convolutions and matrix products: two to three times faster, float32's range."""
    return torch.autocast(device, dtype=torch.bfloat16)


@contextmanager
def repeatable() -> Iterator[None]:
    """Within it the same seed gives the same weights on a CPU.

    Without it some gradients (of an indexed tensor, say) are summed by several threads in whatever order they arrive.
    On a GPU the fast kernels are kept, whose sums may differ in the last digits.
    """
    memory: Any = torch.utils.deterministic
    before, filled = torch.are_deterministic_algorithms_enabled(), memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(before or not torch.cuda.is_available())
    memory.fill_uninitialized_memory = False  # costs time, and guards against what is not done here
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        memory.fill_uninitialized_memory = filled
