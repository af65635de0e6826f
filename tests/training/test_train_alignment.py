"""Alignment runs, with fixed and with tuned backbones.

They learn, resume exactly, and say what they lack.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from regiontalk.data import RegionStore
from regiontalk.errors import TrainingError
from regiontalk.language import Vocabulary
from regiontalk.language.reader import words_shapes
from regiontalk.training import loop
from regiontalk.training.alignment_config import AlignmentConfig
from regiontalk.training.alignment_net import read_alignment
from regiontalk.training.export import alignment_tensors
from regiontalk.training.losses import measure_retrieval
from regiontalk.training.sentences import Sentences
from regiontalk.training.train_alignment import train_alignment
from regiontalk.training.train_captioner import train_captioner

from .small_world import a_run, captioner_config, logged, same_tensors

FLICKR8K = (
    Path(os.environ.get("REGIONTALK_DATA") or Path(__file__).parents[3] / "shared" / "data")
    / "flickr8k"
)


@pytest.mark.parametrize(
    ("optimiser", "cell"), [("sgd", "rnn"), ("adamw", "rnn"), ("adamw", "gru")]
)
def test_alignment_resumes_exactly(
    alignment_config: AlignmentConfig, tmp_path: Path, optimiser: str, cell: Literal["rnn", "gru"]
) -> None:
    config = replace(
        alignment_config,
        optimiser=optimiser,
        cell=cell,
        output=tmp_path / "whole",
        epochs=3,
        dropout=0.3,
        learning_rate=1e-3,
    )
    whole = train_alignment(config)
    broken = replace(config, output=tmp_path / "broken")
    train_alignment(replace(broken, stop_after=4))
    assert same_tensors(whole, train_alignment(broken))
    vocabulary, net = read_alignment(config.output)
    shapes = {name: tensor.shape for name, tensor in alignment_tensors(net)["words"].items()}
    assert shapes == words_shapes(
        cell, len(vocabulary), config.embedding, config.hidden, config.dim
    )


def test_a_gru_cannot_be_cut_to_single_words(
    alignment_config: AlignmentConfig, tmp_path: Path
) -> None:
    config = replace(alignment_config, cell="gru", output=tmp_path / "gru", epochs=1)
    train_alignment(config)
    cut = replace(config, cell="rnn", recurrent=False, start=config.output, output=tmp_path / "cut")
    with pytest.raises(
        TrainingError, match="its words network is a GRU; recurrent = false needs an rnn"
    ):
        train_alignment(cut)


def test_weights_and_vocabulary_of_two_runs_are_told(alignment_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(alignment_run, tmp_path / "run")
    vocabulary = json.loads((run / "vocabulary.json").read_text())
    vocabulary["words"].append("unheard")
    vocabulary["counts"].append(1)
    (run / "vocabulary.json").write_text(json.dumps(vocabulary))
    with pytest.raises(
        TrainingError, match=r"is of a vocabulary of \d+ words, vocabulary\.json lists \d+"
    ):
        read_alignment(run)


def test_dev_is_measured_as_often_as_asked_and_at_the_end(
    alignment_config: AlignmentConfig, tmp_path: Path
) -> None:
    train_alignment(replace(alignment_config, output=tmp_path, epochs=5, validate_epochs=2))
    assert len(logged(tmp_path, f"dev_{alignment_config.dev[0].name}_image_to_text_r1")) == 3


@pytest.mark.parametrize("loss", ["margin", "hard_negative", "info_nce"])
@pytest.mark.parametrize("score", ["max", "sum", "mean"])
def test_every_loss_and_score_learns(
    alignment_config: AlignmentConfig, tmp_path: Path, loss: str, score: str
) -> None:
    config = replace(
        alignment_config,
        loss=loss,
        score=score,
        output=tmp_path,
        epochs=20,
        optimiser="adamw",
        learning_rate=3e-3,
    )
    train_alignment(replace(config, stop_after=1))
    start = logged(tmp_path, "loss")[-1]
    train_alignment(config)
    assert logged(tmp_path, "loss")[-1] < 0.7 * start


@pytest.mark.parametrize(("vision_learning_rate", "views"), [(0.0, 0), (0.0, 2), (1e-3, 0)])
def test_names_are_learnt_beside_captions_and_resume_exactly(
    alignment_config: AlignmentConfig,
    box_labels: Path,
    tmp_path: Path,
    vision_learning_rate: float,
    views: int,
) -> None:
    config = replace(
        alignment_config,
        output=tmp_path / "whole",
        boxes=box_labels,
        named_photos=4,
        epochs=2,
        captions=2,
        vision_learning_rate=vision_learning_rate,
        regions=tmp_path / "regions",
        views=views,
    )
    train_alignment(config)
    stores = sorted(folder.name for folder in (tmp_path / "regions").glob("*/train*"))
    assert stores == ["train", *(f"train_view_{number}" for number in range(views))]
    vocabulary, _ = read_alignment(config.output)
    assert "sofa" in vocabulary and "zebra" not in vocabulary  # no caption speaks of either
    broken = replace(config, output=tmp_path / "broken")
    train_alignment(replace(broken, stop_after=2))
    train_alignment(broken)
    assert same_tensors(
        config.output / "alignment.safetensors", broken.output / "alignment.safetensors"
    )
    assert (config.output / "vision.safetensors").exists() == bool(vision_learning_rate)


def test_a_run_that_begins_without_the_names_learns_those_it_can_say(
    alignment_config: AlignmentConfig, alignment_run: Path, box_labels: Path, tmp_path: Path
) -> None:
    config = replace(alignment_config, start=alignment_run, output=tmp_path, boxes=box_labels)
    run = a_run(config)
    assert run.named is not None and run.named.names == (("circle",), ("triangle",))


def test_several_datasets_take_turns_and_resume_exactly(
    alignment_config: AlignmentConfig, tmp_path: Path, shapes_folder: Path
) -> None:
    """A list of captioned photos beside Flickr8k's layout.

    Words are placed by vectors from elsewhere.
    """
    photos = tmp_path / "more"
    photos.symlink_to(shapes_folder / "images", target_is_directory=True)
    names = sorted(file.name for file in photos.iterdir())
    entries = [
        {"file_name": name, "captions": [f"a painted {name.split('.')[0].replace('_', ' ')}"]}
        for name in names
    ]
    (tmp_path / "more.json").write_text(json.dumps(entries))
    (tmp_path / "words.txt").write_text("circle 1 0\npainted 0 1\nzither 1 1\n")
    config = replace(
        alignment_config,
        data=((shapes_folder, 1.0), (tmp_path / "more.json", 2.0)),
        regions=tmp_path / "regions",
        output=tmp_path / "whole",
        placed_vectors=tmp_path / "words.txt",
        forget=0.5,
        epochs=2,
    )
    run = a_run(config)
    assert "painted" in run.vocabulary and "zither" not in run.vocabulary
    assert {run.batch(step).source for step in range(run.turns.epoch_steps)} == {0, 1}
    whole = train_alignment(config)
    broken = replace(config, output=tmp_path / "broken")
    train_alignment(replace(broken, stop_after=3))
    assert same_tensors(whole, train_alignment(broken))
    vocabulary, net = read_alignment(config.output)
    assert net.words.places and net.words.vectors[vocabulary.encode(["circle"])[0]].tolist() == [
        1,
        0,
    ]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_words_are_forgotten_as_often_as_asked(
    alignment_config: AlignmentConfig, alignment_run: Path, tmp_path: Path, share: float
) -> None:
    config = replace(alignment_config, start=alignment_run, output=tmp_path, captions=2, batch=16)
    plain, forgetful = (a_run(replace(config, word_dropout=each)) for each in (0.0, share))
    changed = words = 0
    for step in range(4):
        before, after = plain.batch(step), forgetful.batch(step)
        differ = before.ids != after.ids
        assert (after.ids[differ] == Vocabulary.UNKNOWN).all() and not (differ & ~before.mask).any()
        known = before.mask & (before.ids != Vocabulary.UNKNOWN)
        changed, words = changed + int(differ.sum()), words + int(known.sum())
    assert changed == pytest.approx(share * words, abs=0.15 * words if share == 0.5 else 0)


def test_a_fixed_backbone_gives_views_in_training_and_whole_photos_without_chance(
    alignment_config: AlignmentConfig, tmp_path: Path
) -> None:
    run = a_run(replace(alignment_config, regions=tmp_path / "regions", output=tmp_path, views=1))
    source, rows, settings = run.data.train[0].source, np.arange(4), run.settings[0]
    own, view = (
        RegionStore.open(tmp_path / "regions" / run.data.dev[0].name / name)
        for name in ("train", "train_view_0")
    )
    drawn = [source.load(rows, np.random.default_rng(seed), settings)[0] for seed in range(8)]
    seen = {bool(np.array_equal(each, view.features[rows].astype(np.float32))) for each in drawn}
    assert seen == {True, False}
    np.testing.assert_array_equal(
        source.load(rows, None, settings)[0], own.features[rows].astype(np.float32)
    )
    assert not run.data.dev[0].source.views  # type: ignore[union-attr]


def test_views_are_of_a_backbone_that_is_fixed(alignment_config: AlignmentConfig) -> None:
    with pytest.raises(ValueError, match="views are kept of a backbone that is fixed"):
        replace(alignment_config, views=1, vision_learning_rate=1e-3)


def test_batches_that_other_processes_make_are_the_same(
    alignment_config: AlignmentConfig,
    box_labels: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where a GPU waits for them."""
    config = replace(
        alignment_config,
        output=tmp_path / "thread",
        boxes=box_labels,
        named_photos=4,
        epochs=2,
        captions=2,
        vision_learning_rate=1e-3,
    )
    train_alignment(config)
    monkeypatch.setattr(loop, "loading_processes", lambda: 2)
    others = replace(config, output=tmp_path / "processes")
    train_alignment(others)
    for name in ("alignment.safetensors", "vision.safetensors"):
        assert same_tensors(config.output / name, others.output / name)


