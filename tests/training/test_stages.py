"""The staged backbone, and teaching it stage by stage."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from regiontalk.errors import DataError, TrainingError
from regiontalk.training.checkpoint import save_tensors
from regiontalk.training.staged_net import BORDERS, STRIDES, StagedNet, normalised
from regiontalk.training.teacher_store import HELD_OUT
from regiontalk.training.train_stages import ENOUGH, StagesConfig, StagesRun, read_stages, train_stages
from regiontalk.training.train_vision import VisionConfig, train_vision
from regiontalk.training.vision_graph import read_vision

from .conftest import random_teacher

SIZE, PHOTOS = 64, 330


@pytest.fixture(scope="module")
def staged_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise without boxes, enough of it for every stage."""
    folder, rng = tmp_path_factory.mktemp("staged"), np.random.default_rng(4)
    np.save(folder / "photos.npy", rng.integers(0, 256, (PHOTOS, SIZE, SIZE, 3), dtype=np.uint8))
    (folder / "boxes.json").write_text(json.dumps([[]] * PHOTOS))
    save_tensors(random_teacher(), folder / "teacher.safetensors")
    return folder


@pytest.fixture
def run(staged_store: Path) -> StagesRun:
    config = StagesConfig(store=staged_store, output=Path("unused"), size=32, phases=((2, 0), (3, 12), (1, 64)))
    return StagesRun(config, "cpu")


def test_stages_pass_on_what_their_borders_say() -> None:
    network = StagedNet(dim=32).eval()
    photos = torch.randn(2, 3, SIZE, SIZE)
    shapes = [tuple(each.shape) for each in network.chain(photos)]
    assert shapes == [(2, c, SIZE // s, SIZE // s) for c, s in zip(BORDERS, STRIDES, strict=True)]
    assert network(photos).shape == (2, 32, SIZE // 16, SIZE // 16)
    assert (network(photos) >= 0).all()


def test_a_cell_begins_where_the_teachers_does() -> None:
    """Cell i of a 3×3 convolution with stride 2 reads 2i, 2i + 1 and 2i + 2; zeros come after the end."""
    layer = normalised(1, 1, 3, 2).eval()
    torch.nn.init.ones_(layer[1].weight)
    ramp = torch.zeros(1, 1, 6, 6)
    ramp[..., 0, :] = torch.tensor([1.0, 10, 100, 1000, 1e4, 1e5])
    found = layer(ramp)[0, 0, 0] * (1 + layer[2].eps) ** 0.5
    torch.testing.assert_close(found, torch.tensor([111.0, 11100, 110000]), rtol=1e-5, atol=0)


def inputs_of(stages: nn.ModuleList) -> list[list[Tensor]]:
    """For each stage what it is given, from now on."""
    given: list[list[Tensor]] = [[] for _ in stages]
    for stage, own in zip(stages, given, strict=True):
        stage.register_forward_pre_hook(lambda _, args, own=own: own.append(args[0].detach()))
    return given


@pytest.mark.parametrize(("step", "chained"), [(0, 0), (2, 12), (5, 64)])
def test_each_stage_sees_enough_photos_whoever_comes_before(run: StagesRun, step: int, chained: int) -> None:
    assert run.config.chained(step) == chained
    batch = run.batch(step)
    assert batch.chained == chained and batch.pixels.shape == (64, 32, 32, 3)
    given = inputs_of(run.network)
    losses = run.losses(batch)
    torch.testing.assert_close(losses["loss"], sum(losses[f"stage_{k}"] for k in range(len(BORDERS))))
    photos = run.lesson.photos(batch.pixels)
    maps = [photos, *run.lesson.say(photos)]
    for stage, (enough, own) in enumerate(zip(ENOUGH, given, strict=True)):
        assert [len(each) for each in own] == [n for n in (chained, max(enough - chained, 0)) if n]
        if enough > chained:  # the others come from the teacher, each photo once
            torch.testing.assert_close(own[-1].float(), maps[stage][chained:enough])


def test_batches_are_crops_that_depend_on_the_step_alone(run: StagesRun) -> None:
    one, same, other = (run.batch(step).pixels for step in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    with pytest.raises(ValueError, match="size must be a multiple of 32, the coarsest stride"):
        replace(run.config, size=100)


def test_the_teacher_itself_leaves_nothing_unexplained(run: StagesRun) -> None:
    run.network = run.store.teacher().stages
    for step in (0, 2, 5):
        assert run.losses(run.batch(step))["loss"] < 1e-4
    numbers = run.validate(False)
    assert list(numbers) == [*(f"chain_{k}" for k in range(len(BORDERS))), "pooled"]
    assert numbers.pop("pooled") == pytest.approx(1, abs=1e-4)
    assert max(numbers.values()) < 1e-4
    assert len(run.whole) == HELD_OUT


@pytest.mark.slow
def test_stages_learn_resume_exactly_and_begin_a_vision_run(staged_store: Path, tmp_path: Path) -> None:
    config = StagesConfig(store=staged_store, output=tmp_path / "whole", size=32, phases=((3, 0), (3, 8)))
    whole = train_stages(config)
    broken = replace(config, output=tmp_path / "broken")
    train_stages(replace(broken, stop_after=4))
    with pytest.raises(TrainingError, match=r"stages\.safetensors: not found; finish"):
        read_stages(broken.output)
    a, b = load_file(whole), load_file(train_stages(broken))
    assert all(torch.equal(a[name], b[name]) for name in a)
    rows = [line.split(",") for line in (config.output / "log.csv").read_text().splitlines()[1:]]
    assert {name for _, name, _ in rows} >= {"loss", "stage_0", "stage_5", "dev_chain_5", "dev_pooled"}
    random, learnt = StagesRun(config, "cpu"), StagesRun(replace(config, start=config.output), "cpu")
    with torch.no_grad():
        before, after = (run.losses(run.batch(6)) for run in (random, learnt))
    assert all(after[name] < before[name] for name in before)

    longer = replace(config, output=tmp_path / "longer", start=config.output, phases=((1, 8),), learning_rate=1e-9)
    torch.testing.assert_close(read_stages(train_stages(longer).parent)["5.1.0.weight"], a["5.1.0.weight"])

    vision = VisionConfig(
        store=staged_store, output=tmp_path / "vision", stages=config.output, dim=16, sizes=((64, 1),), image_size=64
    )
    train_vision(replace(vision, batch=22, learning_rate=1e-5))
    network, settings = read_vision(vision.output)
    assert isinstance(network.backbone, StagedNet)
    assert (settings.side, settings.feature_dim) == (4, 16)
    begun = network.backbone.stages.state_dict()["0.0.1.weight"]
    torch.testing.assert_close(begun, a["0.0.1.weight"], rtol=0, atol=1e-3)


def test_a_store_without_a_teacher_says_what_to_do(staged_store: Path, tmp_path: Path) -> None:
    for name in ("photos.npy", "boxes.json"):
        (tmp_path / name).symlink_to(staged_store / name)
    with pytest.raises(DataError, match=r"teacher\.safetensors: not found; run the recipe's teach\.py once more"):
        train_stages(StagesConfig(store=tmp_path, output=tmp_path / "run", size=32))
    assert not (tmp_path / "run").exists()
