"""The staged backbone, and teaching it stage by stage."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file

from regiontalk.errors import DataError, TrainingError
from regiontalk.training.staged_net import BORDERS, STRIDES, StagedNet, normalised
from regiontalk.training.teacher_store import TeacherStore
from regiontalk.training.train_stages import ENOUGH, StagesConfig, StagesRun, read_stages, train_stages
from regiontalk.training.train_vision import VisionConfig, train_vision
from regiontalk.training.vision_graph import read_vision
from regiontalk.training.vision_net import scale_pixels

SIZE, PHOTOS = 64, 330


@pytest.fixture(scope="module")
def staged_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise, and what a random network of another seed passes on between its stages, as bytes."""
    folder, rng = tmp_path_factory.mktemp("staged"), np.random.default_rng(4)
    photos = rng.integers(0, 256, (PHOTOS, SIZE, SIZE, 3), dtype=np.uint8)
    np.save(folder / "photos.npy", photos)
    np.save(folder / "crops.npy", np.tile(np.float32([0, 0, 1, 1]), (PHOTOS, 1, 1)))
    (folder / "boxes.json").write_text(json.dumps([[] for _ in photos]))
    torch.manual_seed(9)
    with torch.no_grad():
        teacher = StagedNet(dim=16)
        maps = [each.permute(0, 2, 3, 1).numpy() for each in teacher.chain(scale_pixels(torch.from_numpy(photos)))]
    scales = []
    for k, each in enumerate(maps):
        low, scale = min(float(each.min()), 0.0), float(np.ptp(each)) / 255
        scales.append([scale, round(-low / scale)])
        name = "view_00.npy" if k == len(maps) - 1 else f"view_00_stage_{k}.npy"
        np.save(folder / name, (each / scale - low / scale).round().clip(0, 255).astype(np.uint8))
    (folder / "stages.json").write_text(json.dumps(scales[:-1]))
    tensors = {"weight": rng.normal(size=(5, BORDERS[-1])), "bias": np.zeros(5), "map_scale": np.array([scales[-1][0]])}
    save_file({name: value.astype(np.float32) for name, value in tensors.items()}, folder / "classifier.safetensors")
    return folder


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


def test_the_store_gives_back_what_the_teacher_said(staged_store: Path) -> None:
    store = TeacherStore(staged_store)
    rows = np.array([5, 250])
    torch.manual_seed(9)
    with torch.no_grad():
        expected = list(StagedNet(dim=16).train().chain(scale_pixels(torch.from_numpy(np.array(store.photos)))))
    for stage in range(len(BORDERS)):
        scale, _ = store.stage_scales[stage]
        found = store.stage_maps(stage, rows, np.zeros(2, int))
        # The map's bytes have no zero point: it is not negative.
        torch.testing.assert_close(found, expected[stage][rows], rtol=0, atol=1.01 * scale)
    np.testing.assert_array_equal(store.pixels(rows, np.zeros(2, int)), store.photos[rows])


def test_each_stage_sees_enough_photos_whoever_comes_before(staged_store: Path) -> None:
    config = StagesConfig(store=staged_store, output=Path("unused"), phases=((2, 0), (3, 12), (1, 64)))
    assert [config.chained(step) for step in range(6)] == [0, 0, 12, 12, 12, 64]
    run = StagesRun(config, "cpu")
    for step, chained in ((0, 0), (2, 12), (5, 64)):
        batch = run.batch(step)
        assert batch.chained == chained
        assert len(batch.pixels) == max(ENOUGH[0], chained)
        needed = [max(enough, chained) for enough in ENOUGH]
        assert [len(each) for each in batch.maps] == [max(a, b) for a, b in zip(needed, [*needed[1:], 0], strict=True)]
        losses = run.losses(batch)
        torch.testing.assert_close(losses["loss"], sum(losses[f"stage_{k}"] for k in range(len(BORDERS))))


def test_the_teacher_itself_leaves_nothing_unexplained(staged_store: Path) -> None:
    run = StagesRun(StagesConfig(store=staged_store, output=Path("unused")), "cpu")
    torch.manual_seed(9)
    run.network.load_state_dict(StagedNet(dim=16).stages.state_dict())
    own = scale_pixels(torch.from_numpy(np.array(run.store.photos)))
    with torch.no_grad():  # in training mode and on all photos, as the store was made
        for k, stage in enumerate(run.network):
            own = stage(own)
            target = run.store.stage_maps(k, np.arange(PHOTOS), np.zeros(PHOTOS, int))
            assert run.unexplained(k, own, target) < 0.01
    assert run.pooled_cosine(own, target) > 0.99


@pytest.mark.slow
def test_stages_learn_resume_exactly_and_begin_a_vision_run(staged_store: Path, tmp_path: Path) -> None:
    config = StagesConfig(store=staged_store, output=tmp_path / "whole", phases=((3, 0), (3, 8)))
    whole = train_stages(config)
    broken = replace(config, output=tmp_path / "broken")
    train_stages(replace(broken, stop_after=4))
    with pytest.raises(TrainingError, match=r"stages\.safetensors: not found; finish"):
        read_stages(broken.output)
    a, b = load_file(whole), load_file(train_stages(broken))
    assert all(torch.equal(a[name], b[name]) for name in a)
    rows = [line.split(",") for line in (config.output / "log.csv").read_text().splitlines()[1:]]
    assert {name for _, name, _ in rows} >= {"loss", "stage_0", "stage_5", "dev_chain_5", "dev_pooled"}
    random = StagesRun(replace(config, output=tmp_path / "random"), "cpu")
    random.network.eval()
    with torch.no_grad():
        before = random.validate(False)
    after = {name: float(value) for _, name, value in rows if name.startswith("dev_")}
    assert after["dev_chain_0"] < before["chain_0"]

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


def test_a_store_without_stages_says_what_to_do(staged_store: Path, teacher_store: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"stages\.json: not found; run the recipe's teach\.py once more"):
        TeacherStore(teacher_store).stage_maps(0, np.array([0]), np.array([0]))
    folder = shutil.copytree(staged_store, tmp_path / "store")
    (folder / "view_00_stage_3.npy").unlink()
    with pytest.raises(DataError, match="5 stages of view 0 expected, 4 found"):
        TeacherStore(folder).stage_maps(0, np.array([0]), np.array([0]))
