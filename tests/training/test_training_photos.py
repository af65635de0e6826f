"""The list of training photos: complete, and refused where it would not be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from regiontalk.data import read_dataset
from regiontalk.errors import ConfigError, DataError, TrainingError
from regiontalk.fingerprints import fingerprint_files, listed, recognised
from regiontalk.training.box_labels import read_box_labels
from regiontalk.training.checkpoint import write_tensors
from regiontalk.training.training_photos import require_named, training_photos


def test_data_boxes_and_folders_come_together(shapes_folder: Path, box_labels: Path, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    coarse = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((90, 60)).save(tmp_path / "deep" / "a.png")
    known = training_photos([shapes_folder], [box_labels, tmp_path])
    assert known is not None
    files = [photo.file for photo in read_dataset(shapes_folder, "train").photos]
    train = fingerprint_files(files)
    stored = fingerprint_files(read_box_labels(box_labels).photos)
    alone = fingerprint_files([tmp_path / "deep" / "a.png"])
    assert np.array_equal(known, listed(np.concatenate([train, stored, alone])))
    only_train = training_photos([shapes_folder], [])
    assert only_train is not None and not recognised(alone, only_train).any()
    assert training_photos([], []) is None


def test_folders_without_photos(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no photo"):
        training_photos([], [tmp_path])
    with pytest.raises(DataError, match="none: expected a folder of photos or a file of boxes with names"):
        training_photos([], [tmp_path / "none"])
    Image.new("RGB", (30, 30)).save(tmp_path / "blank.png")
    with pytest.raises(DataError, match="not blank, found 0"):
        training_photos([], [tmp_path])


def test_no_dataset_is_forgotten(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    require_named([run], [])  # its checkpoint is gone: nobody can tell
    write_tensors({"a": torch.zeros(1)}, run / "checkpoint.safetensors", {"run": json.dumps({"data": "birds"})})
    require_named([run], [tmp_path / "cats", tmp_path / "birds"])
    several = json.dumps({"data": [["cats", 1.0], ["fish", 2.0]]})
    write_tensors({"a": torch.zeros(1)}, run / "checkpoint.safetensors", {"run": several})
    with pytest.raises(ConfigError, match="'fish', which data does not name"):
        require_named([run], [tmp_path / "cats", tmp_path / "birds"])
    write_tensors({"a": torch.zeros(1)}, run / "checkpoint.safetensors", {"run": json.dumps({"data": "birds"})})
    with pytest.raises(ConfigError, match=r"run: was trained on the dataset 'birds', which data does not name"):
        require_named([run], [tmp_path / "cats"])
    (run / "checkpoint.safetensors").write_bytes(b"\xff" * 8)
    with pytest.raises(TrainingError, match=r"checkpoint\.safetensors: damaged"):
        require_named([run], [tmp_path / "cats"])
    (run / "checkpoint.safetensors").unlink()
    (run / "run.json").write_text('{"data": "birds"}')  # of a run that has none, a mean of others
    with pytest.raises(ConfigError, match=r"run: was trained on the dataset 'birds', which data does not name"):
        require_named([run], [tmp_path / "cats"])
    (run / "run.json").write_text("{")
    with pytest.raises(TrainingError, match=r"run\.json: damaged"):
        require_named([run], [tmp_path / "cats"])
