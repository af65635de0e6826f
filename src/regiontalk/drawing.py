"""Renders alignments, descriptions and regions as pictures, after the paper's figures 5 and 7."""

from __future__ import annotations

import numpy as np
from PIL import Image

from regiontalk.alignment.score import decimals, lengths_of, longest
from regiontalk.cards import GREY, Colour, Flow, Mark, Rectangle, Word, draw_card
from regiontalk.errors import PhotoError
from regiontalk.photos import Photo, escaped
from regiontalk.structures import WHOLE_PHOTO, Alignment, Caption, Description, Regions
from regiontalk.vision.boxes import nms

PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),
    (0, 114, 178),
    (0, 158, 115),
    (204, 121, 167),
    (240, 228, 66),
    (213, 94, 0),
    (86, 180, 233),
)
"""Okabe and Ito's palette, safe for colour blindness, ordered for contrast of neighbours."""

RAMP: tuple[Colour, ...] = (
    (250, 240, 200),
    (240, 190, 60),
    (215, 95, 0),
    (150, 20, 50),
    (70, 0, 75),
)
"""Sequential colour map for vector lengths. It darkens monotonically, so that the order survives
colour blindness and greyscale print."""

MOST_REGIONS = len(PALETTE)
"""Default maximum of regions in a description's picture, one for each colour."""

_THIN, _THICK = 2.0, 5.5  # stroke widths for the shortest and the longest vector
_SAME_PLACE = 0.5  # NMS threshold on the IoU of regions in a description's picture


def draw_alignment(photo: Photo, alignment: Alignment) -> Image.Image:
    """Draws a sentence below its photo, each word in its box's colour (figure 5).

    Below each word is its probability, or its score v_i · s_t in packs without probabilities. Words
    that were not found are grey, and boxes with no other words are left out.

    Args:
        photo: the alignment's, decoded at any size.

    Returns:
        An RGB picture about a thousand pixels wide.

    Raises:
        PhotoError: if the photo does not have the size of the one that was looked at.
    """
    _check_same(photo, alignment.regions)
    strong, notes = alignment.shown, _notes(alignment)  # (T,)
    shown = list(dict.fromkeys(int(region) for region in alignment.word_regions[strong]))
    colours = {region: PALETTE[place % len(PALETTE)] for place, region in enumerate(shown)}
    words: list[Word] = []
    for phrase in alignment.phrases:
        for place in range(phrase.start, phrase.end):
            fill = colours[phrase.region] if strong[place] else None
            note = notes[place] if strong[place] else ""
            words.append(
                Word(alignment.sentence.words[place], fill, note, joins=place > phrase.start)
            )
    boxes = alignment.regions.boxes_xyxy
    marks = [
        Mark(_rectangle(boxes[r]), colours[r], _label(alignment, r), r == WHOLE_PHOTO)
        for r in shown
    ]
    total = (
        f"score {alignment.score:.2f}" if alignment.sure is None else f"sure {alignment.sure:.0%}"
    )
    return draw_card(
        photo, marks, [Flow(words, size=25, ink=GREY), Flow([Word(total)], size=15, ink=GREY)]
    )


def draw_description(
    photo: Photo, description: Description, most: int = MOST_REGIONS
) -> Image.Image:
    """Draws a photo with its caption, and its regions as numbered boxes with captions (figure 7).

    Args:
        photo: the description's, decoded at any size.
        most: maximum of regions, by objectness. If there are more, NMS and the removal of repeated
            captions come first.

    Returns:
        An RGB picture about a thousand pixels wide.

    Raises:
        PhotoError: if the photo does not have the size of the one that was looked at.
    """
    _check_same(photo, description.regions)
    boxes = description.regions.boxes_xyxy[1:]  # (M - 1, 4), without the whole photo
    shown = _surest(description, most)
    colours = {row + 1: PALETTE[place % len(PALETTE)] for place, row in enumerate(shown)}
    blocks: list[Flow] = [Flow(_traced_words(description.caption, colours), size=27)]
    marks: list[Mark] = []
    for number, row in enumerate(shown, start=1):
        colour = PALETTE[(number - 1) % len(PALETTE)]
        marks.append(Mark(_rectangle(boxes[row]), colour, str(number)))
        caption = _plain_words(description.region_captions[row])
        blocks.append(Flow(caption, size=18, badge=Word(str(number), colour)))
    return draw_card(photo, marks, blocks)


