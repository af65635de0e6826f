"""One training loop for every network here: forward, backward, step in plain sight.

A run is a pure function of its settings and seed: what happens in step n depends on n, not on how often the run was
stopped. That is what makes a run that was killed end with the same weights as one that was not.
"""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim import Optimizer

from regiontalk.errors import TrainingError
from regiontalk.training.checkpoint import load_checkpoint, save_checkpoint
from regiontalk.training.devices import loading_processes, repeatable
from regiontalk.training.forked_batches import forked_batches
from regiontalk.training.running_mean import RunningMean

LOG_EVERY = 50
CHECKPOINT_SECONDS = 120


@dataclass(frozen=True)
class Task:
    """What is trained.

    Attributes:
        network: holds every parameter and buffer that a checkpoint must keep.
        optimiser: over the network's parameters.
        steps: optimiser steps in the whole run.
        learning_rate: step → factor on each parameter group's `initial_lr`.
        batch: step → a batch, not on a GPU yet; made ahead by another thread or process, so it must depend on the step
            alone.
        losses: batch → named losses; the first, `loss`, is minimised, the others are logged.
        validate: rehearsal → named numbers on held-out data; with rehearsal=True on two batches only.
        validate_every: in steps.
        clip: bound on each element of the gradient (the paper's 5); None for none.
        run: identifies the run's settings in checkpoints, a JSON object.
        averaging: share of the weights' running mean that a step keeps, see `RunningMean`; the mean is what is measured
            and what remains. 0 for the weights themselves.
        enough: told the step and its numbers after each measurement, while the network has the weights that were
            measured; says whether the run ends there, early. Like a batch its answer must depend on the step alone.
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
    """Run, or go on with, a task; checkpoints and `log.csv` go to `folder`.

    Args:
        stop_after: stop at this step, as a kill would (for tests and time limits).

    Returns:
        The step reached.

    Raises:
        TrainingError: if there is no step to take, the loss is not finite, or the folder belongs to another run.
    """
    if task.steps < 1:
        raise TrainingError(f"{folder}: by its settings this run has no step to take; give it epochs")
    folder.mkdir(parents=True, exist_ok=True)
    for group in task.optimiser.param_groups:
        group.setdefault("initial_lr", group["lr"])
    running = RunningMean(task.network, task.averaging)
    step = load_checkpoint(folder, task.network, task.optimiser, task.run, running.mean)
    last = task.steps if stop_after is None else min(stop_after, task.steps)
    log = Log(folder, step)
    if step < last:
        random_state = torch.get_rng_state()
        measure(task, rehearsal=True)
        torch.set_rng_state(random_state)
    saved = time.monotonic()
    with repeatable(), progress_bar() as progress:
        bar = progress.add_task(folder.name, total=task.steps, completed=step)
        for batch in batches_ahead(task.batch, range(step, last), loading_processes()):
            losses = take_step(task, batch, step)
            running.update(step)
            step += 1
            progress.update(bar, completed=step)
            if step % LOG_EVERY == 0 or step == last:
                log.add(step, {name: value.item() for name, value in losses.items()})
            if step % task.validate_every == 0 or step == task.steps:
                with running.in_place():
                    numbers = measure(task, rehearsal=False)
                    enough = task.enough(step, numbers)
                log.add(step, {f"dev_{name}": value for name, value in numbers.items()})
                if enough:  # without a checkpoint: given again, the run comes here once more and ends here too
                    return step
            if time.monotonic() - saved > CHECKPOINT_SECONDS or step == last:
                save_checkpoint(folder, task.network, task.optimiser, step, task.run, running.mean)
                saved = time.monotonic()
    if step == task.steps:
        running.swap()
    return step


def batches_ahead(batch: Callable[[int], Any], steps: range, processes: int) -> Iterator[Any]:
    """The batches of some steps, in order, a few of them made before they are asked for.

    Args:
        batch: step → a batch, without a GPU.
        processes: how many make them; with 0 a thread of this process does.
    """
    if processes:
        yield from forked_batches(batch, steps, processes)
    elif steps:
        with ThreadPoolExecutor(1) as thread:
            upcoming = thread.submit(batch, steps.start)
            for step in steps[1:]:
                ready, upcoming = upcoming.result(), thread.submit(batch, step)
                yield ready
            yield upcoming.result()


def take_step(task: Task, batch: Any, step: int) -> dict[str, Tensor]:
    """One optimiser step; gradients are clipped elementwise, as in the paper."""
    task.network.train()
    for group in task.optimiser.param_groups:
        group["lr"] = group["initial_lr"] * task.learning_rate(step)
    losses = task.losses(batch)
    loss, value = losses["loss"], losses["loss"].item()
    if not math.isfinite(value):
        raise TrainingError(
            f"the loss is {value} at step {step + 1}; lower the learning rate or clip the gradients more; "
            "the last checkpoint is untouched"
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


def one_cycle(steps: int, warm_up: float = 0.05) -> Callable[[int], float]:
    """Linear rise over the first share of the steps, then half a cosine down to 0."""

    def factor(step: int) -> float:
        rise = max(1, round(steps * warm_up))
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))

    return factor


def constant(steps: int, warm_up: float = 0.05) -> Callable[[int], float]:
    """Linear rise over the first share of the steps, then 1: for a run whose weights are averaged."""
    rise = max(1, round(steps * warm_up))
    return lambda step: min(1.0, (step + 1) / rise)


def trapezoid(steps: int, warm_up: float = 0.05, fall: float = 0.3) -> Callable[[int], float]:
    """Linear rise over the first share of the steps, then 1, then linearly down to 0 over the last share."""
    rise, last = max(1, round(steps * warm_up)), max(1, round(steps * fall))
    return lambda step: min(1.0, (step + 1) / rise, (steps - step) / last)


SCHEDULES: dict[str, Callable[[int], Callable[[int], float]]] = {
    "one_cycle": one_cycle,
    "constant": constant,
    "trapezoid": trapezoid,
}
"""Steps of the whole run → step → factor on the learning rate."""


class Log:
    """`log.csv`: step, name, value. Rows beyond the checkpoint's step are dropped when a run goes on."""

    def __init__(self, folder: Path, step: int) -> None:
        self.path = folder / "log.csv"
        rows = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                rows = [row for row in csv.reader(file) if row and row[0].isdigit() and int(row[0]) <= step]
        with self.path.open("w", newline="") as file:
            csv.writer(file).writerows([["step", "name", "value"], *rows])
        self.board = open_tensorboard(folder)

    def add(self, step: int, values: dict[str, float]) -> None:
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerows([step, name, f"{value:.6g}"] for name, value in values.items())
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
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    console = Console(stderr=True)
    disable = not console.is_terminal
    return Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, disable=disable)
