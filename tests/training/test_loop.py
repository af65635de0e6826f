"""The training loop: runs that are cut off end like others, and what is wrong is said."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from regiontalk.errors import TrainingError
from regiontalk.training import loop
from regiontalk.training.batches import batches_ahead
from regiontalk.training.checkpoint import FILE_NAME, load_checkpoint
from regiontalk.training.loop import (
    OPTIMISERS,
    Ema,
    Task,
    constant,
    make_optimiser,
    one_cycle,
    parameter_groups,
    train,
    trapezoid,
)


def make_task(optimiser: str = "adamw", steps: int = 12) -> Task:
    """A small network with dropout and batch normalisation.

    All kinds of state that a checkpoint must hold.
    """
    torch.manual_seed(5)
    network = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 1)
    )

    def batch(step: int) -> tuple[Tensor, Tensor]:
        x = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
        return x, x.sum(1, keepdim=True)

    def losses(pair: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        return {"loss": (network(pair[0]) - pair[1]).square().mean()}

    return Task(
        network=network,
        optimiser=make_optimiser(optimiser, parameter_groups(network.parameters(), 1e-2, 0.01)),
        steps=steps,
        learning_rate=one_cycle(steps),
        batch=batch,
        losses=losses,
        validate=lambda rehearsal: {"loss": float(losses(batch(1000))["loss"])},
        validate_every=4,
        clip=5.0,
        run='{"lr": 1}',
    )


@pytest.mark.parametrize("averaging", [0.0, 0.9])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_run_stopped_twice_ends_with_the_same_weights(
    tmp_path: Path, optimiser: str, averaging: float
) -> None:
    whole = replace(make_task(optimiser), averaging=averaging)
    assert train(whole, tmp_path / "whole") == 12
    for stop, reached in ((5, 5), (7, 7), (None, 12), (None, 12)):
        broken = replace(make_task(optimiser), averaging=averaging)
        assert train(broken, tmp_path / "broken", stop) == reached
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, broken.network.state_dict()[name]), name


def test_the_mean_of_the_weights_is_measured_and_remains(tmp_path: Path) -> None:
    task = make_task()
    weight = task.network.get_parameter("0.weight")
    seen: list[Tensor] = []
    measured: list[Tensor] = []

    def losses(pair: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        seen.append(weight.detach().clone())
        return task.losses(pair)

    def validate(rehearsal: bool) -> dict[str, float]:
        measured.append(weight.detach().clone())
        return {}

    train(replace(task, losses=losses, validate=validate, averaging=0.5), tmp_path)
    mean = seen[0]
    for step, after in enumerate(seen[1:9]):  # what step 0 left is what step 1 saw
        kept = min(0.5, (step + 1) / (step + 10))
        mean = kept * mean + (1 - kept) * after
    torch.testing.assert_close(measured[2], mean)  # the first was the rehearsal's
    torch.testing.assert_close(weight.detach(), measured[-1])


def step_to(network: nn.Linear, value: float) -> None:
    with torch.no_grad():
        network.weight.fill_(value)


def test_the_mean_is_the_one_worked_out_by_hand() -> None:
    network = nn.Linear(2, 1, bias=False)
    step_to(network, 1.0)
    ema = Ema(network, kept=0.15)
    step_to(network, 2.0)
    ema.update(0)  # early on: keeps 1 / 10
    assert ema.mean[0].tolist() == [[pytest.approx(0.1 * 1 + 0.9 * 2)] * 2]
    step_to(network, 4.0)
    ema.update(1)  # would keep 2 / 11
    assert ema.mean[0].tolist() == [[pytest.approx(0.15 * 1.9 + 0.85 * 4)] * 2]


def test_weights_that_stand_still_are_their_mean() -> None:
    network = nn.Linear(3, 3)
    ema = Ema(network, kept=0.99)
    for step in range(50):
        ema.update(step)
    for mean, weight in zip(ema.mean, network.parameters(), strict=True):
        torch.testing.assert_close(mean, weight.detach())


def test_the_mean_takes_the_weights_place_for_a_while() -> None:
    network = nn.Linear(2, 1, bias=False)
    step_to(network, 1.0)
    ema = Ema(network, kept=0.5)
    step_to(network, 3.0)
    with pytest.raises(KeyError), ema.in_place():
        assert network.weight.tolist() == [[1.0, 1.0]] and ema.mean[0].tolist() == [[3.0, 3.0]]
        raise KeyError
    assert network.weight.tolist() == [[3.0, 3.0]] and ema.mean[0].tolist() == [[1.0, 1.0]]


def test_without_a_mean_nothing_is_held_or_done() -> None:
    network = nn.Linear(2, 1, bias=False)
    step_to(network, 3.0)
    ema = Ema(network, kept=0.0)
    ema.update(0)
    with ema.in_place():
        assert network.weight.tolist() == [[3.0, 3.0]]
    assert ema.mean == []


def test_gradients_that_threads_sum_up_are_the_same_each_time(tmp_path: Path) -> None:
    """An indexed tensor's gradient is summed in any order unless the loop forbids it."""

    def trained(folder: Path) -> Tensor:
        task = make_task(steps=4)
        table = nn.Embedding(50, 64)
        ids = torch.randint(0, 50, (100, 20), generator=torch.Generator().manual_seed(0))
        weights = torch.randn(100, 20, 64, generator=torch.Generator().manual_seed(1))
        losses = lambda _: {"loss": (table.weight[ids].exp() * weights).sum()}  # noqa: E731
        optimiser = make_optimiser("sgd", parameter_groups(table.parameters(), 1e-3, 0.0))
        nn.init.constant_(table.weight, 0.5)
        train(
            replace(task, network=table, optimiser=optimiser, losses=losses, validate=lambda _: {}),
            folder,
        )
        return table.weight.detach()

    first = trained(tmp_path / "0")
    assert all(torch.equal(first, trained(tmp_path / str(i))) for i in range(1, 5))
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_finished_run_is_left_alone(tmp_path: Path) -> None:
    train(make_task(), tmp_path)
    before = (tmp_path / FILE_NAME).read_bytes()
    assert train(make_task(), tmp_path) == 12
    assert (tmp_path / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize("processes", [0, 2])
def test_a_batch_that_fails_stops_the_run_at_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    monkeypatch.setattr(loop, "loading_processes", lambda: processes)
    task = make_task()

    def batch(step: int) -> tuple[Tensor, Tensor]:
        if step == 5:
            raise ValueError("no such photo")
        return task.batch(step)

    batches, taken = batches_ahead(batch, range(12), processes), []
    with pytest.raises(ValueError, match="no such photo"):
        taken.extend(batches)
    assert len(taken) == 5
    with pytest.raises(ValueError, match="no such photo"):
        train(replace(task, batch=batch), tmp_path)


# PyTorch may notice the death once more, while the loader is being deleted
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_process_that_dies_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "loading_processes", lambda: 2)
    task = make_task()

    def batch(step: int) -> tuple[Tensor, Tensor]:
        if step == 5:
            os._exit(9)
        return task.batch(step)

    with pytest.raises(TrainingError, match="a process that makes batches died"):
        train(replace(task, batch=batch), tmp_path)


