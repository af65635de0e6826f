"""How a pack's scores become probabilities: each line is the fit of what the model says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regiontalk.alignment.certainty import fit, log_odds, region_caption_evidence
from regiontalk.data.captions import CaptionedPhoto
from regiontalk.errors import DataError
from regiontalk.evaluation.certainty.questions import (
    caption_answers,
    of_captions,
    region_caption_answers,
)
from regiontalk.model import Model
from regiontalk.pack import Pack
from regiontalk.settings import CertaintySettings
from regiontalk.training.calibration import calibrated, line_of, word_evidence
from regiontalk.vision.boxes import distinct

SAID = (
    ("a dog", "one dog"),
    ("a cat", "the cat"),
    ("a man", "a boy"),
    ("a dog and a cat", "a dog with a cat"),
)


@pytest.fixture
def captioned(tmp_path: Path) -> list[CaptionedPhoto]:
    found = []
    for row, captions in enumerate(SAID * 3):
        pixels = np.random.default_rng(row).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        file = tmp_path / f"{row}.png"
        Image.fromarray(pixels).save(file)
        found.append(CaptionedPhoto(file, captions))
    return found


def test_it_is_the_fit_of_what_the_model_says(
    tiny_pack: Path, captioned: list[CaptionedPhoto]
) -> None:
    model = Model(Pack.load(tiny_pack))
    found = calibrated(model, captioned)
    evidence, shown = [], []
    for question in of_captions(captioned, model.pack.vocabulary):
        (regions,) = model.look(captioned[question.photo].file)
        (read,) = model.read(" ".join(question.words))
        evidence.append((regions.vectors @ read.vectors.T).max())
        shown.append(question.shown)
    slope, offset = fit(np.array(evidence), np.array(shown))
    assert (found.slope, found.offset) == (
        pytest.approx(slope, rel=1e-3),
        pytest.approx(offset, rel=1e-3),
    )


def test_nothing_to_ask_for(tiny_pack: Path, captioned: list[CaptionedPhoto]) -> None:
    grass = [CaptionedPhoto(photo.file, ("green grass", "grass")) for photo in captioned]
    with pytest.raises(DataError, match="no dev caption names"):
        calibrated(Model(Pack.load(tiny_pack)), grass)


def test_a_line_of_captions() -> None:
    """Answers that nobody can tell do not count; answers that are all alike make no line."""
    evidence = [-4.0, -9.0, -1.0, -5.0, -6.0]
    expected = fit(
        np.array([-4.0, -9.0, -5.0, -6.0]), np.array([True, False, True, False]), even=False
    )
    assert line_of([True, False, None, True, False], evidence) == expected
    assert line_of([True, None, True, True, None], evidence) == (0.0, 0.0)


def test_photos_and_regions_have_lines_of_their_own(
    tiny_pack: Path, captioned: list[CaptionedPhoto]
) -> None:
    model = Model(Pack.load(tiny_pack))
    found = calibrated(model, captioned)
    words = CertaintySettings(found.slope, found.offset)
    described = model.describe_regions(
        [distinct(each) for each in model.look(photo.file for photo in captioned)]
    )
    captions = [each.caption for each in described]
    line = line_of(
        caption_answers(captioned, [each.text for each in captions]),
        [each.log_prob for each in captions],
    )
    assert (found.caption_slope, found.caption_offset) == pytest.approx(line, rel=1e-3)
    answers, evidence = [], []
    for photo, each in zip(captioned, described, strict=True):
        for row, caption in enumerate(each.region_captions, start=1):
            answers += region_caption_answers([photo], [caption.text])
            odds = log_odds(
                np.array(
                    word_evidence(model, each.regions.vectors[row][None], caption.text.split())
                ),
                words,
            )
            evidence.append(region_caption_evidence(odds.tolist() or [words.offset]))
    assert (found.region_slope, found.region_offset) == pytest.approx(
        line_of(answers, evidence), rel=1e-3
    )
