"""Photos with named boxes, and what is taught with them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regiontalk.data import RegionStoreWriter
from regiontalk.errors import DataError, PhotoError
from regiontalk.language import Vocabulary
from regiontalk.settings import VisionSettings
from regiontalk.training.box_labels import (
    FEWEST,
    MOST_BOXES,
    WINDOWS,
    NamedPhotos,
    class_names,
    draw_regions,
    encode_names,
    move_boxes,
    read_box_labels,
)
from regiontalk.vision.boxes import iou

SETTINGS = VisionSettings(
    size=64, side=4, feature_dim=32, proposals=10, nms_iou=0.6, min_objectness=0.0
)
NAMES = {"sofa": ("couch",), "couch": ("couch",), "triangle": ("triangle",), "circle": ("circle",)}


@pytest.fixture
def named(box_labels: Path) -> NamedPhotos:
    return NamedPhotos(read_box_labels(box_labels), NAMES, photos=8, seed=0)


def test_classes_are_called_as_the_vocabulary_knows_them(box_labels: Path) -> None:
    store = read_box_labels(box_labels)
    assert class_names(store, {"couch", "circle"}) == NAMES | {"shape": ("shape",)}
    # The order of the synonyms is fixed
    assert class_names(store, {"sofa", "couch"})["couch"] == ("sofa",)
    assert class_names(store, set[str]())["sofa"] == ("sofa",)
    assert "zebra" not in class_names(store, {"zebra"})


def test_a_store_without_frequent_classes_is_refused(box_labels: Path) -> None:
    with pytest.raises(DataError, match="no name of 15 boxes has words that the vocabulary knows"):
        NamedPhotos(read_box_labels(box_labels), {}, photos=8, seed=0)


def test_photos_may_have_so_many_pixels(box_labels: Path) -> None:
    with pytest.raises(PhotoError, match="at most 10 pixels"):
        NamedPhotos(read_box_labels(box_labels), NAMES, photos=8, seed=0, max_pixels=10).batch(
            0, SETTINGS
        )


def test_batches_depend_on_the_step_alone(named: NamedPhotos) -> None:
    one, same, other = (named.batch(step, SETTINGS) for step in (3, 3, 4))
    for name in ("pixels", "weights", "mask", "overlap"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
    assert not np.array_equal(one.pixels[: len(other.pixels)], other.pixels[: len(one.pixels)])


def test_every_region_reads_the_map_and_knows_what_it_shows(named: NamedPhotos) -> None:
    for step in range(20):
        batch = named.batch(step, SETTINGS)
        photos, most = batch.mask.shape
        assert most == MOST_BOXES + WINDOWS and batch.overlap.shape == (photos, most, 3)
        np.testing.assert_allclose(batch.weights.sum(-1), batch.mask, atol=1e-5)
        assert not batch.overlap[~batch.mask].any()
        # Most photos still show a named thing
        assert (batch.overlap.max(1) > 0.5).any(1).mean() > 0.5
        assert (batch.overlap < 0.3).all(2)[batch.mask].any()
        assert all(len(each) <= 2 for each in batch.boxes)


def test_stored_features_keep_their_boxes_and_names(tmp_path: Path) -> None:
    boxes = [[[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]], [[0.1, 0.1, 0.6, 0.6]]]
    names = [[["cat"], []], [["dog", "cat"]]]
    lines = [
        {
            "file_name": f"{photo}.png",
            "boxes": [{"box": b, "names": n} for b, n in zip(*each, strict=True)],
        }
        for photo, each in enumerate(zip(boxes, names, strict=True))
    ]
    (tmp_path / "boxes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    named = NamedPhotos(
        read_box_labels(tmp_path / "boxes.jsonl"),
        {"cat": ("cat",), "dog": ("dog",)},
        photos=20,
        seed=0,
    )
    writer = RegionStoreWriter.open(
        tmp_path / "store", names=["0", "1"], regions=3, dim=1, vision_checksum="a" * 64
    )
    features = np.array([[[9], [1], [2]], [[8], [3], [0]]])
    counts, sides = np.array([3, 2]), np.ones((2, 2), np.int64)
    writer.append(
        features=features,
        boxes=np.ones((2, 3, 4)),
        scores=np.ones((2, 3)),
        counts=counts,
        sizes=sides,
    )
    batch = named.stored(0, writer.finish())  # of twenty draws both photos are among them
    np.testing.assert_array_equal(batch.features, features)
    # The whole photo has no name here
    assert batch.mask.tolist() == [[False, True, True], [False, True, False]]
    cat, dog = named.names.index(("cat",)), named.names.index(("dog",))
    assert batch.overlap[:, :, cat].tolist() == [[0, 1, 0], [0, 1, 0]]
    assert batch.overlap[:, :, dog].tolist() == [[0, 0, 0], [0, 1, 0]]


def test_rare_names_are_drawn_more_often_than_they_occur(named: NamedPhotos) -> None:
    counts = np.array([len(each) for each in named.photos_of])
    assert named.names == (("couch",), ("triangle",), ("circle",))
    assert counts.tolist() == [149, 75, 150]
    np.testing.assert_allclose(named.chance, np.sqrt(counts) / np.sqrt(counts).sum())


def test_names_follow_their_boxes_into_a_view(tmp_path: Path) -> None:
    """Something red at the left, blue at the right: a region over one has that one's name."""
    photo = np.zeros((224, 224, 3), np.uint8)
    photo[90:134, 10:60, 0] = photo[90:134, 164:214, 2] = 255
    Image.fromarray(photo).save(tmp_path / "photo.png")
    sides = (np.array([[10, 90, 60, 134], [164, 90, 214, 134]]) / 224).tolist()
    things = [
        {"box": box, "names": [name]}
        for box, name in zip(sides, ("circle", "triangle"), strict=True)
    ]
    line = json.dumps({"file_name": "photo.png", "boxes": things})
    (tmp_path / "boxes.jsonl").write_text(f"{line}\n" * FEWEST)
    labels = read_box_labels(tmp_path / "boxes.jsonl")
    named = NamedPhotos(labels, class_names(labels, {"circle", "triangle"}), photos=8, seed=0)
    shown = set[int]()
    for step in range(20):
        batch = named.batch(step, replace(SETTINGS, size=224, side=14))
        for pixels, boxes, weights, overlap in zip(
            batch.pixels, batch.boxes, batch.weights, batch.overlap, strict=True
        ):
            shown.add(len(boxes))
            red, blue = (
                pixels[..., channel].reshape(14, 16, 14, 16).mean((1, 3)).ravel()
                for channel in (0, 2)
            )
            for region, of in zip(weights, overlap, strict=True):
                if of.max() > 0.7:
                    assert bool(of.argmax()) == (region @ blue > region @ red)
    assert shown >= {1, 2}  # cut off, and both in view


