"""Layout and rendering of a photo with labelled boxes and wrapped text, below it or beside it.

A card is drawn at twice its size and downscaled (antialiasing by supersampling). Lengths are pixels
of the finished picture, whatever the photo's size; `_Card` converts.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from regiontalk.photos import Photo
from regiontalk.vision.boxes import area

Colour: TypeAlias = tuple[int, int, int]
Rectangle: TypeAlias = tuple[float, float, float, float]

INK: Colour = (27, 31, 36)
GREY: Colour = (110, 117, 125)
_BLACK: Colour = (0, 0, 0)
_PAPER: Colour = (255, 255, 255)
_GROUND: Colour = (240, 242, 244)

_OVERSAMPLING = 2
_MARGIN = 28.0
_GAP = 22.0  # between the photo and its text
_BELOW = (960.0, 720.0)  # largest width and height of the photo with the text below it
_BESIDE = (820.0, 860.0)  # and with the text beside it
_SIDE_PANEL = 400.0
# Minimum width and height of the photo's area, so that labels fit beside a photo one pixel wide
_LEAST = 96.0
_TALL = 1.1  # aspect ratio, height over width, above which the text goes beside the photo
_LINE = 3.5  # stroke width of a box
_MOST_LETTERS = 1000  # of one word or label before it is measured: more than fit in a line
_MOST_LINES = 40  # of a block of text; longer ones end in an ellipsis
_MOST_HIDDEN = 0.15  # fraction of a box's area that its label may cover
_BULGE = 0.17  # overhang of a pill on either side of its word, in font sizes


@dataclass(frozen=True)
class Word:
    """A word: `fill` puts it on a pill, `joins` extends the last word's pill, `note` goes below."""

    text: str
    fill: Colour | None = None
    note: str = ""
    joins: bool = False


@dataclass(frozen=True)
class Flow:
    """A block of wrapped text; a `badge` precedes the first line, and all lines are indented."""

    words: Sequence[Word]
    size: float
    ink: Colour = INK
    badge: Word | None = None

    @property
    def pitch(self) -> float:
        """Distance of baselines; larger where words have notes below them."""
        return self.size * (2.3 if any(word.note for word in self.words) else 1.45)


@dataclass(frozen=True)
class Mark:
    """A labelled box in pixels of the original photo; `line` is its stroke width on the card."""

    box: Rectangle
    colour: Colour
    label: str
    whole: bool = False
    line: float = _LINE


@dataclass(frozen=True)
class _Placed:
    """A word with the x of its left edge and the y of its line's top."""

    word: Word
    x: float
    y: float
    width: float


def draw_card(photo: Photo, marks: Sequence[Mark], blocks: Sequence[Flow]) -> Image.Image:
    """Renders a photo with boxes and text as an RGB picture; its aspect ratio decides the layout.

    Args:
        photo: decoded at any size.
        marks: labelled boxes; earlier ones have priority where labels compete for a free place.
        blocks: the text, at least one block.
    """
    beside = photo.height > _TALL * photo.width
    space = _BESIDE if beside else _BELOW
    scale = min(space[0] / photo.width, space[1] / photo.height)
    width, height = photo.width * scale, photo.height * scale
    wide, high = max(width, _LEAST), max(height, _LEAST)
    place = (_MARGIN, _MARGIN, _MARGIN + wide, _MARGIN + high)
    left, top = _MARGIN + (wide - width) / 2, _MARGIN + (high - height) / 2
    x, y = (place[2] + _GAP, _MARGIN) if beside else (_MARGIN, place[3] + _GAP)
    column = _SIDE_PANEL if beside else wide
    laid, text_height = _lay_out(blocks, column)
    card = _Card(x + column + _MARGIN, max(y + text_height, place[3]) + _MARGIN)
    card.photo(photo.image, (left, top, left + width, top + height), place)
    card.marks(marks, (left, top, left + width, top + height), place, scale)
    for flow, flow_x, flow_y, room in laid:
        card.text(flow, x + flow_x, y + flow_y, room)
    return card.finished()


def ink_on(fill: Colour) -> Colour:
    """Black or white, whichever has the higher WCAG 2 contrast on a fill: at least √21 ≈ 4.6."""
    return max((_BLACK, _PAPER), key=lambda ink: contrast(ink, fill))


