"""Small copies of photos: as JPEGs, and as data: URLs that travel inside of an HTML file."""

from __future__ import annotations

import base64
from io import BytesIO

from PIL import Image

from regiontalk.photos import Photo

QUALITY = 82
LEAST_SIDE = 320
"""Photos are never made smaller than this on their long side to save bytes: they should still show
something."""
LEAST_BYTES = 48_000
"""What a photo of `LEAST_SIDE` needs at most, as a data: URL."""

_LEAST_QUALITY = 40
_SMALLER = 0.8
_LONGEST_PROFILE = 4096


def data_url(photo: Photo, max_side: int, most: int | None = None) -> str:
    """A photo as a data: URL of a JPEG, without cameras' metadata (place, time, comments).

    Args:
        photo: decoded at any size.
        max_side: its long side is made at most so many pixels.
        most: characters the URL may have, at least `LEAST_BYTES`; where it would have more, the
            photo is made smaller, but not below `LEAST_SIDE`, and then coarser. None for as many as
            it takes.
    """
    side = min(max_side, max(photo.image.size))
    quality = QUALITY
    while True:
        url = "data:image/jpeg;base64," + base64.b64encode(jpeg(photo.image, side, quality)).decode(
            "ascii"
        )
        if most is None or len(url) <= most or quality < _LEAST_QUALITY:
            return url
        if side > LEAST_SIDE:
            side = max(LEAST_SIDE, int(side * _SMALLER))
        else:
            quality -= 10


def jpeg(image: Image.Image, side: int, quality: int = QUALITY) -> bytes:
    """A copy as JPEG, without cameras' metadata (place, time, comments).

    Its colour profile is kept.

    Args:
        image: upright, RGB.
        side: its long side has at most so many pixels; it is never made larger.
        quality: of the JPEG, 1 to 95.
    """
    scale = min(1.0, side / max(image.size))
    width, height = (max(1, round(length * scale)) for length in image.size)
    small = (
        image
        if scale == 1.0
        else image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    )
    encoded = BytesIO()
    # The comment is named because Pillow would take over the original's.
    small.save(
        encoded, "JPEG", quality=quality, optimize=True, comment=b"", icc_profile=_profile(image)
    )
    return encoded.getvalue()


def _profile(image: Image.Image) -> bytes | None:
    """The photo's own colour profile, without which colours of newer phones look dull.

    None that is long or not RGB.
    """
    profile = image.info.get("icc_profile")
    fits = (
        isinstance(profile, bytes)
        and len(profile) <= _LONGEST_PROFILE
        and profile[16:20] == b"RGB "
    )
    return profile if fits else None
