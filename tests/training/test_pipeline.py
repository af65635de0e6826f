"""Whole runs, from captioned photos to a pack that describes them."""

from __future__ import annotations

import csv
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from regiontalk.data import read_dataset
from regiontalk.errors import DataError, TrainingError
from regiontalk.language import Vocabulary
from regiontalk.language.reader import words_shapes
from regiontalk.training import loop
from regiontalk.training import train_vision as vision_stage
from regiontalk.training.alignment_net import read_alignment
from regiontalk.training.backbones.efficientnet_lite import EfficientNetLiteBackbone
from regiontalk.training.box_labels import read_box_labels
from regiontalk.training.caption_sources import Described, contexts_of
from regiontalk.training.export import alignment_tensors
from regiontalk.training.losses import measure_retrieval
from regiontalk.training.regions import store_regions
from regiontalk.training.sentences import Sentences
from regiontalk.training.train_alignment import AlignmentConfig, AlignmentRun, train_alignment
from regiontalk.training.train_captioner import CaptionerConfig, CaptionerRun, train_captioner
from regiontalk.training.train_vision import VisionConfig, train_vision
from regiontalk.training.vision_graph import float_graph, read_graph, read_settings, read_vision
from regiontalk.training.vision_net import VisionNet

from .small_world import TINY, captioner_config

FLICKR8K = Path(os.environ.get("REGIONTALK_DATA") or Path(__file__).parents[3] / "shared" / "data") / "flickr8k"

VISION_FILES = {"backbone.json", "vision.json", "vision.onnx", "vision.safetensors"}


def same_tensors(one: Path, other: Path) -> bool:
    a, b = load_file(one), load_file(other)
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def logged(folder: Path, name: str) -> list[float]:
    with (folder / "log.csv").open() as file:
        return [float(row["value"]) for row in csv.DictReader(file) if row["name"] == name]


@pytest.fixture
def tiny_backbone(monkeypatch: pytest.MonkeyPatch) -> str:
    """A backbone that needs no package: its weights are random, always the same."""

    def opened(name: str, dim: int) -> EfficientNetLiteBackbone:
        torch.manual_seed(4)
        return EfficientNetLiteBackbone(name, dim)

    monkeypatch.setattr(vision_stage, "open_backbone", opened)
    return TINY


@pytest.mark.parametrize("backbone_learning_rate", [0.0, 1e-3])
def test_vision_run_learns_and_resumes_exactly(
    box_labels: Path, tiny_backbone: str, tmp_path: Path, backbone_learning_rate: float
) -> None:
    config = VisionConfig(
        backbone=tiny_backbone,
        boxes=box_labels,
        output=tmp_path / "whole",
        dim=32,
        image_size=64,
        epochs=2,
        batch=8,
        learning_rate=3e-3,
        backbone_learning_rate=backbone_learning_rate,
    )
    whole = train_vision(config)
    broken = replace(config, output=tmp_path / "broken")
    train_vision(replace(broken, stop_after=3))
    assert not (broken.output / "vision.safetensors").exists()
    assert same_tensors(whole, train_vision(broken))
    for name in ("naming", "box", "objectness", "box_recall"):
        assert len(logged(config.output, f"dev_{name}")) == 2
    assert logged(config.output, "dev_loss")[-1] < logged(config.output, "dev_loss")[0]
    assert {file.name for file in config.output.iterdir()} >= {"checkpoint.safetensors", "log.csv", *VISION_FILES}
    network, settings = read_vision(config.output)
    assert settings.feature_dim == 32
    first, last = "network.conv_stem.weight", "network.conv_head.weight"
    before, after = vision_stage.open_backbone(tiny_backbone, 32).state_dict(), network.backbone.state_dict()
    assert torch.equal(before[first], after[first])  # edges and textures are never trained
    assert torch.equal(before[last], after[last]) == (backbone_learning_rate == 0)


def test_few_photos_make_no_vision_run(box_labels: Path, tiny_backbone: str, tmp_path: Path) -> None:
    few = tmp_path / "boxes.jsonl"
    few.write_text("".join(box_labels.read_text().splitlines(True)[:10]))
    with pytest.raises(DataError, match=r"boxes\.jsonl: 10 photos, of which 256 are held out; give it more"):
        train_vision(VisionConfig(backbone=tiny_backbone, boxes=few, output=tmp_path / "run"))
    with pytest.raises(TrainingError, match="image_size: this backbone takes multiples of 32 pixels"):
        train_vision(VisionConfig(backbone=tiny_backbone, boxes=box_labels, output=tmp_path / "run", image_size=100))


