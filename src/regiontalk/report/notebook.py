"""How results show themselves in a notebook."""

from __future__ import annotations

from regiontalk.photos import open_photo
from regiontalk.report.figures import Picture, alignment_figure, description_figure, regions_figure
from regiontalk.report.pictures import data_url
from regiontalk.structures import Alignment, Description, Regions

SIDE = 640
"""Pixels on the long side of a photo in a notebook."""
MOST_PIXELS = 40_000_000
"""Larger photos are left out: a notebook's cell should be there at once."""


def html_of(result: Description | Alignment | Regions) -> str:
    """A result as HTML without scripts: its photo, if the file can still be read and has the same size, and boxes."""
    if isinstance(result, Description):
        return description_figure(result, _photo_of(result.regions))
    if isinstance(result, Alignment):
        return alignment_figure(result, _photo_of(result.regions))
    return regions_figure(result, _photo_of(result))


def _photo_of(regions: Regions) -> Picture | None:
    """The photo, small. A result must show itself even if its photo is gone, so whatever goes wrong is None."""
    try:
        photo = open_photo(regions.file, max_pixels=MOST_PIXELS, min_side=SIDE)
        if (photo.width, photo.height) != (regions.width, regions.height):
            return None
        return Picture(data_url(photo, SIDE))
    except Exception:
        return None
