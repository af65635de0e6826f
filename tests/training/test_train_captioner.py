"""Captioner runs: likelihood and reward, photos and regions; all resume exactly."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regiontalk.errors import TrainingError
from regiontalk.training.alignment_config import AlignmentConfig
from regiontalk.training.box_labels import read_box_labels
from regiontalk.training.caption_sources import Described, contexts_of
from regiontalk.training.captioner_config import CaptionerConfig
from regiontalk.training.captioner_data import Reader
from regiontalk.training.train_captioner import CaptionerRun, first_network, train_captioner

from .small_world import captioner_config, logged, same_tensors


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_captioner_resumes_exactly(
    alignment_config: AlignmentConfig, alignment_run: Path, tmp_path: Path, cell: str
) -> None:
    optimiser = "rmsprop" if cell == "rnn" else "adamw"
    config = captioner_config(
        alignment_config,
        "photo",
        cell=cell,
        optimiser=optimiser,
        dropout=0.3,
        epochs=3,
        output=tmp_path / "whole",
    )
    whole = train_captioner(config)
    broken = replace(config, output=tmp_path / "broken")
    train_captioner(replace(broken, stop_after=4))
    assert same_tensors(whole, train_captioner(broken))


@pytest.fixture(scope="module")
def named_shapes(shapes_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the shape stands on each photo, often enough for their shapes to be taught."""
    lines = []
    for file in sorted((shapes_folder / "images").glob("*.jpg")) * 15:
        box = {"box": [0.2, 0.2, 0.8, 0.8], "names": [file.stem.split("_")[1]]}
        lines.append(json.dumps({"file_name": str(file), "boxes": [box]}))
    boxes = tmp_path_factory.mktemp("named_shapes") / "boxes.jsonl"
    boxes.write_text("\n".join(lines) + "\n")
    return boxes


@pytest.mark.parametrize("loss", ["likelihood", "reward"])
def test_a_captioner_attends_to_regions_and_resumes_exactly(
    alignment_config: AlignmentConfig,
    alignment_run: Path,
    named_shapes: Path,
    tmp_path: Path,
    loss: str,
) -> None:
    text = tmp_path / "captions.tsv"
    text.write_text(
        "flickr30k\t1\tA red circle is next to a square .\ncoco\t2\tnothing of the kind\n"
    )
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
        taught = {
            "looking_weight": 0.0,
            "photo_dropout": 0.0,
            "text": None,
            "text_steps": 0,
            "text_share": 0.0,
        }
        config = replace(
            config, loss=loss, start=first.output, absent_weight=0.5, epochs=4, **taught
        )
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
    first = captioner_config(
        alignment_config, "photo", epochs=2, views=3, output=tmp_path / "first"
    )
    train_captioner(first)
    config = first if loss == "likelihood" else replace(first, loss=loss, start=first.output)
    config = replace(config, output=tmp_path / "whole", averaging=0.9, schedule="constant")
    (source,) = Reader.of(config).read().sources
    assert isinstance(source, Described) and len(source.looked) == 4
    rng = np.random.default_rng(0)
    for row in range(2):
        photo = source.texts.photos[row]
        kinds = np.unique([source.glance(row, rng).whole for _ in range(200)], axis=0)
        expected = np.stack([store.features[photo, 0] for store in source.looked]).astype(
            np.float32
        )
        np.testing.assert_array_equal(kinds, np.unique(expected, axis=0))
    whole = train_captioner(config)
    broken = replace(config, output=tmp_path / "broken")
    train_captioner(replace(broken, stop_after=3))
    assert same_tensors(whole, train_captioner(broken))


def test_views_are_of_photos(alignment_config: AlignmentConfig) -> None:
    with pytest.raises(ValueError, match='views needs about = "photo"'):
        captioner_config(alignment_config, "region", views=2)


def expected_reward(config: CaptionerConfig) -> float:
    """Mean reward of many captions drawn for each training photo by a run's first weights."""
    data = Reader.of(config).read()
    run = CaptionerRun(config, "cpu", data, first_network(config, data))
    assert run.reward is not None
    photos = np.repeat(np.arange(len(run.data.rows)), 50)
    contexts = contexts_of([run.data.sources[0].glance(photo, None) for photo in photos])
    return float(
        run.reward(run.written().sample(contexts, 1.0, np.random.default_rng(0), 20), photos).mean()
    )


def test_reward_training_earns_more_and_resumes_exactly(
    alignment_config: AlignmentConfig, alignment_run: Path, tmp_path: Path
) -> None:
    first = captioner_config(alignment_config, "photo", epochs=10, output=tmp_path / "first")
    with pytest.raises(TrainingError, match=r"captioner\.safetensors: not found; finish the run"):
        train_captioner(replace(first, loss="reward", start=tmp_path / "none"))
    train_captioner(first)
    config = replace(
        first,
        start=first.output,
        loss="reward",
        epochs=60,
        output=tmp_path / "whole",
        learning_rate=2e-3,
    )
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
        alignment_config,
        "region",
        boxes=box_labels,
        boxes_share=2.0,
        output=tmp_path / "whole",
        epochs=1,
    )
    data = Reader.of(config).read()
    snippets, named = data.sources
    assert isinstance(named, Described)
    assert len(snippets.ids) > 0 and len(named.ids) == 75 + 150  # sofas are not in this vocabulary
    assert len(data.rows) == len(snippets.ids) + 2 * len(named.ids)
    assert {" ".join(data.vocabulary.decode(ids)) for ids in named.ids} == {
        "a circle",
        "a triangle",
    }
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
    assert same_tensors(
        config.output / "captioner.safetensors", broken.output / "captioner.safetensors"
    )


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
        (
            "photo",
            {"loss": "reward", "start": Path(), "absent_weight": 0.1},
            "absent_weight needs boxes",
        ),
        ("photo", {"text_share": 0.1}, "text_steps and text_share need text"),
    ],
)
def test_settings_that_need_others(about: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        captioner_config(
            AlignmentConfig(((Path(), 1.0),), (Path(),), *[Path()] * 3), about, **settings
        )


@pytest.mark.parametrize("wrong", [{"about": "region"}, {"samples": 1}, {"start": None}])
def test_rewards_need_photos_siblings_and_a_start(
    alignment_config: AlignmentConfig, tmp_path: Path, wrong: dict[str, object]
) -> None:
    settings = {"about": "photo", "start": tmp_path, "samples": 5} | wrong
    with pytest.raises(ValueError, match="samples of at least 2"):
        captioner_config(alignment_config, str(settings.pop("about")), loss="reward", **settings)
