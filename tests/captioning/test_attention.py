"""Contexts of photos and regions."""

from __future__ import annotations

import numpy as np

from regiontalk.captioning.attention import GEOMETRY, photo_contexts, region_contexts, region_inputs
from regiontalk.structures import Regions


def photo(boxes: list[list[float]], seed: int) -> Regions:
    """A photo of 40 x 20 pixels with these boxes beside the whole."""
    rng = np.random.default_rng(seed)
    every = np.array([[0, 0, 40, 20], *boxes], np.float32)
    features = rng.normal(size=(len(every), 3)).astype(np.float32)
    return Regions(
        "a.jpg",
        40,
        20,
        every,
        np.linspace(1, 0.5, len(every), dtype=np.float32),
        features,
        features,
    )


def test_regions_are_padded_and_say_where_they_are() -> None:
    photos = [photo([[10, 5, 30, 15]], 0), photo([], 1)]
    contexts = photo_contexts(photos, attention=True)
    assert contexts.regions.shape == (2, 2, 3 + GEOMETRY)
    assert contexts.counts.tolist() == [2, 1]
    np.testing.assert_array_equal(contexts.whole, [each.features[0] for each in photos])
    np.testing.assert_allclose(contexts.regions[0, 1, 3:], [0.25, 0.25, 0.75, 0.75, 0.25, 0.5])
    np.testing.assert_allclose(contexts.regions[:, 0, 3:], [[0, 0, 1, 1, 1, 1]] * 2)
    assert not contexts.regions[1, 1].any()
    assert len(contexts) == 2 and len(contexts[1:]) == 1


def test_a_captioner_without_attention_is_given_no_regions() -> None:
    contexts = photo_contexts([photo([[1, 1, 5, 5]], 0)], attention=False)
    assert contexts.regions.size == 0 and contexts.counts.tolist() == [0]


def test_a_regions_own_features_come_before_the_photos() -> None:
    photos = [photo([[1, 1, 5, 5], [2, 2, 9, 9]], 0), photo([], 1), photo([[3, 3, 7, 7]], 2)]
    contexts = region_contexts(photos)
    expected = [
        np.concatenate([each.features[row], each.features[0]])
        for each in photos
        for row in range(1, len(each))
    ]
    np.testing.assert_array_equal(contexts.whole, expected)


def test_inputs_of_many_photos_at_once() -> None:
    rng = np.random.default_rng(0)
    features, boxes, scores = (
        rng.random((2, 3, 4)),
        np.sort(rng.random((2, 3, 4))),
        rng.random((2, 3)),
    )
    together = region_inputs(features, boxes, scores)
    assert together.shape == (2, 3, 4 + GEOMETRY) and together.dtype == np.float32
    np.testing.assert_array_equal(together[1], region_inputs(features[1], boxes[1], scores[1]))