DAMAGED = [
    "3",
    "{",
    "{}",
    '{"file_name": "a.png", "boxes": [{"box": [0, 0, 1], "names": []}]}',
    '{"file_name": "a.png", "boxes": [{"box": [0, 0, 0, 1], "names": []}]}',
    '{"file_name": "a.png", "boxes": [{"box": [0, 0, 1, 2], "names": []}]}',
    '{"file_name": "a.png", "boxes": [{"box": [0, 0, 1, NaN], "names": []}]}',
    '{"file_name": "a.png", "boxes": [{"box": [0, 0, 1, 1], "names": [7]}]}',
    '{"file_name": "a.png", "boxes": [{"box": [0, 0, 1, 1], "names": [" "]}]}',
    '{"file_name": 5, "boxes": []}',
]


@pytest.mark.parametrize("line", DAMAGED)
def test_a_damaged_line_is_told(tmp_path: Path, line: str) -> None:
    sound = '{"file_name": "a.png", "boxes": [{"box": [0, 0, 1, 1], "names": ["cat"]}]}'
    (tmp_path / "boxes.jsonl").write_text(f"{sound}\n{line}\n")
    with pytest.raises(DataError, match=r"boxes\.jsonl, line 2: "):
        read_box_labels(tmp_path / "boxes.jsonl")


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "boxes.jsonl").write_text("")
    with pytest.raises(DataError, match="holds no photo"):
        read_box_labels(tmp_path / "boxes.jsonl")


def test_moved_boxes_keep_to_the_photo() -> None:
    rng, box = np.random.default_rng(0), np.float32([[0.4, 0.4, 0.6, 0.7]])
    near = np.concatenate([move_boxes(box, 0.05, 0.1, rng) for _ in range(200)])
    assert iou(near, box).min() > 0.6
    far = np.concatenate(
        [move_boxes(np.float32([[0, 0, 0.3, 0.3]]), 0.4, 0.8, rng) for _ in range(200)]
    )
    assert far.min() >= 0 and far.max() <= 1
    assert (far[:, 2:] > far[:, :2]).all()


def test_a_photo_without_named_boxes_still_has_windows() -> None:
    regions = draw_regions(np.zeros((0, 4), np.float32), np.random.default_rng(0))
    assert len(regions) == WINDOWS // 2
    assert (regions[:, 2:] > regions[:, :2]).all()


def test_names_stand_in_their_sentence() -> None:
    vocabulary = Vocabulary(["a", "dining", "table", "cat"], [0] * 6)
    ids, mask, name = encode_names((("dining", "table"), ("cat",)), "a {}", vocabulary)
    assert ids.tolist() == [[2, 3, 4], [2, 5, 0]]
    assert mask.tolist() == [[True, True, True], [True, True, False]]
    assert name.tolist() == [[False, True, True], [False, True, False]]
