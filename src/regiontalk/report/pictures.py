"""Downscaled JPEG copies of photos, also as data: URLs to embed in an HTML file."""

from __future__ import annotations

import base64
from io import BytesIO

from PIL import Image

from regiontalk.photos import Photo

QUALITY = 82
LEAST_SIDE = 320
"""Minimum long side, in pixels, of photos downscaled to save bytes, so that they show something."""
LEAST_BYTES = 48_000
"""Upper bound on a data: URL of a photo of `LEAST_SIDE`."""

_LEAST_QUALITY = 32
_SMALLER = 0.8
_LONGEST_PROFILE = 4096


def data_url(photo: Photo, max_side: int, most: int | None = None) -> str:
    """Encodes a photo as a JPEG data: URL, without cameras' metadata (place, time, comments).

    Args:
        photo: decoded at any size.
        max_side: maximum of its long side, in pixels.
        most: maximum length of the URL in characters, at least `LEAST_BYTES`; None for no limit.
            Above it the photo is downscaled, not below `LEAST_SIDE`, then its quality is lowered.
    """
    side = min(max_side, max(photo.image.size))
    quality = QUALITY
    while True:
        url = "data:image/jpeg;base64," + base64.b64encode(jpeg(photo.image, side, quality)).decode(
            "ascii"
        )
        if most is None or len(url) <= most or quality <= _LEAST_QUALITY:
            return url
        if side > LEAST_SIDE:
            side = max(LEAST_SIDE, int(side * _SMALLER))
        else:
            quality -= 10


def jpeg(image: Image.Image, side: int, quality: int = QUALITY) -> bytes:
    """Encodes a copy as JPEG with its ICC profile, without metadata (place, time, comments).

    Args:
        image: upright, RGB.
        side: maximum of the long side, in pixels; images are never enlarged.
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
    # An empty comment, because Pillow would copy the original's.
    small.save(
        encoded, "JPEG", quality=quality, optimize=True, comment=b"", icc_profile=_profile(image)
    )
    return encoded.getvalue()


def _profile(image: Image.Image) -> bytes | None:
    """ICC profile of a photo, without which colours of newer phones look dull.

    None if it is not RGB or longer than `_LONGEST_PROFILE` bytes.
    """
    profile = image.info.get("icc_profile")
    fits = (
        isinstance(profile, bytes)
        and len(profile) <= _LONGEST_PROFILE
        and profile[16:20] == b"RGB "
    )
    return profile if fits else None
