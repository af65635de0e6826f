"""Pictures: what is drawn where, and that colours can be told apart and read.

And that no photo is too odd to draw.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from regiontalk.cards import GREY, INK
from regiontalk.drawing import (
    MOST_REGIONS,
    PALETTE,
    RAMP,
    draw_alignment,
    draw_description,
    draw_magnitudes,
    draw_regions,
)
from regiontalk.errors import PhotoError
from regiontalk.photos import Photo
from regiontalk.structures import Alignment, Caption, Description, Phrase, Regions, Sentence

BEIGE = (200, 190, 180)


def a_photo(width: int = 500, height: int = 375, decoded: tuple[int, int] | None = None) -> Photo:
    return Photo("plain.jpg", width, height, Image.new("RGB", decoded or (width, height), BEIGE))


def regions(photo: Photo, boxes: list[tuple[float, float, float, float]]) -> Regions:
    """Boxes in 0..1 of the photo, after the whole photo; the first is the surest."""
    pixels = np.array([(0, 0, 1, 1), *boxes], np.float32) * np.array(
        [photo.width, photo.height] * 2, np.float32
    )
    scores = np.linspace(1, 0.5, len(pixels)).astype(np.float32)
    vectors = np.zeros((len(pixels), 2), np.float32)
    return Regions(photo.file, photo.width, photo.height, pixels, scores, vectors, vectors)


def an_alignment(
    photo: Photo, boxes: list[tuple[float, float, float, float]], words: str
) -> Alignment:
    """`words` as "word/region/score ..."; phrases are the runs of one region."""
    parts = [word.split("/") for word in words.split()]
    texts = tuple(text for text, _, _ in parts)
    path = [int(region) for _, region, _ in parts]
    found = regions(photo, boxes)
    starts = [j for j in range(len(path)) if not j or path[j] != path[j - 1]]
    phrases = tuple(
        Phrase(
            " ".join(texts[a:b]), a, b, path[a], tuple(map(float, found.boxes_xyxy[path[a]])), 1.0
        )
        for a, b in zip(starts, [*starts[1:], len(path)], strict=True)
    )
    none = np.zeros((len(texts), 2), np.float32)
    sentence = Sentence(" ".join(texts), texts, np.zeros(len(texts), np.int64), none)
    scores = np.array([float(score) for _, _, score in parts], np.float32)
    return Alignment(
        found,
        sentence,
        1.0,
        float(scores.sum()),
        np.array(path),
        np.tile(scores[:, None], len(found)),
        phrases,
    )


def a_description(
    photo: Photo, boxes: list[tuple[float, float, float, float]], *captions: str
) -> Description:
    """The captions given, or else one of each box's own."""
    texts = captions or tuple(f"dog {number}" for number in range(len(boxes)))
    return Description(
        regions(photo, boxes), Caption("a plain wall", -1.0), tuple(Caption(t, -1.0) for t in texts)
    )