@pytest.mark.parametrize(("optimiser", "cell"), [("sgd", "rnn"), ("adamw", "rnn"), ("adamw", "gru")])
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
    assert shapes == words_shapes(cell, len(vocabulary), config.embedding, config.hidden, config.dim)


def test_a_gru_cannot_be_cut_to_single_words(alignment_config: AlignmentConfig, tmp_path: Path) -> None:
    config = replace(alignment_config, cell="gru", output=tmp_path / "gru", epochs=1)
    train_alignment(config)
    cut = replace(config, cell="rnn", recurrent=False, start=config.output, output=tmp_path / "cut")
    with pytest.raises(TrainingError, match="its words network is a GRU; recurrent = false needs an rnn"):
        train_alignment(cut)


def test_weights_and_vocabulary_of_two_runs_are_told(alignment_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(alignment_run, tmp_path / "run")
    vocabulary = json.loads((run / "vocabulary.json").read_text())
    vocabulary["words"].append("unheard")
    vocabulary["counts"].append(1)
    (run / "vocabulary.json").write_text(json.dumps(vocabulary))
    with pytest.raises(TrainingError, match=r"is of a vocabulary of \d+ words, vocabulary\.json lists \d+"):
        read_alignment(run)


def test_dev_is_measured_as_often_as_asked_and_at_the_end(alignment_config: AlignmentConfig, tmp_path: Path) -> None:
    train_alignment(replace(alignment_config, output=tmp_path, epochs=5, validate_epochs=2))
    assert len(logged(tmp_path, f"dev_{alignment_config.dev[0].name}_image_to_text_r1")) == 3


@pytest.mark.parametrize("loss", ["margin", "hard_negative", "info_nce"])
@pytest.mark.parametrize("score", ["max", "sum", "mean"])
def test_every_loss_and_score_learns(alignment_config: AlignmentConfig, tmp_path: Path, loss: str, score: str) -> None:
    config = replace(
        alignment_config, loss=loss, score=score, output=tmp_path, epochs=20, optimiser="adamw", learning_rate=3e-3
    )
    train_alignment(replace(config, stop_after=1))
    start = logged(tmp_path, "loss")[-1]
    train_alignment(config)
    assert logged(tmp_path, "loss")[-1] < 0.7 * start


@pytest.mark.parametrize("vision_learning_rate", [0.0, 1e-3])
def test_names_are_learnt_beside_captions_and_resume_exactly(
    alignment_config: AlignmentConfig, box_labels: Path, tmp_path: Path, vision_learning_rate: float
) -> None:
    config = replace(
        alignment_config,
        output=tmp_path / "whole",
        boxes=box_labels,
        named_photos=4,
        epochs=2,
        captions=2,
        vision_learning_rate=vision_learning_rate,
    )
    train_alignment(config)
    vocabulary, _ = read_alignment(config.output)
    assert "sofa" in vocabulary and "zebra" not in vocabulary  # no caption speaks of either
    broken = replace(config, output=tmp_path / "broken")
    train_alignment(replace(broken, stop_after=2))
    train_alignment(broken)
    assert same_tensors(config.output / "alignment.safetensors", broken.output / "alignment.safetensors")
    assert (config.output / "vision.safetensors").exists() == bool(vision_learning_rate)


def test_a_run_that_begins_without_the_names_learns_those_it_can_say(
    alignment_config: AlignmentConfig, alignment_run: Path, box_labels: Path, tmp_path: Path
) -> None:
    config = replace(alignment_config, start=alignment_run, output=tmp_path, boxes=box_labels)
    run = AlignmentRun(config, "cpu")
    assert run.named is not None and run.named.names == (("circle",), ("triangle",))


def test_tuning_moves_the_backbone_and_resumes_exactly(
    alignment_config: AlignmentConfig, alignment_run: Path, tmp_path: Path
) -> None:
    config = replace(
        alignment_config,
        start=alignment_run,
        output=tmp_path / "whole",
        captions=2,
        epochs=2,
        vision_learning_rate=1e-3,
        smallest_view=0.6,
        jitter=0.3,
        word_dropout=0.2,
        schedule="constant",
        averaging=0.9,
    )
    train_alignment(config)
    broken = replace(config, output=tmp_path / "broken")
    train_alignment(replace(broken, stop_after=2))
    train_alignment(broken)
    for name in ("alignment.safetensors", "vision.safetensors"):
        assert same_tensors(config.output / name, broken.output / name)
    before, after = load_file(config.vision / "vision.safetensors"), load_file(config.output / "vision.safetensors")
    assert not np.array_equal(before["backbone.network.conv_head.weight"], after["backbone.network.conv_head.weight"])
    assert np.array_equal(before["backbone.network.conv_stem.weight"], after["backbone.network.conv_stem.weight"])
    assert np.array_equal(before["backbone.network.bn1.running_mean"], after["backbone.network.bn1.running_mean"])


def test_several_datasets_take_turns_and_resume_exactly(
    alignment_config: AlignmentConfig, tmp_path: Path, shapes_folder: Path
) -> None:
    """A list of captioned photos beside Flickr8k's layout; words are placed by vectors from elsewhere."""
    photos = tmp_path / "more"
    photos.symlink_to(shapes_folder / "images", target_is_directory=True)
    names = sorted(file.name for file in photos.iterdir())
    entries = [{"file_name": name, "captions": [f"a painted {name.split('.')[0].replace('_', ' ')}"]} for name in names]
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
    run = AlignmentRun(config, "cpu")
    assert "painted" in run.vocabulary and "zither" not in run.vocabulary
    assert {run.batch(step).source for step in range(run.turns.epoch_steps)} == {0, 1}
    whole = train_alignment(config)
    broken = replace(config, output=tmp_path / "broken")
    train_alignment(replace(broken, stop_after=3))
    assert same_tensors(whole, train_alignment(broken))
    vocabulary, net = read_alignment(config.output)
    assert net.words.places and net.words.vectors[vocabulary.encode(["circle"])[0]].tolist() == [1, 0]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_words_are_forgotten_as_often_as_asked(
    alignment_config: AlignmentConfig, alignment_run: Path, tmp_path: Path, share: float
) -> None:
    config = replace(alignment_config, start=alignment_run, output=tmp_path, captions=2, batch=16)
    plain, forgetful = (AlignmentRun(replace(config, word_dropout=each), "cpu") for each in (0.0, share))
    changed = words = 0
    for step in range(4):
        before, after = plain.batch(step), forgetful.batch(step)
        differ = before.ids != after.ids
        assert (after.ids[differ] == Vocabulary.UNKNOWN).all() and not (differ & ~before.mask).any()
        known = before.mask & (before.ids != Vocabulary.UNKNOWN)
        changed, words = changed + int(differ.sum()), words + int(known.sum())
    assert changed == pytest.approx(share * words, abs=0.15 * words if share == 0.5 else 0)


def test_named_photos_stand_in_another_light_too(
    alignment_config: AlignmentConfig, alignment_run: Path, box_labels: Path, tmp_path: Path
) -> None:
    config = replace(alignment_config, start=alignment_run, output=tmp_path, boxes=box_labels, vision_learning_rate=1.0)
    plain, jittered = (AlignmentRun(replace(config, jitter=each), "cpu").named for each in (0.0, 0.5))
    assert plain is not None and jittered is not None
    settings = read_settings(config.vision)
    assert (plain.batch(0, settings).pixels[0] != jittered.batch(0, settings).pixels[0]).any()


def test_batches_that_other_processes_make_are_the_same(
    alignment_config: AlignmentConfig, box_labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


def test_tuning_on_larger_photos_gives_a_network_for_these(
    alignment_config: AlignmentConfig, alignment_run: Path, box_labels: Path, tmp_path: Path
) -> None:
    config = replace(
        alignment_config,
        start=alignment_run,
        output=tmp_path,
        boxes=box_labels,
        named_photos=2,
        vision_learning_rate=1e-3,
        sizes=((64, 1), (96, 1)),
    )
    train_alignment(config)
    before, after = read_settings(config.vision), read_settings(config.output)
    assert (after.size, after.side) == (96, 96 * before.side // before.size)
    store = store_regions(read_graph(config.output), after, read_dataset(config.dev[0], "dev"), tmp_path / "regions")
    assert np.isfinite(store.features[:]).all()


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"sizes": ((64, 1),)}, "sizes"),
        ({"vision_learning_rate": 1e-3, "sizes": ((64, 0),)}, "sizes"),
        ({"data": ()}, "at least one dataset each"),
        ({"jitter": 0.1}, "jitter"),
        ({"smallest_view": 0.6}, "smallest_view"),
        ({"vision_learning_rate": 1e-3, "smallest_view": 0.0}, "smallest_view"),
    ],
)
def test_what_is_for_a_tuned_backbone_is_told_and_sizes_fit_its_strides(
    alignment_config: AlignmentConfig, wrong: dict[str, object], name: str
) -> None:
    with pytest.raises(ValueError, match=name):
        replace(alignment_config, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_captioner_resumes_exactly(
    alignment_config: AlignmentConfig, alignment_run: Path, tmp_path: Path, cell: str
) -> None:
    optimiser = "rmsprop" if cell == "rnn" else "adamw"
    config = captioner_config(
        alignment_config, "photo", cell=cell, optimiser=optimiser, dropout=0.3, epochs=3, output=tmp_path / "whole"
    )
    whole = train_captioner(config)
    broken = replace(config, output=tmp_path / "broken")
    train_captioner(replace(broken, stop_after=4))
    assert same_tensors(whole, train_captioner(broken))


@pytest.fixture(scope="module")
def named_shapes(shapes_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the shape stands on each photo, the photos often enough for their shapes to be taught."""
    lines = []
    for file in sorted((shapes_folder / "images").glob("*.jpg")) * 15:
        box = {"box": [0.2, 0.2, 0.8, 0.8], "names": [file.stem.split("_")[1]]}
        lines.append(json.dumps({"file_name": str(file), "boxes": [box]}))
    boxes = tmp_path_factory.mktemp("named_shapes") / "boxes.jsonl"
    boxes.write_text("\n".join(lines) + "\n")
    return boxes


@pytest.mark.parametrize("loss", ["likelihood", "reward"])
def test_a_captioner_attends_to_regions_and_resumes_exactly(
    alignment_config: AlignmentConfig, alignment_run: Path, named_shapes: Path, tmp_path: Path, loss: str
) -> None:
    text = tmp_path / "captions.tsv"
    text.write_text("flickr30k\t1\tA red circle is next to a square .\ncoco\t2\tnothing of the kind\n")
    first = captioner_config(
        alignment_config,
        "photo",
        regions=tmp_path / "regions",
        attention=16,
        photo_dropout=0.4,
        boxes=named_shapes,
        looking_weight=0.3,
        text=text,
        text_steps=3,
        text_share=0.25,
        views=1,
        epochs=40,
        output=tmp_path / "first",
    )
    train_captioner(first)
    config = replace(first, output=tmp_path / "whole")
    if loss == "reward":
        taught = {"looking_weight": 0.0, "photo_dropout": 0.0, "text": None, "text_steps": 0, "text_share": 0.0}
        config = replace(config, loss=loss, start=first.output, absent_weight=0.5, epochs=4, **taught)
    whole = train_captioner(config)
    broken = replace(config, output=tmp_path / "broken")
    train_captioner(replace(broken, stop_after=5))
    assert same_tensors(whole, train_captioner(broken))
    if loss == "likelihood":
        looking = logged(config.output, "looking")
        assert looking[-1] < looking[0]


@pytest.mark.parametrize("loss", ["likelihood", "reward"])
def test_a_captioner_sees_views_of_its_photos_and_resumes_exactly(
    alignment_config: AlignmentConfig, alignment_run: Path, tmp_path: Path, loss: str
) -> None:
    first = captioner_config(alignment_config, "photo", epochs=2, views=3, output=tmp_path / "first")
    train_captioner(first)
    config = first if loss == "likelihood" else replace(first, loss=loss, start=first.output)
    config = replace(config, output=tmp_path / "whole", averaging=0.9, schedule="constant")
    (source,) = CaptionerRun(config, "cpu").data.sources
    assert isinstance(source, Described) and len(source.looked) == 4
    rng = np.random.default_rng(0)
    for row in range(2):
        photo = source.texts.photos[row]
        kinds = np.unique([source.glance(row, rng).whole for _ in range(200)], axis=0)
        expected = np.stack([store.features[photo, 0] for store in source.looked]).astype(np.float32)
        np.testing.assert_array_equal(kinds, np.unique(expected, axis=0))
    whole = train_captioner(config)
    broken = replace(config, output=tmp_path / "broken")
    train_captioner(replace(broken, stop_after=3))
    assert same_tensors(whole, train_captioner(broken))


def test_views_are_of_photos(alignment_config: AlignmentConfig) -> None:
    with pytest.raises(ValueError, match='views needs about = "photo"'):
        captioner_config(alignment_config, "region", views=2)


def expected_reward(config: CaptionerConfig) -> float:
    """The mean reward of many captions drawn for each training photo by the weights that a run starts from."""
    run = CaptionerRun(config, "cpu")
    assert run.reward is not None
    photos = np.repeat(np.arange(len(run.data.rows)), 50)
    contexts = contexts_of([run.data.sources[0].glance(photo, None) for photo in photos])
    return float(run.reward(run.written().sample(contexts, 1.0, np.random.default_rng(0), 20), photos).mean())


def test_reward_training_earns_more_and_resumes_exactly(
    alignment_config: AlignmentConfig, alignment_run: Path, tmp_path: Path
) -> None:
    first = captioner_config(alignment_config, "photo", epochs=10, output=tmp_path / "first")
    with pytest.raises(TrainingError, match=r"captioner\.safetensors: not found; finish the run"):
        train_captioner(replace(first, loss="reward", start=tmp_path / "none"))
    train_captioner(first)
    config = replace(first, start=first.output, loss="reward", epochs=60, output=tmp_path / "whole", learning_rate=2e-3)
    train_captioner(replace(config, stop_after=1))
    whole = train_captioner(config)
    assert min(logged(config.output, "reward")) > 0
    assert expected_reward(replace(config, start=config.output)) > 1.1 * expected_reward(config) > 0
    broken = replace(config, output=tmp_path / "broken")
    train_captioner(replace(broken, stop_after=7))
    assert same_tensors(whole, train_captioner(broken))


def test_a_captioner_of_other_sizes_is_no_start(
    alignment_config: AlignmentConfig, alignment_run: Path, tmp_path: Path
) -> None:
    first = captioner_config(alignment_config, "photo", epochs=1, output=tmp_path / "first")
    train_captioner(first)
    other = replace(first, start=first.output, hidden=24, output=tmp_path / "other")
    with pytest.raises(TrainingError, match="give this run the cell, hidden and embedding"):
        train_captioner(other)


def test_the_region_captioner_learns_named_boxes(
    alignment_config: AlignmentConfig, alignment_run: Path, box_labels: Path, tmp_path: Path
) -> None:
    config = captioner_config(
        alignment_config, "region", boxes=box_labels, boxes_share=2.0, output=tmp_path / "whole", epochs=1
    )
    data = CaptionerRun(config, "cpu").data
    snippets, named = data.sources
    assert isinstance(named, Described)
    assert len(snippets.ids) > 0 and len(named.ids) == 75 + 150  # sofas are not in this vocabulary
    assert len(data.rows) == len(snippets.ids) + 2 * len(named.ids)
    assert {" ".join(data.vocabulary.decode(ids)) for ids in named.ids} == {"a circle", "a triangle"}
    whole, (store,) = named.glance(7).whole, named.looked
    photo, region = named.texts.photos[7], named.texts.regions[7]
    np.testing.assert_array_equal(whole[:32], store.features[photo, region].astype(np.float32))
    np.testing.assert_array_equal(whole[32:], store.features[photo, 0].astype(np.float32))
    label = read_box_labels(box_labels).names[photo][region - 1][0]
    assert data.vocabulary.decode(named.ids[7]) == ["a", label]
    train_captioner(config)
    broken = replace(config, output=tmp_path / "broken")
    train_captioner(replace(broken, stop_after=3))
    train_captioner(broken)
    assert same_tensors(config.output / "captioner.safetensors", broken.output / "captioner.safetensors")


@pytest.mark.parametrize(
    ("about", "settings", "message"),
    [
        ("region", {"attention": 8}, 'attention needs about = "photo"'),
        ("photo", {"attention": 12}, "a multiple of 8, its number of heads, found 12"),
        ("photo", {"photo_dropout": 0.4}, "photo_dropout needs attention"),
        ("photo", {"attention": 8, "looking_weight": 0.1}, "looking_weight needs boxes"),
        ("photo", {"absent_weight": 0.1, "boxes": Path()}, 'absent_weight needs loss = "reward"'),
        (
            "photo",
            {"loss": "reward", "start": Path(), "attention": 8, "photo_dropout": 0.1},
            'photo_dropout needs loss = "likelihood"',
        ),
        ("photo", {"loss": "reward", "start": Path(), "absent_weight": 0.1}, "absent_weight needs boxes"),
        ("photo", {"text_share": 0.1}, "text_steps and text_share need text"),
    ],
)
def test_settings_that_need_others(about: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        captioner_config(AlignmentConfig(((Path(), 1.0),), (Path(),), *[Path()] * 3), about, **settings)


@pytest.mark.parametrize("wrong", [{"about": "region"}, {"samples": 1}, {"start": None}])
def test_rewards_need_photos_siblings_and_a_start(
    alignment_config: AlignmentConfig, tmp_path: Path, wrong: dict[str, object]
) -> None:
    settings = {"about": "photo", "start": tmp_path, "samples": 5} | wrong
    with pytest.raises(ValueError, match="samples of at least 2"):
        captioner_config(alignment_config, str(settings.pop("about")), loss="reward", **settings)


def test_stores_of_another_network_are_refused(shapes_folder: Path, vision_run: Path, tmp_path: Path) -> None:
    dataset, settings, graph = read_dataset(shapes_folder, "dev"), read_settings(vision_run), read_graph(vision_run)
    store = store_regions(graph, settings, dataset, tmp_path / "regions")
    assert len(store.counts) == len(dataset)
    another = float_graph(VisionNet(EfficientNetLiteBackbone(TINY, 32)), settings.size).SerializeToString()
    others = (another, settings), (graph, replace(settings, nms_iou=0.5))
    for other in others:
        with pytest.raises(DataError):
            store_regions(*other, dataset, tmp_path / "regions")


def test_unfinished_runs_are_named(alignment_config: AlignmentConfig, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"vision\.safetensors: not found; finish the run"):
        train_alignment(replace(alignment_config, vision=tmp_path))
    with pytest.raises(TrainingError, match=r"alignment\.safetensors: not found"):
        train_captioner(captioner_config(replace(alignment_config, output=tmp_path), "photo"))


def test_damaged_runs_are_named(alignment_config: AlignmentConfig, tmp_path: Path) -> None:
    (tmp_path / "vision.safetensors").write_bytes(b"half a file")
    with pytest.raises(TrainingError, match=r"vision\.safetensors: damaged .* give that run's command again"):
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


def test_photos_without_a_known_word_are_not_measured(alignment_config: AlignmentConfig, alignment_run: Path) -> None:
    run = AlignmentRun(replace(alignment_config, start=alignment_run), "cpu")
    every = run.dev_sentences[0]
    half = every.photos % 2 == 1
    some = Sentences(tuple(ids for ids, keep in zip(every.ids, half, strict=True) if keep), every.photos[half])
    run.net.eval()
    source = run.dev_sources[0]
    found = measure_retrieval(run.net, source, some, "max", "cpu", run.settings[-1], chunk=3)
    rows = np.unique(some.photos)
    store = source.store
    vectors = [run.net.regions(torch.from_numpy(store.features[r, : store.counts[r]].astype("f"))) for r in rows]
    one = [(torch.from_numpy(ids)[None], torch.ones(1, len(ids), dtype=torch.bool)) for ids in some.ids]
    words = [run.net.words(ids, mask)[0] for ids, mask in one]
    scores = torch.stack([torch.stack([(v @ w.T).max(0).values.sum() for w in words]) for v in vectors])
    best = rows[scores.detach().argmax(0).numpy()]
    assert found["text_to_image_r1"] == pytest.approx(100 * np.mean(best == some.photos))


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not FLICKR8K.is_dir(), reason="needs flickr8k below ../shared/data or $REGIONTALK_DATA")
def test_200_flickr8k_photos_are_learnt_by_heart_and_resumed_exactly(vision_run: Path, tmp_path: Path) -> None:
    config = AlignmentConfig(
        data=((FLICKR8K, 1.0),),
        dev=(FLICKR8K,),
        vision=vision_run,
        regions=tmp_path / "regions",
        output=tmp_path / "run",
        limit=200,
        min_count=1,
        embedding=64,
        hidden=128,
        dim=128,
        dropout=0.0,
        learning_rate=4e-3,
        epochs=40,
    )
    whole = train_alignment(config)
    broken = replace(config, output=tmp_path / "broken")
    train_alignment(replace(broken, stop_after=150))
    assert same_tensors(whole, train_alignment(broken))
    numbers = learnt_by_heart(config)
    assert numbers["image_to_text_r1"] > 90 and numbers["text_to_image_r1"] > 90


def learnt_by_heart(config: AlignmentConfig) -> dict[str, float]:
    """Retrieval on the photos that a run was trained on."""
    run = AlignmentRun(config, "cpu")
    _, net = read_alignment(config.output)
    return measure_retrieval(net, run.train_sources[0], run.train_sentences[0], config.score, "cpu", run.settings[-1])
