"""What tests of evaluations on photos share: a tiny model, and photos for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import regiontalk
from regiontalk.model import Model

SIZE = (64, 48)
"""Of the photos, in pixels."""


@pytest.fixture(scope="module")
def model(tiny_pack: Path) -> Model:
    return regiontalk.load(tiny_pack)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eleven photos of soft random blobs, in the order of their names."""
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(11):
        coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize(SIZE, Image.Resampling.BILINEAR).save(
            folder / f"{seed:02}.png"
        )
    return sorted(folder.iterdir())
