"""Alignment runs that tune the backbone: it moves, sees sizes and views, and resumes exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from regiontalk.data import read_dataset
from regiontalk.training.alignment_config import AlignmentConfig
from regiontalk.training.region_stores import store_regions
from regiontalk.training.train_alignment import train_alignment
from regiontalk.training.vision_graph import read_graph, read_settings

from .small_world import a_run, same_tensors


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
    before, after = (
        load_file(config.vision / "vision.safetensors"),
        load_file(config.output / "vision.safetensors"),
    )
    assert not np.array_equal(
        before["backbone.network.conv_head.weight"], after["backbone.network.conv_head.weight"]
    )
    assert np.array_equal(
        before["backbone.network.conv_stem.weight"], after["backbone.network.conv_stem.weight"]
    )
    assert np.array_equal(
        before["backbone.network.bn1.running_mean"], after["backbone.network.bn1.running_mean"]
    )


def test_named_photos_stand_in_another_light_too(
    alignment_config: AlignmentConfig, alignment_run: Path, box_labels: Path, tmp_path: Path
) -> None:
    config = replace(
        alignment_config,
        start=alignment_run,
        output=tmp_path,
        boxes=box_labels,
        vision_learning_rate=1.0,
    )
    plain, jittered = (a_run(replace(config, jitter=each)).named for each in (0.0, 0.5))
    assert plain is not None and jittered is not None
    settings = read_settings(config.vision)
    assert (plain.batch(0, settings).pixels[0] != jittered.batch(0, settings).pixels[0]).any()


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
    store = store_regions(
        read_graph(config.output), after, read_dataset(config.dev[0], "dev"), tmp_path / "regions"
    )
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
