"""How a pack's scores become probabilities: each line is the fit of what the model says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regiontalk.alignment.certainty import caption_evidence, fit, log_odds
from regiontalk.data.captions import CaptionedPhoto
from regiontalk.errors import DataError
from regiontalk.evaluation.certainty.questions import of_captions, region_caption_answers
from regiontalk.model import Model
from regiontalk.pack import Pack
from regiontalk.settings import CertaintySettings
from regiontalk.training.calibration import calibrated, line_of, word_evidence
from regiontalk.vision.boxes import distinct

SAID = (("a dog", "one dog"), ("a cat", "the cat"), ("a man", "a boy"), ("a dog and a cat", "a dog with a cat"))


@pytest.fixture
def captioned(tmp_path: Path) -> list[CaptionedPhoto]:
    found = []
    for row, captions in enumerate(SAID * 3):
        pixels = np.random.default_rng(row).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        file = tmp_path / f"{row}.png"
        Image.fromarray(pixels).save(file)
        found.append(CaptionedPhoto(file, captions))
    return found


def test_it_is_the_fit_of_what_the_model_says(tiny_pack: Path, captioned: list[CaptionedPhoto]) -> None:
    model = Model(Pack.load(tiny_pack))
    found = calibrated(model, captioned)
    evidence, shown = [], []
    for question in of_captions(captioned, model.pack.vocabulary):
        (regions,) = model.look(captioned[question.photo].file)
        (read,) = model.read(" ".join(question.words))
        evidence.append((regions.vectors @ read.vectors.T).max())
        shown.append(question.shown)
    slope, offset = fit(np.array(evidence), np.array(shown))
    assert (found.slope, found.offset) == (pytest.approx(slope, rel=1e-3), pytest.approx(offset, rel=1e-3))


def test_nothing_to_ask_for(tiny_pack: Path, captioned: list[CaptionedPhoto]) -> None:
    grass = [CaptionedPhoto(photo.file, ("green grass", "grass")) for photo in captioned]
    with pytest.raises(DataError, match="no dev caption names"):
        calibrated(Model(Pack.load(tiny_pack)), grass)


def test_a_line_of_captions(tiny_pack: Path) -> None:
    """Answers that nobody can tell do not count; answers that are all alike make no line."""
    model = Model(Pack.load(tiny_pack))
    words, rng = CertaintySettings(slope=0.5, offset=-1.0), np.random.default_rng(0)
    captions = ["a dog", "a man on grass", "a cat", "a ball", "of the"]
    vectors = [rng.normal(size=(2, model.pack.settings.space.dim)).astype(np.float32) for _ in captions]
    answers = [True, False, None, True, False]
    rows = [0, 1, 3, 4]
    said = [word_evidence(model, vectors[row], captions[row].split()) for row in rows]
    assert said[-1] == []
    evidence = [caption_evidence(log_odds(np.array(each), words).tolist() or [words.offset]) for each in said]
    expected = fit(np.array(evidence), np.array([True, False, True, False]), even=False)
    assert line_of(model, words, answers, captions, vectors) == pytest.approx(expected, rel=1e-6)
    assert line_of(model, words, [True, None, True, True, None], captions, vectors) == (0.0, 0.0)


def test_photos_and_regions_have_lines_of_their_own(tiny_pack: Path, captioned: list[CaptionedPhoto]) -> None:
    model = Model(Pack.load(tiny_pack))
    found = calibrated(model, captioned)
    words = CertaintySettings(found.slope, found.offset)
    looked = [distinct(each) for each in model.look(photo.file for photo in captioned)]
    described = model.describe_regions(looked)
    owners = [photo for photo, each in zip(captioned, described, strict=True) for _ in each.region_captions]
    said = [caption.text for each in described for caption in each.region_captions]
    seen = [row[None] for each in described for row in each.regions.vectors[1:]]
    line = line_of(model, words, region_caption_answers(owners, said), said, seen)
    assert (found.region_slope, found.region_offset) == pytest.approx(line, rel=1e-3)
