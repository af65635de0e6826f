"""Named boxes as texts for the region captioner, in views of their photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regiontalk.errors import DataError
from regiontalk.language import Vocabulary
from regiontalk.training.named_boxes import named_texts, see_boxes, store_boxes
from regiontalk.training.regions import bare_session
from regiontalk.training.teacher_store import TeacherStore
from regiontalk.training.vision_graph import read_graph, read_settings
from regiontalk.vision.boxes import WHOLE, iou
from regiontalk.vision.roi_align import roi_align


def test_the_first_view_is_the_whole_photo(teacher_store: Path) -> None:
    photos = TeacherStore(teacher_store)
    pixels, boxes, shows = see_boxes(photos, 3, 64, 9, view=0)
    assert pixels.shape == (64, 64, 3)
    np.testing.assert_array_equal(boxes, np.concatenate([WHOLE[None], photos.boxes[3]]))
    assert shows.all()
    assert len(see_boxes(photos, 3, 64, 0, view=0)[1]) == 1  # of a photo with many boxes, the first ones


def test_windows_differ_from_each_other_and_keep_the_order_of_boxes(teacher_store: Path) -> None:
    photos = TeacherStore(teacher_store)
    shown = []
    for row in range(len(photos)):
        pixels, boxes, shows = see_boxes(photos, row, 64, 20, view=1)
        again, other = see_boxes(photos, row, 64, 20, view=1), see_boxes(photos, row, 64, 20, view=2)
        assert np.array_equal(pixels, again[0]) and not np.array_equal(pixels, other[0])
        assert len(boxes) == len(shows) == len(photos.boxes[row]) + 1
        assert (boxes[shows == 0] == WHOLE).all() and (boxes >= 0).all() and (boxes <= 1).all()
        shown += shows[1:].tolist()
    assert 0.5 < np.mean(shown) < 1


def test_features_are_those_of_the_view(teacher_store: Path, vision_run: Path, tmp_path: Path) -> None:
    photos, settings = TeacherStore(teacher_store), read_settings(vision_run)
    stores = [store_boxes(read_graph(vision_run), settings, photos, tmp_path / str(v), v) for v in (0, 1)]
    session, _ = bare_session(read_graph(vision_run), settings)
    for view, store in enumerate(stores):
        pixels, boxes, shows = see_boxes(photos, 5, settings.size, settings.proposals, view)
        expected = roi_align(boxes, session.run(pixels[None])[0][0])
        np.testing.assert_allclose(store.features[5, : len(boxes)], expected, rtol=1e-2, atol=1e-2)
        np.testing.assert_array_equal(store.scores[5, : len(boxes)], shows)
    assert iou(stores[0].boxes[5, 1:2], stores[1].boxes[5, 1:2])[0, 0] < 1


def test_hidden_boxes_say_nothing(teacher_store: Path, vision_run: Path, tmp_path: Path) -> None:
    photos, vocabulary = TeacherStore(teacher_store), Vocabulary.from_captions([["a", "circle", "triangle"]], 1)
    graph, settings = read_graph(vision_run), read_settings(vision_run)
    store = store_boxes(graph, settings, photos, tmp_path / "view", 1)
    texts = named_texts(photos, store, vocabulary)
    assert (store.scores[texts.photos, texts.regions] == 1).all()
    assert {" ".join(vocabulary.decode(ids)) for ids in texts.ids} == {"a circle", "a triangle"}
    with pytest.raises(DataError, match="no names to learn"):
        named_texts(photos, store, Vocabulary.from_captions([["a", "dog"]], 1))