def draw_regions(photo: Photo, regions: Regions) -> Image.Image:
    """Draws a photo with all its regions as boxes, each labelled with its objectness.

    Otherwise as `draw_description`.
    """
    _check_same(photo, regions)
    marks = [
        Mark(
            _rectangle(regions.boxes_xyxy[row]),
            PALETTE[place % len(PALETTE)],
            f"{regions.scores[row]:.0%}",
        )
        for place, row in enumerate(1 + np.argsort(-regions.scores[1:], kind="stable"))
    ]
    title = f"{len(marks)} region{'' if len(marks) == 1 else 's'}"
    return draw_card(photo, marks, [Flow([Word(word) for word in title.split()], size=27)])


def draw_magnitudes(photo: Photo, regions: Regions) -> Image.Image:
    """Draws a photo with all its regions, coloured by the length ‖v_i‖ of their vectors.

    The longer the vector, the darker and thicker the box, which is labelled with the length; the
    whole photo is included. The colour scale below spans this photo's shortest to longest vector.
    Otherwise as `draw_description`.
    """
    _check_same(photo, regions)
    found = lengths_of(regions.vectors)  # (M,)
    low, high, places = found.min(), found.max(), decimals(found)
    marks = []
    for row in longest(found):
        share = 1.0 if low == high else float((found[row] - low) / (high - low))
        box, line = _rectangle(regions.boxes_xyxy[row]), _THIN + share * (_THICK - _THIN)
        marks.append(
            Mark(box, ramp_colour(share), f"{found[row]:.{places}f}", row == WHOLE_PHOTO, line)
        )
    steps = np.linspace(0, 1, len(RAMP)) if high > low else np.ones(1)
    scale = [
        Word(f"{low + share * (high - low):.{places}f}", ramp_colour(share)) for share in steps
    ]
    return draw_card(
        photo, marks, [Flow([Word("length"), Word("of"), Word("vectors"), *scale], size=21)]
    )


def ramp_colour(share: float) -> Colour:
    """`RAMP` at a share from 0 (shortest) to 1 (longest), interpolated linearly in sRGB."""
    steps = np.linspace(0, 1, len(RAMP))
    red, green, blue = (
        round(float(np.interp(share, steps, channel))) for channel in zip(*RAMP, strict=True)
    )
    return red, green, blue


def _surest(description: Description, most: int) -> list[int]:
    """Rows of `region_captions` by descending objectness.

    If there are more than `most`: after NMS, each caption once.
    """
    boxes, scores = description.regions.boxes_xyxy[1:], description.regions.scores[1:]
    if len(boxes) <= most:
        return [int(row) for row in np.argsort(-scores, kind="stable")]
    rows: dict[str, int] = {}
    for row in nms(boxes, scores, _SAME_PLACE, limit=len(boxes)):
        rows.setdefault(description.region_captions[row].text, int(row))
    return list(rows.values())[:most]


def _check_same(photo: Photo, regions: Regions) -> None:
    if (photo.width, photo.height) != (regions.width, regions.height):
        raise PhotoError(
            f"{escaped(photo.file)}: expected the photo of {regions.width} x {regions.height} "
            f"pixels that was looked at, found {photo.width} x {photo.height}. Look at it once "
            "more."
        )


def _plain_words(caption: Caption) -> list[Word]:
    return [Word(text) for text in caption.text.split()]


def _traced_words(caption: Caption, colours: dict[int, Colour]) -> list[Word]:
    """A caption's words, each in the colour of its attended region if that is shown."""
    regions = caption.word_regions or (None,) * len(caption.text.split())
    return [
        Word(text, None if region is None else colours.get(region))
        for text, region in zip(caption.text.split(), regions, strict=True)
    ]


def _notes(alignment: Alignment) -> list[str]:
    """Notes below the words: probabilities of naming words, or scores without probabilities."""
    if not alignment.word_sure:
        return [f"{score:.1f}" for score in alignment.word_scores]
    return ["" if sure is None else f"{sure:.0%}" for sure in alignment.word_sure]


def _label(alignment: Alignment, region: int) -> str:
    """A region's shown words, runs of them separated by commas."""
    rows = np.flatnonzero((alignment.word_regions == region) & alignment.shown).tolist()
    text = ""
    for before, row in zip([None, *rows], rows, strict=False):
        between = "" if before is None else " " if row == before + 1 else ", "
        text += between + alignment.sentence.words[row]
    return text


def _rectangle(box: np.ndarray) -> Rectangle:
    x0, y0, x1, y1 = (float(value) for value in box)
    return x0, y0, x1, y1