def share(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    """How many pixels have exactly this colour."""
    return int((np.asarray(picture) == np.array(colour, np.uint8)).all(axis=2).sum())


def test_box_is_drawn_where_it_is() -> None:
    photo = a_photo(960, 720)  # drawn at its own size, with a margin of 28
    picture = draw_description(photo, a_description(photo, [(0.25, 0.25, 0.75, 0.75)]))
    for x, y in ((240, 360), (720, 360), (480, 180), (480, 540)):  # the middles of the box's sides
        near = np.asarray(picture)[28 + y - 4 : 28 + y + 5, 28 + x - 4 : 28 + x + 5].reshape(-1, 3)
        assert (near == PALETTE[0]).all(axis=1).sum() >= 9
    assert picture.getpixel((28 + 480, 28 + 360)) == BEIGE


@pytest.mark.parametrize("decoded", [(500, 375), (250, 188), (63, 47)])
def test_a_photo_decoded_smaller_gives_the_same_picture(decoded: tuple[int, int]) -> None:
    boxes = [(0.1, 0.2, 0.6, 0.9)]
    whole = draw_description(a_photo(), a_description(a_photo(), boxes))
    photo = a_photo(decoded=decoded)
    assert np.array_equal(draw_description(photo, a_description(photo, boxes)), whole)


def test_words_and_boxes_share_a_colour() -> None:
    photo = a_photo()
    boxes = [(0.1, 0.1, 0.4, 0.5), (0.5, 0.4, 0.9, 0.9)]
    picture = draw_alignment(photo, an_alignment(photo, boxes, "dog/1/2.0 and/0/-0.5 ball/2/1.5"))
    below = picture.crop((0, 28 + 720, *picture.size))
    on_photo = picture.crop((0, 0, picture.width, 28 + 720))
    for colour in PALETTE[:2]:
        assert share(below, colour) > 300
        assert share(on_photo, colour) > 300
    assert share(below, PALETTE[2]) == 0


def test_words_of_a_caption_have_the_colour_of_the_region_they_were_said_of() -> None:
    photo, boxes = a_photo(), [(0.1, 0.1, 0.4, 0.5), (0.5, 0.4, 0.9, 0.9)]
    plain = a_description(photo, boxes)
    # The second region is the surest, and has the first colour
    scores = np.array([1, 0.4, 0.9], np.float32)
    plain = replace(plain, regions=replace(plain.regions, scores=scores))
    traced = replace(plain, caption=replace(plain.caption, word_regions=(None, 2, 0)))
    words = [
        draw_description(photo, each).crop((0, 28 + 720, 1016, 28 + 720 + 70))
        for each in (plain, traced)
    ]
    assert [share(each, PALETTE[0]) > 300 for each in words] == [False, True]
    assert [share(each, PALETTE[1]) for each in words] == [0, 0]


def test_weak_words_are_grey_and_have_no_box() -> None:
    photo = a_photo()
    alignment = an_alignment(photo, [(0.1, 0.1, 0.4, 0.5)], "the/1/0 quick/1/-1 of/0/-2")
    picture = draw_alignment(photo, alignment)
    assert share(picture, GREY) > 50
    assert all(share(picture, colour) == 0 for colour in PALETTE)


def test_a_region_of_weak_and_strong_words_is_drawn_for_the_strong_ones() -> None:
    photo = a_photo()
    boxes = [(0.1, 0.1, 0.4, 0.5)]
    one = draw_alignment(photo, an_alignment(photo, boxes, "a/1/-1 dog/1/2"))
    two = draw_alignment(photo, an_alignment(photo, boxes, "a/1/1 dog/1/2"))
    assert 0 < share(one, PALETTE[0]) < share(two, PALETTE[0])


def test_the_whole_photo_as_a_region() -> None:
    photo = a_photo(960, 720)
    picture = draw_alignment(photo, an_alignment(photo, [], "a/0/1 beach/0/2"))
    assert share(picture.crop((28, 100, 36, 600)), PALETTE[0]) > 1000  # along the left edge


def test_only_the_surest_regions_are_shown() -> None:
    photo = a_photo()
    apart = [(0.09 * i, 0.1, 0.09 * i + 0.07, 0.6) for i in range(10)]
    picture = draw_description(photo, a_description(photo, apart))
    assert all(share(picture, colour) > 100 for colour in PALETTE)
    three = draw_description(photo, a_description(photo, apart), most=3)
    assert [share(three, colour) > 0 for colour in PALETTE] == [True] * 3 + [False] * (
        MOST_REGIONS - 3
    )


def test_regions_in_one_place_are_shown_once_if_there_are_many() -> None:
    photo = a_photo()
    same = [(0.1, 0.1, 0.6, 0.6 + 0.01 * i) for i in range(MOST_REGIONS + 1)]
    picture = draw_description(photo, a_description(photo, same))
    assert [share(picture, colour) > 0 for colour in PALETTE] == [True] + [False] * (
        MOST_REGIONS - 1
    )


def test_a_caption_is_shown_once_if_there_are_many() -> None:
    photo = a_photo()
    apart = [(0.09 * i, 0.1, 0.09 * i + 0.07, 0.6) for i in range(MOST_REGIONS + 1)]
    captions = ["a dog", "a cat", "a dog"] + ["a cat"] * (len(apart) - 3)
    picture = draw_description(photo, a_description(photo, apart, *captions))
    assert [share(picture, colour) > 0 for colour in PALETTE] == [True, True] + [False] * (
        MOST_REGIONS - 2
    )
    few = draw_description(photo, a_description(photo, apart[:3], *captions[:3]))
    assert [share(few, colour) > 0 for colour in PALETTE] == [True] * 3 + [False] * (
        MOST_REGIONS - 3
    )


def test_all_regions_are_drawn() -> None:
    photo = a_photo()
    boxes = [(0.1, 0.1, 0.6, 0.6)] * 3 + [(0.05 * i, 0.7, 0.05 * i + 0.04, 0.9) for i in range(16)]
    picture = draw_regions(photo, regions(photo, boxes))
    assert all(share(picture, colour) > 100 for colour in PALETTE)
    assert not np.array_equal(picture, draw_regions(photo, regions(photo, boxes[:-1])))


def with_lengths(found: Regions, *lengths: float) -> Regions:
    return replace(found, vectors=np.array([[0, length] for length in lengths], np.float32))


def test_boxes_by_magnitude_the_longest_dark_and_thick() -> None:
    photo = a_photo(960, 720)  # drawn at its own size, with a margin of 28
    found = regions(photo, [(0.1, 0.1, 0.4, 0.9), (0.6, 0.1, 0.9, 0.9)])
    picture = draw_magnitudes(photo, with_lengths(found, 6, 4, 8))
    across = np.asarray(picture)[28 + 360, 28:-28]  # through the middle of both boxes
    thickness = [int((across == colour).all(axis=1).sum()) for colour in (RAMP[0], RAMP[-1])]
    assert 2 * 1 <= thickness[0] < thickness[1] <= 2 * 6
    along = np.asarray(picture)[28 : 28 + 10, 28 + 480]  # the top edge of the whole photo
    assert (along == RAMP[2]).all(axis=1).any()  # 6 is half way from 4 to 8


def test_the_longest_lies_on_top() -> None:
    photo = a_photo(960, 720)
    # The second is smaller, and crosses the first
    found = regions(photo, [(0.2, 0.2, 0.8, 0.8), (0.4, 0.1, 0.6, 0.9)])
    picture = draw_magnitudes(photo, with_lengths(found, 1, 9, 1))
    # Along the first one's upper side
    side = np.asarray(picture)[28 + 144 + 2, 28 + 350 : 28 + 610]
    assert (side == RAMP[-1]).all()


@pytest.mark.parametrize("length", [0.0, 1e-3, 7.0])
def test_equal_magnitudes_are_all_long(length: float) -> None:
    photo = a_photo()
    picture = draw_magnitudes(
        photo, with_lengths(regions(photo, [(0.1, 0.1, 0.4, 0.5)]), length, length)
    )
    assert share(picture, RAMP[-1]) > 1000
    assert all(share(picture, colour) == 0 for colour in RAMP[:-1])


def test_a_scale_says_what_the_colours_mean() -> None:
    photo = a_photo(960, 720)
    alone = draw_magnitudes(photo, with_lengths(regions(photo, []), 3))
    two = draw_magnitudes(photo, with_lengths(regions(photo, [(0.1, 0.1, 0.4, 0.5)]), 3, 5))
    below = [picture.crop((0, 28 + 720, *picture.size)) for picture in (alone, two)]
    assert [share(below[0], colour) > 300 for colour in RAMP] == [False] * 4 + [True]
    assert [share(below[1], colour) > 300 for colour in RAMP] == [True] * 5
    assert share(below[1], INK) > 50


def test_no_regions() -> None:
    photo = a_photo()
    for picture in (
        draw_description(photo, a_description(photo, [])),
        draw_regions(photo, regions(photo, [])),
    ):
        assert share(picture, INK) > 100
        assert all(share(picture, colour) == 0 for colour in PALETTE)


def test_another_photo_is_refused() -> None:
    looked_at, other = a_photo(500, 375), a_photo(375, 500)
    message = (
        "plain.jpg: expected the photo of 500 x 375 pixels that was looked at, found 375 x 500"
    )
    with pytest.raises(PhotoError, match=message):
        draw_regions(other, regions(looked_at, []))
    with pytest.raises(PhotoError, match=message):
        draw_description(other, a_description(looked_at, []))
    with pytest.raises(PhotoError, match=message):
        draw_alignment(other, an_alignment(looked_at, [], "a/0/1"))
    with pytest.raises(PhotoError, match=message):
        draw_magnitudes(other, regions(looked_at, []))


def test_a_label_does_not_hide_a_small_box() -> None:
    photo = a_photo(960, 720)  # drawn at its own size, with a margin of 28
    box = (0.5, 0.5, 0.62, 0.63)  # 115 x 94 pixels: a label inside would cover a quarter of it
    picture = draw_alignment(photo, an_alignment(photo, [box], "green/1/2 eyes/1/2"))
    within = picture.crop((28 + 480 + 5, 28 + 360 + 5, 28 + 595 - 5, 28 + 453 - 5))
    assert share(within, BEIGE) > 0.95 * within.width * within.height


def test_long_text_is_wrapped_and_ends() -> None:
    photo = a_photo()
    short = draw_description(photo, a_description(photo, [(0, 0, 0.5, 0.5)]))
    long = draw_description(
        photo, a_description(photo, [(0, 0, 0.5, 0.5)], "a dog and a cat " * 20)
    )
    assert long.width == short.width
    assert long.height > short.height
    words = " ".join(f"word{i}/1/1" for i in range(5000))
    endless = draw_alignment(photo, an_alignment(photo, [(0, 0, 0.5, 0.5)], words))
    assert endless.height < 4000


def test_one_endless_word_stays_in_the_picture() -> None:
    photo = a_photo()
    picture = draw_alignment(photo, an_alignment(photo, [(0, 0, 0.5, 0.5)], f"{'o' * 3000}/1/1"))
    margin = np.asarray(picture)[:, -24:]
    assert (margin == 255).all()


def test_letters_that_the_font_lacks() -> None:
    photo = a_photo()
    boxes = [(0.0, 0.0, 0.5, 0.5)]
    accents = draw_alignment(photo, an_alignment(photo, boxes, "café/1/1"))
    assert np.array_equal(accents, draw_alignment(photo, an_alignment(photo, boxes, "cafe/1/1")))
    draw_alignment(photo, an_alignment(photo, boxes, "犬/1/1 \u202e/1/1"))


@settings(max_examples=15, deadline=None)
@given(
    width=st.integers(1, 6000),
    height=st.integers(1, 6000),
    corners=st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 4), max_size=12),
)
def test_any_photo_gives_a_readable_picture(
    width: int, height: int, corners: list[tuple[float, ...]]
) -> None:
    photo = a_photo(width, height, decoded=(min(width, 64), min(height, 64)))
    boxes = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners]
    words = " ".join(f"word/{region}/1" for region in range(len(boxes) + 1))
    for picture in (
        draw_alignment(photo, an_alignment(photo, boxes, words)),
        draw_description(photo, a_description(photo, boxes)),
    ):
        assert picture.mode == "RGB"
        assert 400 <= picture.width <= 1400
        assert 150 <= picture.height <= 2000
        edge = np.asarray(picture)
        assert all(
            (side == 255).all() for side in (edge[:20], edge[-20:], edge[:, :20], edge[:, -20:])
        )
