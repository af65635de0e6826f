"""Teacher stores: what is damaged is named, crops and boxes move together, and some photos are never trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from regiontalk.errors import DataError
from regiontalk.training.teacher_store import (
    HELD_OUT,
    MAX_CROP_ASPECT,
    MIN_CROP_AREA,
    TeacherStore,
    boxes_in_crop,
    crop_photo,
    draw_crops,
)

from .conftest import random_teacher


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


@pytest.mark.parametrize("damaged", [b"", b"\x93NUMPY", b"not an array"])
def test_damaged_photos_are_named(copy: Path, damaged: bytes) -> None:
    put(copy / "photos.npy", damaged)
    with pytest.raises(DataError, match=r"photos\.npy: damaged .* remove it and run the recipe's teach\.py again"):
        TeacherStore(copy)


def test_photos_of_another_form_are_named(copy: Path) -> None:
    photos = np.load(copy / "photos.npy")
    (copy / "photos.npy").unlink()
    np.save(copy / "photos.npy", photos[..., 0])
    with pytest.raises(DataError, match=r"photos\.npy: an array of 4 axes expected, 3 found"):
        TeacherStore(copy)


def test_a_folder_without_photos_or_boxes_is_no_store(copy: Path) -> None:
    (copy / "boxes.json").unlink()
    with pytest.raises(DataError, match=r"not a teacher store, boxes\.json missing; run the recipe's teach\.py"):
        TeacherStore(copy)
    (copy / "photos.npy").unlink()
    with pytest.raises(DataError, match=r"photos\.npy, boxes\.json missing"):
        TeacherStore(copy)


def test_the_teacher_comes_with_the_store_and_only_where_it_is_asked_for(copy: Path) -> None:
    expected, found = random_teacher().state_dict(), TeacherStore(copy).teacher().state_dict()
    assert all(torch.equal(value, found[name]) for name, value in expected.items())
    put(copy / "teacher.safetensors", b"half a file")
    with pytest.raises(DataError, match=r"teacher\.safetensors: damaged"):
        TeacherStore(copy).teacher()
    (copy / "teacher.safetensors").unlink()
    store = TeacherStore(copy)
    assert len(store.batch(np.array([1]), 32, None).pixels) == 1
    with pytest.raises(DataError, match=r"teacher\.safetensors: not found; run the recipe's teach\.py once more"):
        store.teacher()


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


def test_crops_are_within_their_bounds_and_reach_them() -> None:
    crops = draw_crops(20_000, np.random.default_rng(0))
    assert crops.shape == (20_000, 4) and crops.min() >= 0 and crops.max() <= 1
    width, height = (crops[:, 2:] - crops[:, :2]).T
    area, aspect = width * height, width / height
    assert MIN_CROP_AREA - 1e-9 <= area.min() < MIN_CROP_AREA + 0.01 and area.max() > 0.99
    assert 1 / MAX_CROP_ASPECT - 1e-9 <= aspect.min() < 0.76 and 1.32 < aspect.max() <= MAX_CROP_ASPECT + 1e-9
    assert abs(np.log(aspect).mean()) < 0.01  # upright and lying alike
    np.testing.assert_allclose(crops.mean(0) + crops.mean(0)[[2, 3, 0, 1]], 1, atol=0.01)  # anywhere alike
    assert draw_crops(0, np.random.default_rng(0)).shape == (0, 4)


def test_a_crop_is_cut_from_where_it_stands() -> None:
    photo = np.arange(4 * 8 * 3, dtype=np.uint8).reshape(4, 8, 3)
    found = crop_photo(photo, np.array([0.25, 0.5, 0.5, 1]), 2)
    np.testing.assert_array_equal(found, photo[2:4, 2:4])
    np.testing.assert_array_equal(crop_photo(photo[:, :4], np.array([0, 0, 1, 1]), 4), photo[:, :4])


@pytest.mark.parametrize(
    ("mirror", "expected"),
    [
        (False, [[0.0, 0.5, 0.5, 1.0], [0.5, 0.0, 1.0, 0.25]]),
        (True, [[0.5, 0.5, 1.0, 1.0], [0.0, 0.0, 0.5, 0.25]]),
    ],
)
def test_boxes_move_with_the_crop_and_its_mirror_image(mirror: bool, expected: list[list[float]]) -> None:
    crop = np.array([0.5, 0.0, 1.0, 0.5])
    boxes = np.float32(
        [
            [0.25, 0.25, 0.75, 0.5],  # half of it is left
            [0.0, 0.0, 0.5, 0.5],  # nothing
            [0.75, 0.0, 1.0, 0.125],  # all
            [0.25, 0.0, 0.625, 0.5],  # a third, which is too little
        ]
    )
    found, kept = boxes_in_crop(boxes, crop, mirror)
    np.testing.assert_allclose(found, expected)
    assert kept.tolist() == [True, False, True, False]
    none, kept = boxes_in_crop(np.zeros((0, 4), np.float32), crop, mirror)
    assert none.shape == (0, 4) and kept.shape == (0,)


def test_random_views_show_their_boxes_where_they_say(copy: Path) -> None:
    photos = np.zeros((300, 96, 96, 3), np.uint8)
    photos[:, 24:48, 12:60, 0] = 255  # a red thing, left of the middle
    (copy / "photos.npy").unlink()
    np.save(copy / "photos.npy", photos)
    put(copy / "boxes.json", json.dumps([[[12 / 96, 24 / 96, 60 / 96, 48 / 96]]] * 300).encode())
    store, rows = TeacherStore(copy), np.arange(200)
    views = store.batch(rows, 64, np.random.default_rng(3))
    assert views.pixels.shape == (200, 64, 64, 3) and views.pixels.dtype == np.uint8
    shown, right = 0, 0
    for pixels, boxes in zip(views.pixels, views.boxes, strict=True):
        for box in boxes:
            x1, y1, x2, y2 = np.round(box * 64).astype(int)
            outside = pixels[..., 0].astype(int).copy()
            outside[max(y1 - 2, 0) : y2 + 2, max(x1 - 2, 0) : x2 + 2] = 0
            assert pixels[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2, 0].min() > 250 and outside.max() == 0
            shown, right = shown + 1, right + (x1 + x2 > 64)
    assert 100 < shown < 200  # in some crops too little of it is left
    assert 0.3 < right / shown < 0.7  # half of them are mirrored
    same = store.batch(rows, 64, np.random.default_rng(3))
    np.testing.assert_array_equal(views.pixels, same.pixels)
    assert not np.array_equal(views.pixels, store.batch(rows, 64, np.random.default_rng(4)).pixels)


def test_without_chance_photos_are_seen_whole(teacher_store: Path) -> None:
    store, rows = TeacherStore(teacher_store), np.array([5, 250, 5])
    views = store.batch(rows, 96, None)
    np.testing.assert_array_equal(views.pixels, store.photos[rows])
    for boxes, row in zip(views.boxes, rows, strict=True):
        np.testing.assert_array_equal(boxes, store.boxes[row])
    smaller = store.batch(rows[:1], 32, None).pixels[0]
    expected = Image.fromarray(store.photos[5]).resize((32, 32), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(smaller, np.asarray(expected))