def test_unfinished_runs_are_named(alignment_config: AlignmentConfig, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"vision\.safetensors: not found; finish the run"):
        train_alignment(replace(alignment_config, vision=tmp_path))
    with pytest.raises(TrainingError, match=r"alignment\.safetensors: not found"):
        train_captioner(captioner_config(replace(alignment_config, output=tmp_path), "photo"))


def test_damaged_runs_are_named(alignment_config: AlignmentConfig, tmp_path: Path) -> None:
    (tmp_path / "vision.safetensors").write_bytes(b"half a file")
    with pytest.raises(
        TrainingError, match=r"vision\.safetensors: damaged .* give that run's command again"
    ):
        train_alignment(replace(alignment_config, vision=tmp_path))


def test_a_refused_run_leaves_a_finished_one_as_it_is(
    alignment_config: AlignmentConfig, alignment_run: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(alignment_run, tmp_path / "run"))
    before = (run / "vocabulary.json").read_bytes()
    with pytest.raises(TrainingError, match="min_count was 1, is 30"):
        train_alignment(replace(alignment_config, output=run, min_count=30))
    assert (run / "vocabulary.json").read_bytes() == before
    (run / "vocabulary.json").write_text('{"words": [')
    with pytest.raises(TrainingError, match=r"vocabulary\.json: damaged"):
        read_alignment(run)
    (run / "vocabulary.json").unlink()
    with pytest.raises(TrainingError, match=r"vocabulary\.json: not found"):
        read_alignment(run)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(
    not FLICKR8K.is_dir(), reason="needs flickr8k below ../shared/data or $REGIONTALK_DATA"
)
def test_100_flickr8k_photos_are_learnt_by_heart_and_resumed_exactly(
    vision_run: Path, tmp_path: Path
) -> None:
    config = AlignmentConfig(
        data=((FLICKR8K, 1.0),),
        dev=(FLICKR8K,),
        vision=vision_run,
        regions=tmp_path / "regions",
        output=tmp_path / "run",
        limit=100,
        min_count=1,
        embedding=64,
        hidden=128,
        dim=128,
        dropout=0.0,
        learning_rate=4e-3,
        batch=50,
        epochs=30,
    )
    whole = train_alignment(config)
    broken = replace(config, output=tmp_path / "broken")
    train_alignment(replace(broken, stop_after=150))
    assert same_tensors(whole, train_alignment(broken))
    numbers = learnt_by_heart(config)
    assert numbers["image_to_text_r1"] > 90 and numbers["text_to_image_r1"] > 90


