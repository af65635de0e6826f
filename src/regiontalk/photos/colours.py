"""Any colour mode to RGB with 8 bits a channel."""

from __future__ import annotations

import numpy as np
from PIL import Image

_GREYS_AT_ONCE = 1 << 20
"""Wide greys turned into 8 bits at a time: in double precision, a whole photo would take three times its memory."""


def to_rgb(image: Image.Image) -> Image.Image:
    """A decoded image in any mode → a new one in RGB, nothing shared."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = _wide_grey(np.asarray(image))
    if not image.has_transparency_data:
        return image.convert("RGB")
    if image.mode in ("La", "RGBa"):  # these convert only to their own unmultiplied kind
        image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
    layer = image if image.mode == "RGBA" else image.convert("RGBA")
    paper = Image.new("RGB", layer.size, "white")
    paper.paste(layer, mask=layer)  # the same pixels as of `alpha_composite`, without its two more images in RGBA
    return paper


def _wide_grey(values: np.ndarray) -> Image.Image:
    """Greys (H, W) int32 or float32 → 8 bits.

    Such photos do not say what white is, so it is the smallest that fits of what is common: 65,535 for integers; 1, 255
    or 65,535 for floats. If none fits, the values are stretched from the least to the greatest. Values that are not
    finite are black.
    """
    grey = np.where(np.isfinite(values), values, 0)
    low, high = float(grey.min()), float(grey.max())
    whites = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (65535.0,)
    if low >= 0 and high <= whites[-1]:
        low, high = 0.0, next(white for white in whites if high <= white)
    stretch = 255 / max(high - low, 1e-30)
    shades = np.empty(grey.size, np.uint8)
    for start in range(0, grey.size, _GREYS_AT_ONCE):
        part = slice(start, start + _GREYS_AT_ONCE)
        shades[part] = (grey.reshape(-1)[part].astype(np.float64) - low) * stretch + 0.5
    return Image.fromarray(shades.reshape(grey.shape))
