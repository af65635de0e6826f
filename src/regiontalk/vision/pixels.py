"""A photo as the vision graph takes it. Without ONNX Runtime, so that processes that only decode photos start light."""

from __future__ import annotations

import numpy as np
from PIL import Image


def prepare(image: Image.Image, size: int) -> np.ndarray:
    """An RGB image squashed to a square, bilinear with antialiasing -> (size, size, 3) uint8.

    Training prepares its photos with this same function.
    """
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
