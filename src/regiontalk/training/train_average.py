"""`regiontalk train average`: the mean of several alignment runs' weights, written as one finished run.

Runs that went on from the same weights with other seeds or other views of the photos end in one valley of the loss; the
mean of their weights does better than each of them, and costs no more than one (Wortsman et al., 2022).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from regiontalk.data import read_dataset
from regiontalk.errors import TrainingError
from regiontalk.photos import open_photo
from regiontalk.settings import Section
from regiontalk.training.checkpoint import (
    KEPT_SETTINGS,
    read_finished,
    require_finished,
    run_settings,
    write_tensors,
)
from regiontalk.training.train_alignment import VOCABULARY, WEIGHTS
from regiontalk.training.vision_graph import TYPICAL_PHOTOS, read_settings, read_vision, save_vision
from regiontalk.training.vision_graph import WEIGHTS as VISION_WEIGHTS
from regiontalk.vision.session import prepare

KEPT = ("data", "score")
"""Settings that must be the same, and that `regiontalk export` asks for."""


@dataclass(frozen=True)
class AverageConfig(Section):
    """Settings.

    Attributes:
        data: folder of captioned photos with a train split; the first of them say how large the values in the int8
            graph become.
        runs: folders of finished alignment runs that tuned the backbone, all from the same start. One alone is written
            anew, with the graph that its folder may lack.
        output: folder of the run.
    """

    data: Path
    runs: tuple[Path, ...]
    output: Path

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.runs:
            raise ValueError("runs: at least one")
        if self.output in self.runs:
            raise ValueError("output must be another folder than those of the runs")


def train_average(config: AverageConfig) -> Path:
    """Write the mean as a finished run; returns the file of its weights (`alignment.safetensors`).

    Raises:
        TrainingError: if a run is not finished or damaged, or they differ in more than their weights.
        DataError, PhotoError: if the photos cannot be read.
    """
    first = config.runs[0]
    for run in config.runs:
        require_finished(run, VOCABULARY, WEIGHTS)
        if not (run / VISION_WEIGHTS).exists():
            raise TrainingError(f"{run}: did not tune the backbone (vision_learning_rate = 0); average runs that did")
        require_alike(first, run)
    network, settings = read_vision(first)
    network.load_state_dict(mean_weights(config.runs, VISION_WEIGHTS))
    alignment = mean_weights(config.runs, WEIGHTS)
    photos = read_dataset(config.data, "train").photos[:TYPICAL_PHOTOS]
    pixels = [prepare(open_photo(photo.file, min_side=settings.size).image, settings.size) for photo in photos]
    config.output.mkdir(parents=True, exist_ok=True)
    (config.output / WEIGHTS).unlink(missing_ok=True)  # it comes last: no kill leaves parts of two means together
    (config.output / VOCABULARY).write_bytes((first / VOCABULARY).read_bytes())
    (config.output / KEPT_SETTINGS).write_text(json.dumps(kept_settings(first)) + "\n")
    save_vision(config.output, network, settings, np.stack(pixels))
    write_tensors(alignment, config.output / WEIGHTS)
    return config.output / WEIGHTS


def require_alike(first: Path, other: Path) -> None:
    """See that two runs read the same words and look at photos in the same way.

    Raises:
        TrainingError: if they do not.
    """
    if (first / VOCABULARY).read_bytes() != (other / VOCABULARY).read_bytes():
        raise TrainingError(f"{other}: its vocabulary is not that of {first}; average runs from the same start")
    if read_settings(first) != read_settings(other):
        raise TrainingError(f"{other}: its vision.json is not that of {first}; average runs from the same start")
    before, found = kept_settings(first), kept_settings(other)
    for name in before.keys() & found.keys():
        if before[name] != found[name]:
            raise TrainingError(f"{other}: its {name} is {found[name]!r}, that of {first} is {before[name]!r}")


def kept_settings(run: Path) -> dict[str, Any]:
    """Those of `KEPT` that are known of a run."""
    settings = run_settings(run)
    return {name: settings[name] for name in KEPT if name in settings}


def mean_weights(runs: Sequence[Path], name: str) -> Mapping[str, Tensor]:
    """The mean of one file's tensors over all runs.

    Raises:
        TrainingError: if a file is damaged, or its tensors are not those of the first.
    """
    every = [read_finished(run, name) for run in runs]
    shapes = [{key: value.shape for key, value in each.items()} for each in every]
    for run, found in zip(runs, shapes, strict=True):
        if found != shapes[0]:
            raise TrainingError(f"{run / name}: other tensors than in {runs[0] / name}; average runs of the same sizes")
    return {key: torch.stack([each[key] for each in every]).mean(0) for key in every[0]}
