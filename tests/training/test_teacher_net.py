"""The teacher's network: its shapes are MobileNetV2's, its cells lie where its student's do, and it never learns."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from regiontalk.errors import DataError
from regiontalk.training.checkpoint import save_tensors
from regiontalk.training.staged_net import BORDERS, STRIDES, StagedNet, normalised
from regiontalk.training.teacher_net import CLASSES, Block, TeacherNet, convolution, read_teacher

from .conftest import random_teacher

PARAMETERS = 3_504_872  # of MobileNetV2 1.0 with 1,000 classes
NORMALISATION = 2 * 17_056  # of these: scale and shift of each channel, of which the shift is left


def test_it_is_mobilenet_v2_with_one_more_class() -> None:
    teacher = TeacherNet()
    expected = PARAMETERS - NORMALISATION // 2 + (1280 + 1)
    assert sum(each.numel() for each in teacher.parameters()) == expected
    layers = [layer for layer in teacher.modules() if isinstance(layer, nn.Conv2d)]
    assert len(layers) == 53 and layers[-1] is teacher.classifier


@pytest.mark.parametrize("size", [32, 64, 96])
def test_its_stages_have_the_borders_of_the_students(size: int) -> None:
    photos = torch.randn(2, 3, size, size)
    found = [tuple(each.shape) for each in TeacherNet().chain(photos)]
    assert found == [tuple(each.shape) for each in StagedNet(dim=8).eval().chain(photos)]
    assert found == [
        (2, channels, size // stride, size // stride) for channels, stride in zip(BORDERS, STRIDES, strict=True)
    ]


def test_its_cells_begin_where_the_students_do() -> None:
    """Cell i of a 3×3 convolution with stride 2 reads 2i, 2i + 1 and 2i + 2; zeros come after the end."""
    ramp = torch.zeros(1, 1, 6, 6)
    ramp[..., 0, :] = torch.tensor([1.0, 10, 100, 1000, 1e4, 1e5])
    own, student = nn.Sequential(*convolution(1, 1, 3, 2)), normalised(1, 1, 3, 2).eval()
    nn.init.ones_(own[-1].weight)
    nn.init.zeros_(own[-1].bias)
    nn.init.ones_(student[1].weight)
    with torch.no_grad():
        found = own(ramp)[0, 0, 0]
        assert found.tolist() == [111, 11100, 110000]
        torch.testing.assert_close(student(ramp)[0, 0, 0] * (1 + student[2].eps) ** 0.5, found, rtol=1e-5, atol=0)


def test_blocks_have_a_shortcut_where_shapes_allow() -> None:
    x = torch.randn(1, 4, 6, 6)
    for outputs, stride, kept in ((4, 1, True), (5, 1, False), (4, 2, False)):
        block = Block(4, outputs, stride, expansion=2)
        nn.init.zeros_(block.layers[-1].weight)
        nn.init.zeros_(block.layers[-1].bias)
        with torch.no_grad():
            assert torch.equal(block(x), x) if kept else not block(x).any()


def test_it_is_never_trained() -> None:
    teacher = random_teacher()
    assert not teacher.training and not any(each.requires_grad for each in teacher.parameters())
    photos = torch.randn(1, 3, 32, 32, requires_grad=True)
    for each in teacher.chain(photos):
        assert not each.requires_grad and torch.is_grad_enabled()
    assert each.min() >= 0 and each.max() <= 6


def test_class_scores_by_hand() -> None:
    teacher = TeacherNet()
    nn.init.zeros_(teacher.classifier.weight)
    nn.init.zeros_(teacher.classifier.bias)
    teacher.classifier.weight[7, 3] = 2.0
    teacher.classifier.bias[8] = 1.0
    pooled = torch.zeros(2, BORDERS[-1])
    pooled[1, 3] = 0.5
    expected = torch.zeros(2, CLASSES)
    expected[:, 8], expected[1, 7] = 1.0, 1.0
    torch.testing.assert_close(teacher.class_scores(pooled), expected.log_softmax(1))


def test_weights_that_were_written_are_read(tmp_path: Path) -> None:
    teacher, file = random_teacher(), tmp_path / "teacher.safetensors"
    save_tensors(teacher, file)
    found = read_teacher(file)
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in teacher.state_dict().items())
    assert not found.training and not any(each.requires_grad for each in found.parameters())


def test_weights_that_are_missing_damaged_or_anothers_are_named(tmp_path: Path) -> None:
    file = tmp_path / "teacher.safetensors"
    with pytest.raises(DataError, match=r"teacher\.safetensors: not found; run the recipe's teach\.py once more"):
        read_teacher(file)
    save_tensors(TeacherNet(), file)
    whole = file.read_bytes()
    for damaged in (b"", b"not tensors", whole[:-100]):
        file.write_bytes(damaged)
        with pytest.raises(DataError, match=r"teacher\.safetensors: damaged .* run the recipe's teach\.py again"):
            read_teacher(file)
    other = TeacherNet().state_dict()
    for wrong in ({"weight": torch.ones(2)}, {**other, "classifier.bias": torch.zeros(1000)}):
        save_file(wrong, file)
        with pytest.raises(DataError, match=r"(?s)teacher\.safetensors: damaged .* remove it and run"):
            read_teacher(file)
