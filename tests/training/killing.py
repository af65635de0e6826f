"""A kill in the middle of training."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import Tensor

from regiontalk.training import loop

ALWAYS, NEVER = -1.0, 1e9
"""Seconds between checkpoints: one after each step, or none before the end."""


def kill(training: Callable[[], object], step: int, checkpoint_seconds: float) -> None:
    """Run a training and kill it before a step, counted from 1 through all its stages."""
    take_step, count = loop.take_step, 0

    def falter(*arguments: object) -> dict[str, Tensor]:
        nonlocal count
        count += 1
        if count == step:
            raise KeyboardInterrupt
        return take_step(*arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "CHECKPOINT_SECONDS", checkpoint_seconds)
        patched.setattr(loop, "take_step", falter)
        with pytest.raises(KeyboardInterrupt):
            training()