def contrast(a: Colour, b: Colour) -> float:
    """WCAG 2 contrast ratio of two sRGB colours: 1 to 21.

    >>> contrast((0, 0, 0), (255, 255, 255))
    21.0
    """
    light, dark = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Colour) -> float:
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (v / 255 for v in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# Text layout


@lru_cache(maxsize=16)
def _font(size: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size * _OVERSAMPLING)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType, so it has no font to draw with")
    return font


def _width(text: str, size: float) -> float:
    return _font(size).getlength(text) / _OVERSAMPLING


def _drawable(text: str) -> str:
    """Text without accents (NFKD) and control characters, which Pillow's built-in font lacks.

    >>> _drawable("café\\n")
    'cafe'
    """
    return "".join(
        c
        for c in unicodedata.normalize("NFKD", text)
        if c.isprintable() and not unicodedata.combining(c)
    )


def _fitted(text: str, size: float, width: float) -> str:
    """The text, truncated with an ellipsis to fit the width."""
    text = _drawable(text[:_MOST_LETTERS])
    if _width(text, size) <= width:
        return text
    kept = (
        bisect_right(
            range(len(text) + 1), width, key=lambda letters: _width(text[:letters] + "...", size)
        )
        - 1
    )
    return text[: max(kept, 0)].rstrip() + "..."


def _set(flow: Flow, width: float) -> tuple[list[_Placed], float]:
    """Wraps words into at most `_MOST_LINES` lines of `width`.

    Returns:
        The words with positions relative to (0, 0), and the height of all lines.
    """
    pad, space = flow.size * 0.14, flow.size * (0.46 if _pills(flow) else 0.0)
    indent = flow.size * (2.1 if flow.badge else _BULGE if _pills(flow) else -0.14)
    placed: list[_Placed] = []
    x, y = indent, 0.0
    for word in flow.words:
        text = _fitted(word.text, flow.size, width - indent - 2 * pad)
        length = _width(text, flow.size) + 2 * pad
        joins = bool(placed) and word.joins and word.fill == placed[-1].word.fill
        if placed and not joins:
            x += space if word.fill or placed[-1].word.fill else space / 3
        if x > indent and x + length > width:
            x, y = indent, y + flow.pitch
            joins = False  # a pill ends with its line
            if y > (_MOST_LINES - 0.5) * flow.pitch:
                placed[-1] = replace(placed[-1], word=Word("..."))
                return placed, y
        placed.append(_Placed(Word(text, word.fill, word.note, joins), x, y, length))
        x += length
    return placed, y + flow.pitch


# Drawing


def _lay_out(
    blocks: Sequence[Flow], width: float
) -> tuple[list[tuple[Flow, float, float, float]], float]:
    """Places blocks without a badge over the full width, then the others in one or two columns.

    Returns:
        (block, x, y, width) of each, and the height of all.
    """
    laid: list[tuple[Flow, float, float, float]] = []
    y = 0.0
    for flow in (flow for flow in blocks if not flow.badge):
        laid.append((flow, 0.0, y, width))
        y += _set(flow, width)[1] + 10
    listed = [flow for flow in blocks if flow.badge]
    columns = 2 if width > 640 and len(listed) > 1 else 1
    room = (width - (columns - 1) * _GAP) / columns
    ends = [y]
    rows = -(-len(listed) // columns)
    for column in range(columns):
        end = y
        for flow in listed[column * rows : (column + 1) * rows]:
            laid.append((flow, column * (room + _GAP), end, room))
            end += _set(flow, room)[1] + 8
        ends.append(end)
    return laid, max(ends)


class _Card:
    """A supersampled canvas; arguments are in pixels of the finished picture."""

    def __init__(self, width: float, height: float) -> None:
        size = (round(width) * _OVERSAMPLING, round(height) * _OVERSAMPLING)
        self.image = Image.new("RGB", size, _PAPER)
        self.draw = ImageDraw.Draw(self.image)

    def finished(self) -> Image.Image:
        return self.image.reduce(_OVERSAMPLING)

    def photo(self, image: Image.Image, frame: Rectangle, place: Rectangle) -> None:
        """Draws the photo with rounded corners, on a light background if smaller than its area."""
        if frame != place:
            self.draw.rounded_rectangle(self._pixels(place), 10 * _OVERSAMPLING, _GROUND)
        x0, y0, x1, y1 = self._pixels(frame)
        size = (max(x1 - x0, 1), max(y1 - y0, 1))
        mask = Image.new("L", size, 0)
        ImageDraw.Draw(mask).rounded_rectangle(
            (0, 0, size[0] - 1, size[1] - 1), 10 * _OVERSAMPLING, fill=255
        )
        self.image.paste(
            image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0), (x0, y0), mask
        )

    def marks(
        self, marks: Sequence[Mark], frame: Rectangle, place: Rectangle, scale: float
    ) -> None:
        """Draws the boxes, then the labels; thick and small boxes last, so that they lie on top."""
        boxes = [_on_card(mark.box, frame, scale) for mark in marks]
        areas = area(np.array(boxes).reshape(-1, 4))
        for row in np.lexsort((-areas, np.array([mark.line for mark in marks]))):
            self._outline(boxes[row], marks[row])
        taken: list[Rectangle] = []
        for mark, box in zip(marks, boxes, strict=True):
            taken.append(self._label(mark, box, place, taken))

    def text(self, flow: Flow, x: float, y: float, width: float) -> None:
        if flow.badge:
            self._badge(flow.badge, x, y, flow.size)
        placed, _ = _set(flow, width)
        for item in placed:
            if item.word.fill:
                self._pill(item, flow.size, x, y)
        for item in placed:
            ink = ink_on(item.word.fill) if item.word.fill else flow.ink
            middle, top = x + item.x + item.width / 2, y + item.y
            self._write(item.word.text, middle, top + flow.size * 0.72, flow.size, ink)
            self._write(item.word.note, middle, top + flow.size * 1.74, flow.size * 0.52, GREY)

    def _outline(self, box: Rectangle, mark: Mark) -> None:
        """Draws a box in its colour with a thin white outline on both sides, for contrast."""
        radius = (10 if mark.whole else 6) * _OVERSAMPLING
        for grow, fill, thickness in (
            (1.25, _PAPER, mark.line + 2.5),
            (0.0, mark.colour, mark.line),
        ):
            x0, y0, x1, y1 = self._pixels(
                (box[0] - grow, box[1] - grow, box[2] + grow, box[3] + grow)
            )
            shape = (x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))
            self.draw.rounded_rectangle(
                shape, radius, outline=fill, width=round(thickness * _OVERSAMPLING)
            )

    def _label(
        self, mark: Mark, box: Rectangle, place: Rectangle, taken: Sequence[Rectangle]
    ) -> Rectangle:
        """Draws a box's label on a patch of its colour -> the patch's rectangle."""
        size = 17.0
        text = _fitted(mark.label, size, min(place[2] - place[0] - 20, 320))
        patch = _free_place(box, (max(_width(text, size) + 14, 26.0), 26.0), place, taken)
        self.draw.rounded_rectangle(
            self._pixels(patch), 6 * _OVERSAMPLING, mark.colour, _PAPER, _OVERSAMPLING
        )
        self._write(
            text, (patch[0] + patch[2]) / 2, (patch[1] + patch[3]) / 2, size, ink_on(mark.colour)
        )
        return patch

    def _badge(self, badge: Word, x: float, y: float, size: float) -> None:
        side = size * 1.4
        middle = y + size * 0.72
        shape = self._pixels((x, middle - side / 2, x + side, middle + side / 2))
        fill = badge.fill or GREY
        self.draw.rounded_rectangle(shape, 5 * _OVERSAMPLING, fill)
        self._write(badge.text, x + side / 2, middle, size * 0.9, ink_on(fill))

    def _pill(self, item: _Placed, size: float, x: float, y: float) -> None:
        """Draws a word's pill.

        If it joins the word before, it overlaps that word's pill, to cover its rounded end.
        """
        bulge = size * _BULGE
        left = x + item.x - (2 * bulge if item.word.joins else bulge)
        shape = self._pixels(
            (left, y + item.y, x + item.x + item.width + bulge, y + item.y + size * 1.44)
        )
        radius = 7 * _OVERSAMPLING
        corners = (not item.word.joins, True, True, not item.word.joins)
        self.draw.rounded_rectangle(shape, radius, item.word.fill, corners=corners)

    def _write(self, text: str, x: float, y: float, size: float, ink: Colour) -> None:
        """Draws text centred on (x, y), vertically by letters without descenders."""
        at = (x * _OVERSAMPLING, (y + size * 0.34) * _OVERSAMPLING)
        bold = 0.3 * _OVERSAMPLING if size > 20 else 0  # the font has one weight
        self.draw.text(at, text, ink, _font(size), anchor="ms", stroke_width=bold)

    @staticmethod
    def _pixels(shape: Rectangle) -> tuple[int, int, int, int]:
        x0, y0, x1, y1 = (round(value * _OVERSAMPLING) for value in shape)
        return x0, y0, x1, y1


