"""Stores of what teachers said: what is damaged is named, and some photos are never trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from regiontalk.errors import DataError
from regiontalk.training.teacher_store import HELD_OUT, TeacherStore


@pytest.fixture
def copy(teacher_store: Path, tmp_path: Path) -> Path:
    """A store of links, each of which may be replaced."""
    for file in teacher_store.iterdir():
        (tmp_path / file.name).symlink_to(file)
    return tmp_path


def put(file: Path, content: bytes) -> None:
    file.unlink(missing_ok=True)
    file.write_bytes(content)


def test_labels_must_fit_the_boxes(copy: Path) -> None:
    labels = copy / "labels.json"
    labels.unlink()
    with pytest.raises(DataError, match=r"labels\.json: not found; run the recipe's teach\.py once more"):
        _ = TeacherStore(copy).labels
    for damaged in ("[[null]]", "3", "[3]", json.dumps([[7] * len(boxes) for boxes in TeacherStore(copy).boxes])):
        labels.write_text(damaged)
        with pytest.raises(DataError, match=r"labels\.json: a class or null for each of boxes\.json expected"):
            _ = TeacherStore(copy).labels
    labels.write_text("[[nul")
    with pytest.raises(DataError, match=r"labels\.json: not JSON"):
        _ = TeacherStore(copy).labels


@pytest.mark.parametrize("damaged", ["[[1, 2, 3]]", '[["x"]]', "3", "[[", "[[[0, 0, 1, 1]]]"])
def test_damaged_boxes_are_refused(copy: Path, damaged: str) -> None:
    put(copy / "boxes.json", damaged.encode())
    with pytest.raises(DataError, match=r"boxes\.json: "):
        _ = TeacherStore(copy).boxes


@pytest.mark.parametrize("name", ["photos.npy", "crops.npy", "view_01.npy", "classifier.safetensors"])
@pytest.mark.parametrize("damaged", [b"", b"\x93NUMPY", b"not an array"])
def test_damaged_files_are_named(copy: Path, name: str, damaged: bytes) -> None:
    put(copy / name, damaged)
    with pytest.raises(DataError, match=rf"{name}: damaged .* remove it and run the recipe's teach\.py again"):
        TeacherStore(copy)


def test_arrays_and_classifiers_of_another_form_are_named(copy: Path) -> None:
    crops = np.load(copy / "crops.npy")
    (copy / "crops.npy").unlink()
    np.save(copy / "crops.npy", crops[:, 0])
    with pytest.raises(DataError, match=r"crops\.npy: an array of 3 axes expected, 2 found"):
        TeacherStore(copy)
    np.save(copy / "crops.npy", crops[1:])
    with pytest.raises(DataError, match="2 views of 300 photos expected"):
        TeacherStore(copy)
    np.save(copy / "crops.npy", crops)
    (copy / "classifier.safetensors").unlink()
    save_file({"weight": np.ones(2)}, copy / "classifier.safetensors")
    with pytest.raises(DataError, match=r"classifier\.safetensors: damaged"):
        TeacherStore(copy)


@pytest.mark.parametrize("damaged", ["[", "3", "[[1]]", '[["a", 1]]'])
def test_damaged_scales_are_named(copy: Path, damaged: str) -> None:
    put(copy / "stages.json", damaged.encode())
    with pytest.raises(DataError, match=r"stages\.json: "):
        _ = TeacherStore(copy).stage_scales


def test_some_photos_are_held_out_of_every_run(teacher_store: Path) -> None:
    held_out, others = TeacherStore(teacher_store).held_out_and_others()
    assert len(held_out) == HELD_OUT and sorted([*held_out, *others]) == list(range(300))
    again, _ = TeacherStore(teacher_store).held_out_and_others()
    np.testing.assert_array_equal(held_out, again)


def test_a_store_with_nothing_to_train_on_is_refused(copy: Path) -> None:
    store = TeacherStore(copy)
    store.photos = store.photos[:HELD_OUT]
    with pytest.raises(DataError, match="256 photos, of which 256 are held out; give it more"):
        store.held_out_and_others()
