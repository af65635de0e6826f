"""A model of the tiny pack, and photos for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from regiontalk.model import Model, load

SENTENCES = ["A dog is running on the grass", "two people", "A red ball in white snow ."]


@pytest.fixture(scope="module")
def model(tiny_pack: Path) -> Model:
    return load(tiny_pack, threads=1)


@pytest.fixture(scope="module")
def photo_files(photo_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Eleven different photos: more than go through the graph together."""
    folder = tmp_path_factory.mktemp("many")
    image = Image.open(photo_file)
    files = [folder / f"{number}.png" for number in range(11)]
    for number, file in enumerate(files):
        image.crop((5 * number, 3 * number, 60 + 5 * number, 50 + 3 * number)).save(file)
    return files
