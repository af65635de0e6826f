"""Proposals of the vision network, and their losses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from regiontalk.training.backbones.efficientnet_lite import EfficientNetLiteBackbone
from regiontalk.training.vision_net import (
    VisionNet,
    assign_cells,
    box_overlap,
    box_recall,
    cell_centres,
    proposal_losses,
)
from regiontalk.vision.boxes import iou

from .small_world import TINY


def test_cells_run_along_rows_first() -> None:
    assert cell_centres(2).tolist() == [[0.5, 0.5], [1.5, 0.5], [0.5, 1.5], [1.5, 1.5]]


def test_proposals_lie_around_their_own_cells() -> None:
    torch.manual_seed(3)
    net = VisionNet(EfficientNetLiteBackbone(TINY, 32)).eval()
    _, boxes, objectness = net(torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8))
    centres = cell_centres(4) / 4
    assert ((boxes[..., :2] <= centres) & (centres <= boxes[..., 2:])).all()
    assert ((boxes >= 0) & (boxes <= 1)).all() and ((objectness >= 0) & (objectness <= 1)).all()


def test_small_boxes_win_cells_from_large_ones() -> None:
    large, small = [0.0, 0.0, 1.0, 1.0], [0.25, 0.25, 0.5, 0.5]
    assigned = assign_cells(np.float32([large, small]), side=4)
    assert assigned[1 * 4 + 1].tolist() == small  # the cell around (0.375, 0.375)
    assert assigned[2 * 4 + 2].tolist() == large
    assert np.isnan(assigned[0]).all()


def test_every_box_is_answered_by_a_cell() -> None:
    tiny = np.float32([[0.51, 0.51, 0.52, 0.52]])
    assert (~np.isnan(assign_cells(tiny, side=4)[:, 0])).sum() >= 1


@given(st.lists(st.tuples(*[st.integers(0, 16)] * 4), min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_overlap_agrees_with_the_runtime(corners: list[tuple[int, ...]]) -> None:
    boxes = np.sort((np.float32(corners) / 16).reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    other = boxes[::-1].copy()
    overlap, generalised = box_overlap(torch.from_numpy(boxes), torch.from_numpy(other))
    np.testing.assert_allclose(overlap.numpy(), np.diag(iou(boxes, other)), atol=1e-4)
    assert (generalised <= overlap + 1e-5).all() and (generalised >= -1 - 1e-5).all()


def test_perfect_proposals_have_no_box_loss() -> None:
    truth = np.float32([[0.0, 0.0, 0.5, 0.5]])
    boxes = torch.from_numpy(np.tile(truth, (1, 16, 1)))
    losses = proposal_losses(boxes, torch.zeros(1, 16), [truth])
    assert losses["box"].item() == pytest.approx(0, abs=1e-6)


def test_photos_without_boxes_teach_that_there_is_nothing() -> None:
    logits = torch.zeros(1, 16, requires_grad=True)
    losses = proposal_losses(torch.rand(1, 16, 4), logits, [np.zeros((0, 4), np.float32)])
    assert losses["box"].item() == 0
    losses["objectness"].backward()
    assert logits.grad is not None and (logits.grad > 0).all()


def test_recall_counts_boxes_that_a_proposal_overlaps_by_half() -> None:
    boxes = torch.tensor([[[0.0, 0, 0.5, 0.5], [0, 0, 1, 1]], [[0, 0, 1, 1], [0, 0, 0.5, 0.5]]])
    logits = torch.tensor([[2.0, 1], [1, 2]])
    true = [np.array([[0, 0, 0.5, 0.4], [0, 0, 1, 0.9]], np.float32), np.zeros((0, 4), np.float32)]
    assert [box_recall(boxes, logits, true, proposals) for proposals in (1, 2, 20)] == [0.5, 1, 1]
    assert box_recall(boxes, logits, true[1:] * 2) == 0