def _pills(flow: Flow) -> bool:
    return any(word.fill for word in flow.words)


def _on_card(box: Rectangle, frame: Rectangle, scale: float) -> Rectangle:
    """Maps a box of the original photo to the card, inset so that its stroke is not clipped."""
    x0, y0, x1, y1 = (frame[side % 2] + value * scale for side, value in enumerate(box))
    low_x, low_y, high_x, high_y = frame[0] + 1.5, frame[1] + 1.5, frame[2] - 1.5, frame[3] - 1.5
    x0, y0 = min(max(x0, low_x), high_x), min(max(y0, low_y), high_y)
    return x0, y0, max(min(x1, high_x), x0 + 1), max(min(y1, high_y), y0 + 1)


def _free_place(
    box: Rectangle, size: tuple[float, float], place: Rectangle, taken: Sequence[Rectangle]
) -> Rectangle:
    """Places a label at a corner of its box, inside the photo's area.

    The first candidate that overlaps no other label is taken, else the first of all. If the box is
    low, or the label would cover more of it than `_MOST_HIDDEN`, places outside come first.
    """
    width, height = size
    x0, y0, x1, y1 = box
    inside, outside = [y0 + 5, y1 - height - 5], [y0 - height + 2, y1 - 2]
    hides = y1 - y0 < 3 * height or width * height > _MOST_HIDDEN * (x1 - x0) * (y1 - y0)
    tops = outside + inside if hides else inside[:1] + outside + inside[1:]
    corners = [(x, y) for y in (*tops, (y0 + y1 - height) / 2) for x in (x0 + 5, x1 - width - 5)]
    patches = []
    for corner_x, corner_y in corners:
        x = max(min(corner_x, place[2] - width - 3), place[0] + 3)
        y = max(min(corner_y, place[3] - height - 3), place[1] + 3)
        patches.append((x, y, x + width, y + height))
    return next(
        (patch for patch in patches if not any(_overlap(patch, other) for other in taken)),
        patches[0],
    )


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
