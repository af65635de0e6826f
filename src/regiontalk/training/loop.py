"""The training loop of every network: forward, backward, step, checkpoints, EMA.

A run is a pure function of its settings and seed: step n depends on n alone, so that a run that was
killed and resumed ends with the same weights as one that was not.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.utils.deterministic
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim import Optimizer

from regiontalk.errors import TrainingError
from regiontalk.training.batches import (
    batches_ahead,
    loading_processes,
    worker_deaths_as_errors,
)
from regiontalk.training.checkpoint import load_checkpoint, save_checkpoint

LOG_EVERY = 50
CHECKPOINT_SECONDS = 120


@dataclass(frozen=True)
class Task:
    """A network with its optimiser, batches, losses and evaluation.

    Attributes:
        network: holds every parameter and buffer that a checkpoint must keep.
        optimiser: over the network's parameters.
        steps: optimiser steps in the whole run.
        learning_rate: step → factor on each parameter group's `initial_lr`.
        batch: step → a batch on the CPU; prefetched by another thread or process, so it must depend
            on the step alone.
        losses: batch → named losses; the first, `loss`, is minimised, the others are logged.
        validate: rehearsal → named metrics on held-out data; with rehearsal=True on two batches
            only.
        validate_every: in steps.
        clip: bound on each element of the gradient (the paper's 5); None for none.
        run: identifies the run's settings in checkpoints, a JSON object.
        averaging: decay of the weights' exponential moving average, see `Ema`, which is evaluated
            and remains; 0 for the weights themselves.
        enough: early stopping: called with the step and its metrics after each evaluation, while
            the network has the evaluated weights; True ends the run. It must depend on the step
            alone, too.
    """

    network: nn.Module
    optimiser: Optimizer
    steps: int
    learning_rate: Callable[[int], float]
    batch: Callable[[int], Any]
    losses: Callable[[Any], dict[str, Tensor]]
    validate: Callable[[bool], dict[str, float]]
    validate_every: int
    clip: float | None
    run: str
    averaging: float = 0.0
    enough: Callable[[int, dict[str, float]], bool] = lambda step, numbers: False


def train(task: Task, folder: Path, stop_after: int | None = None) -> int:
    """Run or resume a task; checkpoints and `log.csv` go to `folder`.

    Args:
        stop_after: stop at this step, as a kill would (for tests and time limits).

    Returns:
        The step reached.

    Raises:
        TrainingError: if there is no step to take, the loss is not finite, or the folder belongs to
            another run.
    """
    if task.steps < 1:
        raise TrainingError(
            f"{folder}: by its settings this run has no step to take; give it epochs"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for group in task.optimiser.param_groups:
        group.setdefault("initial_lr", group["lr"])
    ema = Ema(task.network, task.averaging)
    step = load_checkpoint(folder, task.network, task.optimiser, task.run, ema.mean)
    last = task.steps if stop_after is None else min(stop_after, task.steps)
    log = Log(folder, step)
    if step < last:
        # Errors of validation show before the first step; its random draws do not count
        random_state = torch.get_rng_state()
        measure(task, rehearsal=True)
        torch.set_rng_state(random_state)
    saved = time.monotonic()
    with repeatable(), worker_deaths_as_errors(), progress_bar() as progress:
        bar = progress.add_task(folder.name, total=task.steps, completed=step)
        for batch in batches_ahead(task.batch, range(step, last), loading_processes()):
            losses = take_step(task, batch, step)
            ema.update(step)
            step += 1
            progress.update(bar, completed=step)
            if step % LOG_EVERY == 0 or step == last:
                log.add(step, {name: value.item() for name, value in losses.items()})
            if step % task.validate_every == 0 or step == task.steps:
                with ema.in_place():
                    numbers = measure(task, rehearsal=False)
                    enough = task.enough(step, numbers)
                log.add(step, {f"dev_{name}": value for name, value in numbers.items()})
                # Without a checkpoint: a repeated call comes here once more and stops here too
                if enough:
                    return step
            if time.monotonic() - saved > CHECKPOINT_SECONDS or step == last:
                save_checkpoint(folder, task.network, task.optimiser, step, task.run, ema.mean)
                saved = time.monotonic()
    if step == task.steps:
        ema.swap()
    return step


def take_step(task: Task, batch: Any, step: int) -> dict[str, Tensor]:
    """One optimiser step; gradients are clipped elementwise, as in the paper."""
    task.network.train()
    for group in task.optimiser.param_groups:
        group["lr"] = group["initial_lr"] * task.learning_rate(step)
    losses = task.losses(batch)
    loss, value = losses["loss"], losses["loss"].item()
    if not math.isfinite(value):
        raise TrainingError(
            f"the loss is {value} at step {step + 1}; lower the learning rate or clip the "
            "gradients more; the last checkpoint is untouched"
        )
    task.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    if task.clip is not None:
        nn.utils.clip_grad_value_(task.network.parameters(), task.clip)
    task.optimiser.step()
    return losses


def measure(task: Task, rehearsal: bool) -> dict[str, float]:
    task.network.eval()
    with torch.no_grad():
        return task.validate(rehearsal)


class Ema:
    """Exponential moving average (EMA) of all parameters (Polyak and Juditsky, 1992).

    At a constant, high learning rate the average generalises better than the last weights of a run
    whose rate falls. Buffers are not averaged. `torch.optim.swa_utils.AveragedModel` averages a
    copy; validation and saving read the run's own network, so here the average takes its place.

    Args:
        network: whose parameters are averaged.
        kept: decay, the share of the average that a step keeps; it spans some 1 / (1 - kept) steps.
            0 disables averaging.

    Attributes:
        mean: a tensor for each parameter; none with `kept` of 0.
    """

    def __init__(self, network: nn.Module, kept: float) -> None:
        self.kept = kept
        self.weights = list(network.parameters()) if kept else []
        self.mean: list[Tensor] = [weight.detach().clone() for weight in self.weights]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average after a step, counted from 0. The decay is smaller in early steps."""
        kept = min(self.kept, (step + 1) / (step + 10))
        for mean, weight in zip(self.mean, self.weights, strict=True):
            mean.lerp_(weight, 1 - kept)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the network's weights and the average; a second call undoes it."""
        for mean, weight in zip(self.mean, self.weights, strict=True):
            before = weight.clone()
            weight.copy_(mean)
            mean.copy_(before)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within it the network has the averaged weights."""
        self.swap()
        try:
            yield
        finally:
            self.swap()


OPTIMISERS: dict[str, Callable[[list[dict[str, Any]]], Optimizer]] = {
    "sgd": partial(torch.optim.SGD, momentum=0.9),
    "rmsprop": partial(torch.optim.RMSprop, alpha=0.99),
    "adamw": partial(torch.optim.AdamW, fused=True),
}
"""SGD and RMSprop are as the paper used them."""


def make_optimiser(name: str, groups: list[dict[str, Any]]) -> Optimizer:
    """One of `OPTIMISERS` over those `parameter_groups` that hold any."""
    return OPTIMISERS[name]([group for group in groups if group["params"]])


def parameter_groups(
    parameters: Iterable[nn.Parameter], learning_rate: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Optimiser groups: weight decay for matrices only; frozen parameters are left out."""
    trained = [p for p in parameters if p.requires_grad]
    return [
        {
            "params": [p for p in trained if p.ndim > 1],
            "lr": learning_rate,
            "weight_decay": weight_decay,
        },
        {"params": [p for p in trained if p.ndim <= 1], "lr": learning_rate, "weight_decay": 0.0},
    ]


def one_cycle(steps: int, warm_up: float = 0.05) -> Callable[[int], float]:
    """Linear warm-up over the first share of the steps, then half a cosine down to 0."""
    rise = max(1, round(steps * warm_up))
    fall = max(1, steps - rise)
    return lambda step: (
        (step + 1) / rise if step < rise else 0.5 * (1 + math.cos(math.pi * (step - rise) / fall))
    )


def constant(steps: int, warm_up: float = 0.05) -> Callable[[int], float]:
    """Linear warm-up over the first share of steps, then 1: for runs with averaged weights."""
    rise = max(1, round(steps * warm_up))
    return lambda step: min(1.0, (step + 1) / rise)


def trapezoid(steps: int, warm_up: float = 0.05, fall: float = 0.3) -> Callable[[int], float]:
    """Linear warm-up over the first share of steps, then 1, then linearly to 0 over the last."""
    rise, last = max(1, round(steps * warm_up)), max(1, round(steps * fall))
    return lambda step: min(1.0, (step + 1) / rise, (steps - step) / last)


SCHEDULES: dict[str, Callable[[int], Callable[[int], float]]] = {
    "one_cycle": one_cycle,
    "constant": constant,
    "trapezoid": trapezoid,
}
"""Total steps → step → factor on the learning rate."""


def best_device() -> str:
    """`cuda` when there is one, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def autocast(device: str) -> torch.autocast:
    """bfloat16 for convolutions and matrix products: two to three times faster, float32's range."""
    return torch.autocast(device, dtype=torch.bfloat16)


@contextmanager
def repeatable() -> Iterator[None]:
    """Deterministic training on a CPU: within it the same seed gives the same weights.

    Without it some gradients (of an indexed tensor, say) are summed by several threads in whatever
    order they arrive. On a GPU the fast kernels are kept, whose sums may differ in the last digits.
    """
    memory: Any = torch.utils.deterministic
    before, filled = torch.are_deterministic_algorithms_enabled(), memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(before or not torch.cuda.is_available())
    memory.fill_uninitialized_memory = False  # costs time; nothing here reads uninitialised memory
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        memory.fill_uninitialized_memory = filled


class Log:
    """Metrics by step in `log.csv` (step, name, value), and in TensorBoard if it is installed.

    Rows beyond the checkpoint's step are dropped on resumption.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.path = folder / "log.csv"
        rows = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                rows = [
                    row
                    for row in csv.reader(file)
                    if row and row[0].isdigit() and int(row[0]) <= step
                ]
        with self.path.open("w", newline="") as file:
            csv.writer(file).writerows([["step", "name", "value"], *rows])
        self.board = open_tensorboard(folder)

    def add(self, step: int, values: dict[str, float]) -> None:
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerows(
                [step, name, f"{value:.6g}"] for name, value in values.items()
            )
        if self.board is not None:
            for name, value in values.items():
                self.board.add_scalar(name, value, step)
            self.board.flush()


def open_tensorboard(folder: Path) -> Any:
    """A TensorBoard writer if that is installed, else None."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))


def progress_bar() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
    )
    console = Console(stderr=True)
    disable = not console.is_terminal
    return Progress(
        *columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=disable
    )
