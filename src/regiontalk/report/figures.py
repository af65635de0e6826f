"""HTML and SVG figures of results, without scripts: boxes on the photo, words in matching colours.

All external text is escaped. Styles are inline, so that a fragment looks the same in a notebook's
cell and in a report, in light and dark themes. Figures are after the paper's figures 5 and 7.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from regiontalk.cards import Colour, ink_on
from regiontalk.drawing import PALETTE
from regiontalk.photos import open_photo
from regiontalk.report.pictures import data_url
from regiontalk.structures import WHOLE_PHOTO, Alignment, Caption, Description, Regions

FOUND, TRUTH = PALETTE[0], PALETTE[6]
"""Colours of predicted boxes and of ground truth."""

_PLAIN = 640
"""Reference long side of a photo, in pixels; strokes and letters scale with the long side."""

SIDE = 640
"""Long side, in pixels, of a photo in a notebook."""
MOST_PIXELS = 40_000_000
"""Limit of photos shown in a notebook: larger ones would delay the cell's output."""


@dataclass(frozen=True)
class Picture:
    """A photo embedded in a page.

    Attributes:
        url: the photo as a data: URL.
        name: element id, unique in the page, by which later figures reference it.
        again: whether an earlier figure of the page has embedded it under that id.
    """

    url: str
    name: str = ""
    again: bool = False


@dataclass(frozen=True)
class Mark:
    """A labelled box, in pixels of the original photo; `dashed` for ground truth."""

    box: Sequence[float]
    label: str
    colour: Colour
    dashed: bool = False


def html_of(result: Description | Alignment | Regions) -> str:
    """A result as HTML for notebooks: its boxes, and the photo if its file still matches.

    The file must be readable and have the same size.
    """
    if isinstance(result, Description):
        return description_figure(result, _photo_of(result.regions))
    if isinstance(result, Alignment):
        return alignment_figure(result, _photo_of(result.regions))
    return regions_figure(result, _photo_of(result))


def description_figure(description: Description, image: Picture | None) -> str:
    """The photo with its caption, and each region as a numbered box with a caption.

    Args:
        image: the photo; None draws the boxes alone.
    """
    regions = description.regions
    order = 1 + np.argsort(-regions.scores[1:], kind="stable")  # by descending objectness
    colours = {int(row): PALETTE[place % len(PALETTE)] for place, row in enumerate(order)}
    marks = [
        Mark(regions.boxes_xyxy[row], str(n), colours[int(row)])
        for n, row in enumerate(order, start=1)
    ]
    items = "".join(
        f"<li style='margin:.2em 0'>{badge(str(n), colours[int(row)])} "
        f"{escape(description.region_captions[row - 1].text)} "
        f"{_faint(f'{regions.scores[row]:.0%}')}</li>"
        for n, row in enumerate(order, start=1)
    )
    text = (
        "<p style='font-size:1.25em;margin:.4em "
        f"0'>{_said(description.caption, colours) or '(no words)'}</p>"
    )
    text += _unsure(description.caption)
    listed = f"<ol style='list-style:none;padding:0;margin:.4em 0'>{items}</ol>" if items else ""
    return _figure(regions, marks, image, f"Photo: {description.caption.text}", text + listed)


def alignment_figure(alignment: Alignment, image: Picture | None) -> str:
    """The photo with the sentence below, each word with the colour and number of its box.

    Words of phrases that were not found are faint, and boxes with no other words are left out.
    `image` as in `description_figure`.
    """
    strong = alignment.shown  # (T,)
    shown = list(dict.fromkeys(int(region) for region in alignment.word_regions[strong]))
    colours = {region: PALETTE[place % len(PALETTE)] for place, region in enumerate(shown)}
    numbers = {region: str(place) for place, region in enumerate(shown, start=1)}
    marks = [
        Mark(alignment.regions.boxes_xyxy[each], numbers[each], colours[each]) for each in shown
    ]
    words = " ".join(
        _word(
            text,
            f"{score:.2f}",
            colours.get(int(region)) if score > 0 else None,
            numbers.get(int(region), ""),
        )
        for text, region, score in zip(
            alignment.sentence.words, alignment.word_regions, alignment.word_scores, strict=True
        )
    )
    whole = (
        f" {badge(numbers[WHOLE_PHOTO], colours[WHOLE_PHOTO])} is the whole photo."
        if WHOLE_PHOTO in numbers
        else ""
    )
    text = (
        f"<p style='font-size:1.15em;line-height:2;margin:.4em 0'>{words}</p><p style='margin:.4em "
        f"0'>{_faint(f'score {alignment.score:.2f}, β {alignment.beta:g}.')}{whole}</p>"
    )
    return _figure(
        alignment.regions, marks, image, f"Photo with the words of: {alignment.sentence.text}", text
    )


def regions_figure(regions: Regions, image: Picture | None) -> str:
    """The photo with its regions by objectness; `image` as in `description_figure`."""
    order = 1 + np.argsort(-regions.scores[1:], kind="stable")
    marks = [
        Mark(regions.boxes_xyxy[row], f"{regions.scores[row]:.0%}", PALETTE[place % len(PALETTE)])
        for place, row in enumerate(order)
    ]
    title = f"{len(marks)} region{'' if len(marks) == 1 else 's'}"
    return _figure(
        regions, marks, image, f"Photo with {title}", f"<p style='margin:.4em 0'>{title}</p>"
    )


