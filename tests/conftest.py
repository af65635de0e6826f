"""What many tests need: a tiny pack and a photo."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from PIL import Image

# Reproducible everywhere, and no clock: a busy machine is no failure.
hypothesis.settings.register_profile("project", deadline=None, derandomize=True)
hypothesis.settings.load_profile("project")


@pytest.fixture(scope="session")
def case() -> Callable[[str], Path]:
    """Gives a file or folder of `../shared/cases` or of $REGIONTALK_CASES.

    Skips the test where it is not there.
    """
    cases = Path(
        os.environ.get("REGIONTALK_CASES") or Path(__file__).parents[2] / "shared" / "cases"
    )

    def find(name: str) -> Path:
        if not (cases / name).exists():
            pytest.skip(f"needs {name} in ../shared/cases or $REGIONTALK_CASES")
        return cases / name

    return find


@pytest.fixture(scope="session")
def tiny_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small, random, valid pack.

    Shared by all tests: copy it before you change it.
    """
    from .tiny_pack import write_tiny_pack  # here, so that tests without a pack need not load ONNX

    return write_tiny_pack(tmp_path_factory.mktemp("packs") / "tiny").folder


@pytest.fixture(scope="session")
def photo_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JPEG of 120 x 80 pixels: a red block and a blue one on a soft gradient.

    Shared: do not change it.
    """
    y, x = np.mgrid[0:80, 0:120]
    pixels = np.stack([x * 2, y * 3, 255 - x - y], axis=2).clip(0, 255).astype(np.uint8)
    pixels[10:40, 10:50] = (220, 30, 30)
    pixels[45:75, 60:110] = (30, 40, 220)
    path = tmp_path_factory.mktemp("photos") / "blocks.jpg"
    Image.fromarray(pixels).save(path, quality=95)
    return path
