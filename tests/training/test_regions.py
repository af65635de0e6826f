"""Views of photos in tuning: boxes stay on their things, whatever the window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from regiontalk.data import RegionStore, RegionStoreWriter, read_dataset
from regiontalk.errors import PhotoError
from regiontalk.settings import VisionSettings
from regiontalk.training.region_stores import store_boxes, store_regions, store_view
from regiontalk.training.regions import LiveFeatures, Views, jittered, random_view, unit_boxes
from regiontalk.training.vision_graph import (
    prepared,
    read_graph,
    read_settings,
    read_vision,
)
from regiontalk.vision.boxes import roi_weights

SETTINGS = VisionSettings(
    size=64, side=4, feature_dim=32, proposals=10, nms_iou=0.6, min_objectness=0.0
)


@pytest.fixture
def seen(shapes_folder: Path, vision_run: Path, tmp_path: Path) -> LiveFeatures:
    dataset = read_dataset(shapes_folder, "dev")
    network, settings = read_vision(vision_run)
    store = store_regions(read_graph(vision_run), settings, dataset, tmp_path / "regions")
    return LiveFeatures(network, store, dataset.files, "cpu")


def test_without_chance_the_photos_are_seen_whole(seen: LiveFeatures) -> None:
    batch = seen.load(np.arange(4), None, SETTINGS)
    counts = np.asarray(seen.store.counts)
    assert batch.mask.sum(1).tolist() == counts.tolist()
    for row, count in enumerate(counts):
        np.testing.assert_allclose(
            batch.weights[row, :count], roi_weights(unit_boxes(seen.store, row)[:count], 4)
        )
        assert not batch.weights[row, count:].any()
        assert len(batch.boxes[row]) == count - 1


def test_photos_may_have_so_many_pixels(
    seen: LiveFeatures, vision_run: Path, shapes_folder: Path, tmp_path: Path
) -> None:
    seen.max_pixels = 10
    graph, settings, dataset = (
        read_graph(vision_run),
        read_settings(vision_run),
        read_dataset(shapes_folder, "dev"),
    )
    files, boxes = dataset.files, [np.zeros((0, 4), np.float32)] * len(dataset)
    for opens in (
        lambda: seen.load(np.arange(4), None, SETTINGS),
        lambda: store_regions(graph, settings, dataset, tmp_path / "few", 10),
        lambda: store_view(graph, settings, dataset, seen.store, tmp_path / "views", 0, 10),
        lambda: store_boxes(graph, settings, files, boxes, tmp_path / "boxes", 10),
        lambda: prepared(files, 64, 10),
    ):
        with pytest.raises(PhotoError, match="at most 10 pixels"):
            opens()


def test_views_are_chosen_by_the_generator_alone(seen: LiveFeatures) -> None:
    one, same, other = (
        seen.load(np.arange(4), np.random.default_rng(seed), SETTINGS) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.pixels, same.pixels)
    np.testing.assert_array_equal(one.weights, same.weights)
    assert not np.array_equal(one.pixels, other.pixels)


def test_windows_stay_in_the_photo() -> None:
    rng = np.random.default_rng(0)
    windows = np.array([random_view(rng, Views().smallest)[0] for _ in range(200)])
    assert windows.min() >= 0 and windows.max() <= 1
    assert ((windows[:, 2:] - windows[:, :2]) >= Views().smallest - 1e-9).all()


def test_photos_stand_in_another_light_in_training_only(seen: LiveFeatures) -> None:
    jittering = LiveFeatures(seen.network, seen.store, seen.files, "cpu", Views(jitter=0.4))
    rows = np.arange(4)
    np.testing.assert_array_equal(
        jittering.load(rows, None, SETTINGS).pixels, seen.load(rows, None, SETTINGS).pixels
    )
    plain, changed = (
        source.load(rows[:1], np.random.default_rng(1), SETTINGS) for source in (seen, jittering)
    )
    np.testing.assert_array_equal(changed.weights, plain.weights)  # the same window
    assert not np.array_equal(changed.pixels, plain.pixels)


def test_jitter_changes_light_within_its_bounds() -> None:
    grey, rng = Image.new("RGB", (8, 8), (100, 100, 100)), np.random.default_rng(0)
    assert jittered(grey, rng, 0.0) is grey
    values = [jittered(grey, rng, 0.2).getpixel((4, 4))[0] for _ in range(100)]  # type: ignore[index]
    # Contrast and colour leave an even grey
    assert 79 <= min(values) < 90 and 110 < max(values) <= 121


def test_a_box_follows_its_thing(seen: LiveFeatures, tmp_path: Path) -> None:
    """A red square in a grey photo, its only region: red fills the box in every view."""
    photo = Image.new("RGB", (96, 80), (128, 128, 128))
    ImageDraw.Draw(photo).rectangle((40, 30, 59, 49), fill=(255, 0, 0))
    photo.save(tmp_path / "square.png")
    writer = RegionStoreWriter.open(
        tmp_path / "store", ["square.png"], regions=2, dim=32, vision_checksum="0" * 64
    )
    writer.append(
        features=np.zeros((1, 2, 32), np.float32),
        boxes=np.float32([[[0, 0, 96, 80], [40, 30, 60, 50]]]),
        scores=np.ones((1, 2), np.float32),
        counts=np.array([2]),
        sizes=np.array([[96, 80]]),
    )
    writer.finish()
    store = RegionStore.open(tmp_path / "store")
    square = LiveFeatures(seen.network, store, [tmp_path / "square.png"], "cpu")
    for seed in range(20):
        batch = square.load(np.array([0]), np.random.default_rng(seed), SETTINGS)
        ((left, top, right, bottom),) = (batch.boxes[0] * 64).round().astype(int)
        # No grey inside
        assert batch.pixels[0, top + 2 : bottom - 2, left + 2 : right - 2, 1].max() < 40
        outside = batch.pixels[0].copy()
        outside[max(top - 2, 0) : bottom + 2, max(left - 2, 0) : right + 2] = 128
        assert outside[..., 1].min() > 90  # no red outside
        assert batch.mask.tolist() == [[True, True]]
