"""The best weights are kept and mixed, and a run that was killed ends as one that was not."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from regiontalk.errors import TrainingError
from regiontalk.training.checkpoint import read_tensors
from regiontalk.training.loop import Task
from regiontalk.training.tuning import BEST, TUNED, Best, Choice, copied, mixed, tune

from .killing import ALWAYS, NEVER, kill

STEPS, EVERY = 24, 2


class Dot(nn.Module):
    """A weight that goes down to 0 from 1 by 0.05 a step, and a table of three words, one of them new."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.table = nn.Parameter(torch.ones(3, 1))


def task(goal: float, run: str = "{}", measured: list[float] | None = None) -> Task:
    """Dev's best weight is `goal`."""
    net = Dot()

    def validate(rehearsal: bool) -> dict[str, float]:
        if measured is not None and not rehearsal:
            measured.append(net.weight.item())
        return {"far": abs(net.weight.item() - goal)}

    return Task(
        network=net,
        optimiser=torch.optim.SGD(net.parameters(), lr=0.05),
        steps=STEPS,
        learning_rate=lambda step: 1.0,
        batch=lambda step: step,
        losses=lambda batch: {"loss": net.weight.sum() + net.table.sum()},
        validate=validate,
        validate_every=EVERY,
        clip=None,
        run=run,
    )


def nearest(numbers: Mapping[str, float]) -> tuple[float, ...]:
    return (-round(numbers["far"], 4),)


CHOICE = Choice(nearest, nearest, patience=3, words={"table": 0}, known=2)


def test_the_best_step_is_kept_and_the_run_ends_early(tmp_path: Path) -> None:
    measured: list[float] = []
    tuned = task(goal=0.6, measured=measured)
    assert tune(tuned, tmp_path, CHOICE) == 1.0
    assert isinstance(tuned.network, Dot)
    assert tuned.network.weight.item() == pytest.approx(0.6)  # after 8 steps
    assert len(measured) == 7 + 5  # 14 steps, the last 6 without a better one; then the mixes
    assert not (tmp_path / BEST).exists() and not (tmp_path / "checkpoint.safetensors").exists()
    again = task(goal=0.6, measured=measured)
    assert tune(again, tmp_path, CHOICE) == 1.0 and len(measured) == 12  # nothing is done twice
    assert isinstance(again.network, Dot) and torch.equal(again.network.weight, tuned.network.weight)


def test_the_mix_is_the_best_of_old_and_new(tmp_path: Path) -> None:
    """Where every measurement is worse than the first weights, these stay, but new words are as they were learnt."""
    tuned = task(goal=1.0)
    assert tune(tuned, tmp_path, CHOICE) == 0.0
    assert isinstance(tuned.network, Dot)
    assert tuned.network.weight.item() == 1
    assert tuned.network.table.ravel().tolist() == pytest.approx([1, 1, 0.9])


def test_mixes_by_hand() -> None:
    first = {"weight": torch.tensor([1.0]), "table": torch.tensor([[1.0], [2], [3]])}
    learnt = {"weight": torch.tensor([3.0]), "table": torch.tensor([[5.0], [2], [7]])}
    found = mixed(first, learnt, 0.25, CHOICE)
    assert found["weight"].tolist() == [1.5]
    assert found["table"].ravel().tolist() == [2, 2, 7]
    assert first["table"].ravel().tolist() == [1, 2, 3]


@pytest.mark.parametrize("killed", [1, 3, 8, 9, 13, 14])
def test_a_killed_run_ends_as_one_that_was_not(killed: int, tmp_path: Path) -> None:
    whole = task(goal=0.61)
    share = tune(whole, tmp_path / "whole", CHOICE)
    for seconds, name in ((NEVER, "never"), (ALWAYS, "always")):
        folder = tmp_path / name
        kill(partial(tune, task(goal=0.61), folder, CHOICE), killed, seconds)
        broken = task(goal=0.61)
        assert tune(broken, folder, CHOICE) == share
        for name, value in copied(broken.network).items():
            assert torch.equal(value, whole.network.state_dict()[name])


def test_files_of_another_run_are_refused(tmp_path: Path) -> None:
    first = task(goal=0.6, run='{"seed": 0}')
    best = Best(first.network, tmp_path / BEST, first.run, nearest, 4)
    assert not best(2, {"far": 0.5})
    assert read_tensors(tmp_path / BEST, "")[1]["step"] == "2"
    with pytest.raises(TrainingError, match="seed was 0, is 1"):
        tune(task(goal=0.6, run='{"seed": 1}'), tmp_path, CHOICE)
    (tmp_path / BEST).unlink()
    tune(first, tmp_path, CHOICE)
    with pytest.raises(TrainingError, match=rf"{TUNED}: belongs to a run with other settings"):
        tune(task(goal=0.6, run='{"seed": 1}'), tmp_path, CHOICE)


def test_equal_measurements_are_no_better(tmp_path: Path) -> None:
    net = Dot()
    best = Best(net, tmp_path / BEST, "{}", nearest, 4)
    assert [best(step, {"far": 0.5}) for step in (2, 4, 6)] == [False, False, True]
    assert best.step == 2
