"""Stores of region features go on where they stopped, and none of another network is taken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regiontalk.data import RegionStore, RegionStoreWriter, read_dataset
from regiontalk.errors import DataError
from regiontalk.training import region_stores
from regiontalk.training.backbones.efficientnet_lite import EfficientNetLiteBackbone
from regiontalk.training.region_stores import store_regions, store_view
from regiontalk.training.vision_graph import (
    float_graph,
    read_graph,
    read_settings,
)
from regiontalk.training.vision_net import VisionNet

from .small_world import TINY


def test_stored_views_are_of_their_photo_and_go_on_where_they_stopped(
    vision_run: Path, shapes_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, settings, dataset = (
        read_graph(vision_run),
        read_settings(vision_run),
        read_dataset(shapes_folder, "dev"),
    )
    store = store_regions(graph, settings, dataset, tmp_path / "regions")

    def view(folder: str, number: int = 0) -> RegionStore:
        return store_view(graph, settings, dataset, store, tmp_path / folder, number)

    whole, other = view("whole"), view("other", 1)
    features = np.asarray(whole.features[:, 0], np.float32)
    assert (
        features.shape == (len(dataset.photos), settings.feature_dim)
        and np.isfinite(features).all()
    )
    assert (features != np.asarray(other.features[:, 0], np.float32)).any(1).all()  # no view twice
    assert (np.asarray(whole.counts) <= np.asarray(store.counts)).all() and (
        np.asarray(whole.counts) > 1
    ).any()
    for photo, count in enumerate(whole.counts):
        assert whole.boxes[photo, 0].tolist() == [0, 0, 1, 1]
        assert set(whole.scores[photo, :count].tolist()) <= set(store.scores[photo].tolist())
    monkeypatch.setattr(region_stores, "CHUNK", 3)

    class Killed(Exception):
        pass

    def append(self: RegionStoreWriter, **rows: np.ndarray) -> None:
        if self.done >= 3:
            raise Killed
        kept(self, **rows)

    kept = RegionStoreWriter.append
    monkeypatch.setattr(RegionStoreWriter, "append", append)
    with pytest.raises(Killed):
        view("broken")
    monkeypatch.setattr(RegionStoreWriter, "append", kept)
    broken = view("broken")
    np.testing.assert_array_equal(broken.features[:], whole.features[:])
    with pytest.raises(DataError):
        store_view(graph, replace(settings, nms_iou=0.5), dataset, store, tmp_path / "whole", 0)


def test_stores_of_another_network_are_refused(
    shapes_folder: Path, vision_run: Path, tmp_path: Path
) -> None:
    dataset, settings, graph = (
        read_dataset(shapes_folder, "dev"),
        read_settings(vision_run),
        read_graph(vision_run),
    )
    store = store_regions(graph, settings, dataset, tmp_path / "regions")
    assert len(store.counts) == len(dataset)
    another = float_graph(
        VisionNet(EfficientNetLiteBackbone(TINY, 32)), settings.size
    ).SerializeToString()
    others = (another, settings), (graph, replace(settings, nms_iou=0.5))
    for other in others:
        with pytest.raises(DataError):
            store_regions(*other, dataset, tmp_path / "regions")
