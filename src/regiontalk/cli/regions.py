"""`regiontalk regions`: the regions of photos, without words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regiontalk.cli.options import PhotosArgument
from regiontalk.cli.photos import PhotoOptions, for_each_photo

if TYPE_CHECKING:
    from PIL import Image

    from regiontalk.photos import Photo
    from regiontalk.structures import Regions


def regions(photos: PhotosArgument, options: PhotoOptions) -> None:
    """Find the regions of photos, without words.

    Example:

    \b
      regiontalk regions photo.jpg --json
    """
    from regiontalk.cli.text import regions_text

    for_each_photo(photos, options, lambda _, looked: looked, regions_text, _draw)


def _draw(photo: Photo, found: Regions) -> Image.Image:
    from regiontalk.drawing import draw_regions

    return draw_regions(photo, found)
