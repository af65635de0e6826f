"""Tuning weights that are good already: the best measurement is kept, and then mixed with what there was before.

A run like any other (`regiontalk.training.loop`), with a file more for the best weights so far and one for the outcome.
Killed at any moment, the same call ends with the same outcome.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from regiontalk.training.checkpoint import FILE_NAME, read_tensors, write_tensors
from regiontalk.training.config import require_same_run
from regiontalk.training.loop import Task, measure, train

BEST, TUNED = "best.safetensors", "tuned.safetensors"
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the tuned weights in the mix: 0 leaves the weights as they were, but for what is new."""

Goodness = tuple[float, ...]
"""Of a measurement: the greater the better, the first number first."""

_AGAIN = "remove it and give the command again"


@dataclass(frozen=True)
class Choice:
    """How weights are chosen by what is measured.

    Attributes:
        step: the goodness of a measurement by which steps of the run compete.
        share: that by which shares of the mix do.
        patience: measurements without a better one after which the run ends.
        words: tensors with a part for each word, and the axis of the words.
        known: V; words from there on are new, and as they were learnt in every mix.
    """

    step: Callable[[Mapping[str, float]], Goodness]
    share: Callable[[Mapping[str, float]], Goodness]
    patience: int
    words: Mapping[str, int]
    known: int


def tune(task: Task, folder: Path, choice: Choice) -> float:
    """Tune a task's network, or take what was tuned before; the network has the outcome then.

    Args:
        task: its network has the first weights; `enough` is not asked.
        folder: of the run.
        choice: see `Choice`.

    Returns:
        The share of the tuned weights in the mix.

    Raises:
        TrainingError: if a file of the folder is damaged or of another run; as `train`.
    """
    network, first = task.network, copied(task.network)
    if (folder / TUNED).exists():
        tensors, metadata = read_tensors(folder / TUNED, _AGAIN)
        require_same_run(folder / TUNED, metadata["run"], task.run)
        network.load_state_dict(tensors)
        network.eval()
        return float(metadata["share"])
    best = Best(network, folder / BEST, task.run, choice.step, choice.patience * task.validate_every)
    train(replace(task, enough=best), folder)
    learnt, _ = read_tensors(folder / BEST, _AGAIN)
    share = best_share(task, first, learnt, choice)
    network.load_state_dict(mixed(first, learnt, share, choice))
    network.eval()
    write_tensors(network.state_dict(), folder / TUNED, {"run": task.run, "share": str(share)})
    for name in (FILE_NAME, BEST):  # several times the size of the outcome, and of no more use
        (folder / name).unlink(missing_ok=True)
    return share


class Best:
    """The weights of the best measurement so far, in a file; of equal ones those of the first.

    A run that goes on after a kill may find weights of a step that it has yet to come to again: it measures there what
    was measured, and all is as if it had not been killed.

    Args:
        network: whose weights.
        file: where they are kept.
        run: identifies the run.
        goodness: of a measurement.
        patience: steps without a better measurement after which it is enough.
    """

    def __init__(
        self,
        network: nn.Module,
        file: Path,
        run: str,
        goodness: Callable[[Mapping[str, float]], Goodness],
        patience: int,
    ) -> None:
        self.network, self.file, self.run, self.goodness, self.patience = network, file, run, goodness, patience
        self.step, self.found = 0, Goodness()  # smaller than any
        if file.exists():
            _, metadata = read_tensors(file, _AGAIN)
            require_same_run(file, metadata["run"], run)
            self.step, self.found = int(metadata["step"]), tuple(json.loads(metadata["goodness"]))

    def __call__(self, step: int, numbers: Mapping[str, float]) -> bool:
        """Take note of a measurement; whether it is enough."""
        found = self.goodness(numbers)
        if found > self.found:
            self.step, self.found = step, found
            about = {"run": self.run, "step": str(step), "goodness": json.dumps(found)}
            write_tensors(self.network.state_dict(), self.file, about)
        return step - self.step >= self.patience


def best_share(task: Task, first: Mapping[str, Tensor], learnt: Mapping[str, Tensor], choice: Choice) -> float:
    """The share of the mix that measures best; of equal ones the smallest, which keeps most of what was known."""
    found: dict[float, Goodness] = {}
    for share in SHARES:
        task.network.load_state_dict(mixed(first, learnt, share, choice))
        found[share] = choice.share(measure(task, rehearsal=False))
    return max(found, key=lambda share: (found[share], -share))


def mixed(first: Mapping[str, Tensor], learnt: Mapping[str, Tensor], share: float, choice: Choice) -> dict[str, Tensor]:
    """(1 - share) of the first weights and share of the learnt ones; new words as learnt."""
    found = {name: torch.lerp(value, learnt[name].to(value), share) for name, value in first.items()}
    for name, axis in choice.words.items():
        new = found[name].shape[axis] - choice.known
        found[name].narrow(axis, choice.known, new).copy_(learnt[name].narrow(axis, choice.known, new))
    return found


def copied(network: nn.Module) -> dict[str, Tensor]:
    """Its weights and buffers as they are now."""
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
