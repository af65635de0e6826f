"""The mean of a network's weights over its last steps (Polyak and Juditsky, 1992).

At a high learning rate weights wander about a wide valley; their mean lies in its middle, and does better on photos
that were not trained on than where a falling rate would have let them settle.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class RunningMean:
    """An exponentially weighted mean of all parameters. Buffers are not averaged.

    Args:
        network: whose parameters.
        kept: share of the mean that a step keeps; the mean reaches back some 1 / (1 - kept) steps. With 0 there is no
            mean: nothing is held, and nothing is done.

    Attributes:
        mean: a tensor for each parameter; none with `kept` of 0.
    """

    def __init__(self, network: nn.Module, kept: float) -> None:
        self.kept = kept
        self.weights = list(network.parameters()) if kept else []
        self.mean: list[Tensor] = [weight.detach().clone() for weight in self.weights]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Add the weights after a step, counted from 0. Early on the mean reaches less far back."""
        kept = min(self.kept, (step + 1) / (step + 10))
        for mean, weight in zip(self.mean, self.weights, strict=True):
            mean.lerp_(weight, 1 - kept)

    @torch.no_grad()
    def swap(self) -> None:
        """The network gets the mean, and the mean's place its weights; once more, and all is as before."""
        for mean, weight in zip(self.mean, self.weights, strict=True):
            before = weight.clone()
            weight.copy_(mean)
            mean.copy_(before)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within it the network has the mean for its weights."""
        self.swap()
        try:
            yield
        finally:
            self.swap()
