"""Model packs in the format of docs/pack_format.md: validation, loading and saving."""

from __future__ import annotations

from regiontalk.pack.loading import (
    BANK,
    FILES,
    PLACED,
    TRAINING_PHOTOS_FILE,
    VISION_FILE,
    Arrays,
    Pack,
    find_pack,
    tensor_shapes,
)
from regiontalk.pack.saving import refuse_foreign_folder, save_pack

__all__ = [
    "BANK",
    "FILES",
    "PLACED",
    "TRAINING_PHOTOS_FILE",
    "VISION_FILE",
    "Arrays",
    "Pack",
    "find_pack",
    "refuse_foreign_folder",
    "save_pack",
    "tensor_shapes",
]
