import pytest
import torch
from torch import nn

from regiontalk.training.running_mean import RunningMean


def step_to(network: nn.Linear, value: float) -> None:
    with torch.no_grad():
        network.weight.fill_(value)


def test_the_mean_is_the_one_worked_out_by_hand() -> None:
    network = nn.Linear(2, 1, bias=False)
    step_to(network, 1.0)
    running = RunningMean(network, kept=0.15)
    step_to(network, 2.0)
    running.update(0)  # early on: keeps 1 / 10
    assert running.mean[0].tolist() == [[pytest.approx(0.1 * 1 + 0.9 * 2)] * 2]
    step_to(network, 4.0)
    running.update(1)  # would keep 2 / 11
    assert running.mean[0].tolist() == [[pytest.approx(0.15 * 1.9 + 0.85 * 4)] * 2]


def test_weights_that_stand_still_are_their_mean() -> None:
    network = nn.Linear(3, 3)
    running = RunningMean(network, kept=0.99)
    for step in range(50):
        running.update(step)
    for mean, weight in zip(running.mean, network.parameters(), strict=True):
        torch.testing.assert_close(mean, weight.detach())


def test_the_mean_takes_the_weights_place_for_a_while() -> None:
    network = nn.Linear(2, 1, bias=False)
    step_to(network, 1.0)
    running = RunningMean(network, kept=0.5)
    step_to(network, 3.0)
    with pytest.raises(KeyError), running.in_place():
        assert network.weight.tolist() == [[1.0, 1.0]] and running.mean[0].tolist() == [[3.0, 3.0]]
        raise KeyError
    assert network.weight.tolist() == [[3.0, 3.0]] and running.mean[0].tolist() == [[1.0, 1.0]]


def test_without_a_mean_nothing_is_held_or_done() -> None:
    network = nn.Linear(2, 1, bias=False)
    step_to(network, 3.0)
    running = RunningMean(network, kept=0.0)
    running.update(0)
    with running.in_place():
        assert network.weight.tolist() == [[3.0, 3.0]]
    assert running.mean == []