def read_log(folder: Path) -> list[tuple[int, str]]:
    with (folder / "log.csv").open() as file:
        return [(int(row["step"]), row["name"]) for row in csv.DictReader(file)]


def test_the_log_of_a_broken_run_has_no_row_twice(tmp_path: Path) -> None:
    train(make_task(), tmp_path / "whole")
    for stop in (6, None):
        train(make_task(), tmp_path / "broken", stop)
    rows = read_log(tmp_path / "broken")
    assert len(rows) == len(set(rows))
    assert [row for row in rows if row[1] == "dev_loss"] == [
        (4, "dev_loss"),
        (8, "dev_loss"),
        (12, "dev_loss"),
    ]
    # The log may have run ahead of the checkpoint when a run was killed.
    with (tmp_path / "broken/log.csv").open("a") as file:
        file.write("99,loss,1.0\n99,lo")
    train(make_task(), tmp_path / "broken")
    assert read_log(tmp_path / "broken") == rows


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    train(make_task(), tmp_path, 6)
    kept = (tmp_path / FILE_NAME).read_bytes()
    task = make_task()
    bad = replace(task, losses=lambda batch: {"loss": task.losses(batch)["loss"] * float("nan")})
    with pytest.raises(TrainingError, match="the loss is nan at step 7; lower the learning rate"):
        train(bad, tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == kept


def test_a_run_without_steps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="this run has no step to take"):
        train(make_task(steps=0), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_validation_is_rehearsed_before_the_first_step(tmp_path: Path) -> None:
    calls: list[bool] = []
    task = make_task()

    def validate(rehearsal: bool) -> dict[str, float]:
        calls.append(rehearsal)
        return {}

    train(replace(task, validate=validate), tmp_path)
    assert calls == [True, False, False, False]


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    train(make_task(), tmp_path, 3)
    with pytest.raises(TrainingError, match="lr was 1, is 2") as error:
        train(replace(make_task(), run='{"lr": 2}'), tmp_path)
    assert str(tmp_path / FILE_NAME) in str(error.value)


def test_gradients_are_clipped_elementwise(tmp_path: Path) -> None:
    task = replace(make_task("sgd", steps=1), clip=1e-3)
    before = {name: value.clone() for name, value in task.network.named_parameters()}
    rate = task.optimiser.param_groups[0]["lr"] * task.learning_rate(0)
    task = replace(task, optimiser=torch.optim.SGD(task.network.parameters(), lr=rate))
    loop.train(task, tmp_path)
    for name, value in task.network.named_parameters():
        assert (value - before[name]).abs().max() <= 1e-3 * rate + 1e-7, name


def test_one_cycle_rises_and_falls_to_zero() -> None:
    factor = one_cycle(100, warm_up=0.1)
    values = [factor(step) for step in range(100)]
    assert values[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert all(a >= b for a, b in pairwise(values[9:]))
    assert 0 < values[-1] < 0.001


def test_a_trapezoid_rises_stays_and_falls() -> None:
    factor = trapezoid(100, warm_up=0.1, fall=0.2)
    assert [factor(step) for step in (0, 4, 9, 50, 80, 90, 99)] == pytest.approx(
        [0.1, 0.5, 1, 1, 1, 0.5, 0.05]
    )
    assert trapezoid(1)(0) == 1


def test_a_constant_rate_rises_and_stays() -> None:
    factor = constant(100, warm_up=0.1)
    assert [factor(step) for step in range(12)] == pytest.approx(
        [0.1 * (step + 1) for step in range(10)] + [1, 1]
    )
    assert factor(99) == constant(1)(0) == 1


KILLED_RUN = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import os
import time
from dataclasses import replace
from regiontalk.training import loop
from test_loop import make_task
loop.CHECKPOINT_SECONDS = 0
loop.loading_processes = lambda: {processes}
task, folder = make_task(steps=400), Path({folder!r})
def batch(step):
    (folder / f"{{os.getpid()}}.pid").touch()
    time.sleep({pause})
    return task.batch(step)
loop.train(replace(task, batch=batch), folder)
"""


def is_running(pid: str) -> bool:
    """Whether there is such a process, and it does more than wait for its parent to look at how it
    ended.
    """
    status = Path("/proc", pid, "stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("processes", [0, 2])
def test_a_run_killed_by_sigkill_ends_with_the_same_weights(tmp_path: Path, processes: int) -> None:
    whole = make_task(steps=400)
    train(whole, tmp_path / "whole")
    folder, tests = tmp_path / "killed", str(Path(__file__).parent)
    script = KILLED_RUN.format(tests=tests, folder=str(folder), pause=0.01, processes=processes)
    process = subprocess.Popen([sys.executable, "-c", script])
    for _ in range(600):  # until it has written a checkpoint
        if (folder / FILE_NAME).exists():
            break
        time.sleep(0.1)
    time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    made_batches = [file.stem for file in folder.glob("*.pid")]
    assert len(made_batches) == max(1, processes)
    for _ in range(100):  # those who made batches notice and end
        if not any(map(is_running, made_batches)):
            break
        time.sleep(0.1)
    assert not any(map(is_running, made_batches))
    again = make_task(steps=400)
    assert 0 < load_checkpoint(folder, make_task().network, make_task().optimiser, again.run) < 400
    train(again, folder)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name


pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