def picture(
    width: int, height: int, marks: Iterable[Mark], image: Picture | None, says: str
) -> str:
    """An SVG element of a photo with boxes.

    Args:
        width, height: of the original photo, in pixels, the unit of the boxes.
        marks: earlier ones are drawn over later ones.
        image: the photo; None for an empty frame.
        says: text alternative for screen readers (`aria-label`).
    """
    unit = max(width, height) / _PLAIN
    drawn = list(marks)[::-1]
    letters = (
        f"font-size='{15 * unit:.2f}' text-anchor='middle' font-family='sans-serif' "
        "font-weight='bold'"
    )
    tags = "".join(_tag(mark, unit) for mark in drawn if mark.label)
    boxes = "".join(_box(mark, unit) for mark in drawn) + (
        f"<g {letters}>{tags}</g>" if tags else ""
    )
    label = f"role='img' aria-label='{escape(says, quote=True)}'"
    look = f"style='display:block;width:100%;max-width:{_PLAIN}px;max-height:80vh'"
    return (
        f"<svg {label} viewBox='0 0 {width} {height}' "
        f"{look}>{_photo(width, height, image)}{boxes}</svg>"
    )


def badge(text: str, colour: Colour) -> str:
    """A label on a coloured background."""
    return (
        "<b "
        f"style='background:{css(colour)};color:{css(ink_on(colour))};border-radius:.3em;padding:0 "
        f".4em'>{escape(text)}</b>"
    )


def css(colour: Colour) -> str:
    """A colour in CSS's hexadecimal notation.

    >>> css((255, 0, 16))
    '#ff0010'
    """
    return "#" + "".join(f"{part:02x}" for part in colour)


def _photo_of(regions: Regions) -> Picture | None:
    """The photo, downscaled; None on any error, so that results are shown without their files."""
    try:
        photo = open_photo(regions.file, max_pixels=MOST_PIXELS, min_side=SIDE)
        if (photo.width, photo.height) != (regions.width, regions.height):
            return None
        return Picture(data_url(photo, SIDE))
    except Exception:
        return None


def _figure(
    regions: Regions, marks: Sequence[Mark], image: Picture | None, says: str, text: str
) -> str:
    drawn = picture(regions.width, regions.height, marks, image, says)
    return (
        "<figure "
        f"style='margin:0;max-width:{_PLAIN}px'>{drawn}<figcaption>{text}</figcaption></figure>"
    )


def _photo(width: int, height: int, image: Picture | None) -> str:
    place = f"width='{width}' height='{height}'"
    if image is None:
        return f"<rect {place} fill='#888' fill-opacity='.2'/>"
    name = escape(image.name, quote=True)
    if image.again:
        return f"<use href='#{name}'/>"
    href = escape(image.url, quote=True)
    known = f"id='{name}' " if name else ""
    return f"<image {known}href='{href}' {place} preserveAspectRatio='none'/>"


def _word(text: str, score: str, colour: Colour | None, number: str) -> str:
    if colour is None:
        return f"<span title='score {score}' style='opacity:.65'>{escape(text)}</span>"
    look = (
        f"background:{css(colour)};color:{css(ink_on(colour))};border-radius:.3em;padding:.1em .3em"
    )
    return (
        f"<span title='score {score}' style='{look}'>{escape(text)}<sub "
        f"style='font-size:.7em'>{number}</sub></span>"
    )


def _said(caption: Caption, colours: Mapping[int, Colour]) -> str:
    """A caption's words, each underlined in the colour of its attended region."""
    words, regions = caption.text.split(), caption.word_regions
    marked = []
    for word, region in zip(words, regions or (None,) * len(words), strict=True):
        colour = None if region is None else colours.get(region)
        line = (
            ""
            if colour is None
            else f"text-decoration:underline .15em {css(colour)};text-underline-offset:.2em"
        )
        marked.append(f"<span style='{line}'>{escape(word)}</span>" if line else escape(word))
    return " ".join(marked)


def _unsure(caption: Caption) -> str:
    """A note on a caption with a probability below 0.5, else nothing."""
    if caption.sure is None or not caption.is_unsure:
        return ""
    return (
        "<p style='margin:.4em "
        f"0'>{_faint(f'unsure ({caption.sure:.0%}): it may name what is not there')}</p>"
    )


def _faint(text: str) -> str:
    return f"<small style='opacity:.75'>{escape(text)}</small>"


def _box(mark: Mark, unit: float) -> str:
    left, top, right, bottom = (float(edge) for edge in mark.box)
    place = (
        f"x='{left:.1f}' y='{top:.1f}' width='{right - left:.1f}' height='{bottom - top:.1f}' "
        "fill='none'"
    )
    dashes = f" stroke-dasharray='{9 * unit:.1f} {6 * unit:.1f}'" if mark.dashed else ""
    return (
        f"<rect {place} stroke='#000' stroke-opacity='.45' stroke-width='{5 * unit:.2f}'/>"
        f"<rect {place} stroke='{css(mark.colour)}' stroke-width='{3 * unit:.2f}'{dashes}/>"
    )


def _tag(mark: Mark, unit: float) -> str:
    """A box's label, inside its upper left corner."""
    left, top, *_ = (float(edge) for edge in mark.box)
    high, wide = 20 * unit, (9 * len(mark.label) + 8) * unit
    return (
        f"<rect x='{left:.1f}' y='{top:.1f}' width='{wide:.1f}' height='{high:.1f}' "
        f"fill='{css(mark.colour)}'/><text x='{left + wide / 2:.1f}' y='{top + 0.75 * high:.1f}' "
        f"fill='{css(ink_on(mark.colour))}'>{escape(mark.label)}</text>"
    )
