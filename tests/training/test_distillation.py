"""The losses between a student and its teacher: by hand on a small teacher, and nothing where both say the same."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from regiontalk.training.distillation import Lesson, Student, measure_student
from regiontalk.training.staged_net import BORDERS, STRIDES, StagedNet
from regiontalk.training.teacher_store import ViewBatch
from regiontalk.training.vision_net import VisionNet

from .conftest import random_teacher

NAMES = ["stages", "map", "pooled", "classes"]


class TwoStages(nn.Module):
    """A teacher that passes on red, then red and green; its classes are the channels."""

    def chain(self, photos: Tensor) -> Iterator[Tensor]:
        yield photos[:, :1]
        yield photos[:, :2]

    def class_scores(self, pooled: Tensor) -> Tensor:
        return pooled.log_softmax(-1)


def random_pixels(photos: int, size: int = 32) -> np.ndarray:
    return np.random.default_rng(6).integers(0, 256, (photos, size, size, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    return Lesson(random_teacher(), random_pixels(16, 64), "cpu")


@pytest.fixture
def plain() -> Lesson:
    """With a mean of 0 and a deviation of 1 for each channel of `TwoStages`."""
    lesson = Lesson(TwoStages(), random_pixels(2), "cpu")  # type: ignore[arg-type]
    lesson.means = [torch.zeros(1, channels, 1, 1) for channels in (1, 2)]
    lesson.deviations = [torch.ones(1, channels, 1, 1) for channels in (1, 2)]
    return lesson


def test_channels_are_centred_and_scaled_by_the_teachers() -> None:
    pixels = random_pixels(4)
    lesson = Lesson(TwoStages(), pixels, "cpu")  # type: ignore[arg-type]
    photos = lesson.photos(pixels)
    assert photos.shape == (4, 3, 32, 32) and photos.abs().max() <= 1
    red, red_green = lesson.say(photos)
    assert torch.equal(red, photos[:, :1]) and torch.equal(red_green, photos[:, :2])
    standard = lesson.standard(red_green, 1)
    torch.testing.assert_close(standard.mean((0, 2, 3)), torch.zeros(2), rtol=0, atol=1e-5)
    torch.testing.assert_close(standard.std((0, 2, 3)), torch.ones(2), rtol=0, atol=5e-3)
    # Whoever says the mean everywhere explains nothing.
    assert lesson.unexplained(1, lesson.means[1].expand_as(red_green), red_green) == pytest.approx(1, abs=0.01)


def test_unexplained_by_hand(plain: Lesson) -> None:
    plain.deviations[1] = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)
    target, output = torch.zeros(1, 2, 1, 2), torch.tensor([[[[3.0, 0.0]], [[4.0, 2.0]]]])
    assert plain.unexplained(1, output, target).item() == (9 + 0 + 4 + 1) / 4


def test_pooled_cosine_by_hand(plain: Lesson) -> None:
    a = torch.tensor([[[[2.0, 0.0]], [[0.0, 2.0]]], [[[1.0, 3.0]], [[0.0, 0.0]]]])  # pooled: (1, 1) and (2, 0)
    b = torch.tensor([[[[1.0, 1.0]], [[0.0, 0.0]]], [[[0.0, 0.0]], [[5.0, 1.0]]]])  # pooled: (1, 0) and (0, 3)
    torch.testing.assert_close(plain.pooled_cosine(a, b), torch.tensor([0.5**0.5, 0.0]))
    plain.means[1] = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1)  # then (0, -1) and (1, -2); (0, -2) and (-1, 1)
    torch.testing.assert_close(plain.pooled_cosine(a, b), torch.tensor([1.0, -3 / 10**0.5]))


def test_losses_by_hand(plain: Lesson) -> None:
    maps = [torch.zeros(1, 1, 1, 2), torch.tensor([[[[1.0, 1.0]], [[0.0, 0.0]]]])]
    stages = [torch.full((1, 1, 1, 2), 2.0), maps[1]]
    spoken = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])  # the first cell is the teacher's, the second at right angles
    losses = plain.losses([*stages, spoken], maps)
    assert list(losses) == NAMES
    assert losses["stages"].item() == (4 + 0) / 2
    assert losses["map"].item() == pytest.approx((0 + 1) / 2)
    assert losses["pooled"].item() == pytest.approx(1 - 0.5**0.5)
    p = 1 / (1 + math.exp(-1))  # the teacher's classes of (1, 0); the student's of (1/2, 1/2) are even
    expected = p * math.log(2 * p) + (1 - p) * math.log(2 * (1 - p))
    assert losses["classes"].item() == pytest.approx(expected, rel=1e-5)


def test_a_student_that_says_what_the_teacher_says_has_nothing_to_learn(lesson: Lesson) -> None:
    maps = lesson.say(lesson.photos(random_pixels(3, 64)))
    losses = lesson.losses([*maps, lesson.standard(maps[-1], -1)], maps)
    assert list(losses) == NAMES
    assert all(abs(value.item()) < 1e-4 for value in losses.values()), losses
    others = [each.roll(1, 0) for each in maps]
    mixed = lesson.losses([*others, lesson.standard(others[-1], -1)], maps)
    assert all(value.item() > 1e-3 for value in mixed.values()), mixed


def test_only_the_student_learns(lesson: Lesson) -> None:
    torch.manual_seed(0)
    student, photos = Student(VisionNet(StagedNet(dim=16)), BORDERS[-1]), lesson.photos(random_pixels(2, 64))
    before = {name: value.clone() for name, value in lesson.teacher.state_dict().items()}
    said, boxes, logits = student(photos)
    losses = lesson.losses(said, lesson.say(photos))
    torch.stack(list(losses.values())).sum().backward()
    learning = [*student.network.backbone.parameters(), *student.translate.parameters()]
    assert all(each.grad is not None and each.grad.isfinite().all() for each in learning)
    assert all(each.grad is None for each in lesson.teacher.parameters())
    assert all(torch.equal(value, before[name]) for name, value in lesson.teacher.state_dict().items())
    assert [tuple(each.shape) for each in said] == [
        *((2, channels, 64 // stride, 64 // stride) for channels, stride in zip(BORDERS, STRIDES, strict=True)),
        (2, BORDERS[-1], 2, 2),
    ]
    assert boxes.shape == (2, 16, 4) and logits.shape == (2, 16)


def test_a_student_sees_as_its_network_does() -> None:
    network = VisionNet(StagedNet(dim=16)).eval()
    pixels = torch.from_numpy(random_pixels(2, 64))
    with torch.no_grad():
        _, boxes, logits = Student(network, BORDERS[-1]).eval()(pixels.permute(0, 3, 1, 2) / 127.5 - 1)
        _, expected, objectness = network(pixels)
    torch.testing.assert_close(boxes.clamp(0, 1), expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(logits.sigmoid(), objectness, rtol=0, atol=1e-4)


def test_held_out_numbers_of_a_perfect_student(lesson: Lesson) -> None:
    quarter = np.float32([[0.0, 0.0, 0.5, 0.5]])
    batch = ViewBatch(random_pixels(4, 64), [quarter] * 4)

    def perfect(photos: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        maps = lesson.say(photos)
        boxes = torch.from_numpy(quarter).expand(len(photos), 16, 4)
        return [*maps, lesson.standard(maps[-1], -1)], boxes, torch.zeros(len(photos), 16)

    numbers = measure_student(perfect, lesson, batch)  # type: ignore[arg-type]
    assert list(numbers) == [*NAMES, "box", "objectness", "own_photo", "box_recall"]
    assert numbers["own_photo"] == numbers["box_recall"] == 100
    assert all(abs(numbers[name]) < 1e-4 for name in [*NAMES, "box"])
