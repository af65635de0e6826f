"""Calibration: a pack of random weights learns how little its scores say; a pack is asked as it is used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regiontalk.alignment.certainty import fit
from regiontalk.data.captions import CaptionedPhoto
from regiontalk.errors import DataError
from regiontalk.evaluation.certainty.questions import of_captions
from regiontalk.model import Model
from regiontalk.pack import Pack
from regiontalk.training.calibration import calibrated

SAID = (("a dog", "one dog"), ("a cat", "the cat"), ("a man", "a boy"), ("a dog and a cat", "a dog with a cat"))


@pytest.fixture
def photos(tmp_path: Path) -> list[CaptionedPhoto]:
    found = []
    for row, captions in enumerate(SAID * 3):
        pixels = np.random.default_rng(row).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        file = tmp_path / f"{row}.png"
        Image.fromarray(pixels).save(file)
        found.append(CaptionedPhoto(file, captions))
    return found


def test_it_is_the_fit_of_what_the_model_says(tiny_pack: Path, photos: list[CaptionedPhoto]) -> None:
    model = Model(Pack.load(tiny_pack))
    found = calibrated(model, photos)
    evidence, shown = [], []
    for question in of_captions(photos, model.pack.vocabulary):
        (regions,) = model.look(photos[question.photo].file)
        (read,) = model.read(" ".join(question.words))
        evidence.append((regions.vectors @ read.vectors.T).max())
        shown.append(question.shown)
    slope, offset = fit(np.array(evidence), np.array(shown))
    assert (found.slope, found.offset) == (pytest.approx(slope, rel=1e-3), pytest.approx(offset, rel=1e-3))


def test_nothing_to_ask_for(tiny_pack: Path, photos: list[CaptionedPhoto]) -> None:
    grass = [CaptionedPhoto(photo.file, ("green grass", "grass")) for photo in photos]
    with pytest.raises(DataError, match="no dev caption names"):
        calibrated(Model(Pack.load(tiny_pack)), grass)