def learnt_by_heart(config: AlignmentConfig) -> dict[str, float]:
    """Retrieval on the photos that a run was trained on."""
    run = a_run(config)
    _, net = read_alignment(config.output)
    return measure_retrieval(
        net,
        run.data.train[0].source,
        run.data.train[0].sentences,
        config.score,
        "cpu",
        run.settings[-1],
    )


def test_photos_without_a_known_word_are_not_measured(
    alignment_config: AlignmentConfig, alignment_run: Path
) -> None:
    run = a_run(replace(alignment_config, start=alignment_run))
    every = run.data.dev[0].sentences
    half = every.photos % 2 == 1
    some = Sentences(
        tuple(ids for ids, keep in zip(every.ids, half, strict=True) if keep), every.photos[half]
    )
    run.net.eval()
    source = run.data.dev[0].source
    found = measure_retrieval(run.net, source, some, "max", "cpu", run.settings[-1], chunk=3)
    rows = np.unique(some.photos)
    store = source.store
    vectors = [
        run.net.regions(torch.from_numpy(store.features[r, : store.counts[r]].astype("f")))
        for r in rows
    ]
    one = [
        (torch.from_numpy(ids)[None], torch.ones(1, len(ids), dtype=torch.bool)) for ids in some.ids
    ]
    words = [run.net.words(ids, mask)[0] for ids, mask in one]
    scores = torch.stack(
        [torch.stack([(v @ w.T).max(0).values.sum() for w in words]) for v in vectors]
    )
    best = rows[scores.detach().argmax(0).numpy()]
    assert found["text_to_image_r1"] == pytest.approx(100 * np.mean(best == some.photos))
