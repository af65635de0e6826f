"""Certainty measured through a pack: what is told of words in sentences, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regiontalk.data import BoxedDataset, BoxedPhoto, Dataset
from regiontalk.data.captions import CaptionedPhoto
from regiontalk.errors import ConfigError, DataError
from regiontalk.evaluation.certainty.run import evaluate_certainty
from regiontalk.model import Model
from regiontalk.pack import Pack, save_pack
from regiontalk.settings import CertaintySettings

from ...tiny_pack import tiny_arrays, tiny_settings, tiny_vision_onnx, tiny_vocabulary


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    settings = replace(tiny_settings(), certainty=CertaintySettings(slope=0.5, offset=-0.5))
    folder = tmp_path_factory.mktemp("packs") / "sure"
    return Model(
        save_pack(folder, settings, tiny_arrays(settings), tiny_vision_onnx(), tiny_vocabulary())
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    files = []
    for seed in range(4):
        pixels = np.random.default_rng(seed).integers(0, 256, (30, 40, 3), dtype=np.uint8)
        files.append(folder / f"{seed}.png")
        Image.fromarray(pixels).save(files[-1])
    return files


def boxed(photos: list[Path], labels: list[str]) -> BoxedDataset:
    box = np.array([[1, 1, 20, 20]], np.float32)
    found = tuple(
        BoxedPhoto(file, 40, 30, box, ((label,),))
        for file, label in zip(photos, labels, strict=True)
    )
    return BoxedDataset(
        "made", "all", "labels", found, classes=("cat", "dog", "person", "sports ball")
    )


def test_what_is_told_is_what_align_says(model: Model, photos: list[Path]) -> None:
    dataset = boxed(photos, ["dog", "cat", "dog", "cat"])
    scores = evaluate_certainty(model, dataset).scores
    assert scores.questions == 8
    told = []
    for file, label in zip(photos, ["dog", "cat", "dog", "cat"], strict=True):
        alignment = model.align(file, label)
        assert alignment.sure == alignment.phrases[0].sure == alignment.word_sure[0]
        told.append(alignment.phrases[0].found)
    assert scores.accuracy_shown == pytest.approx(np.mean(told))


def test_two_things_in_one_sentence(model: Model, photos: list[Path]) -> None:
    dataset = boxed(photos, ["dog", "cat", "dog", "cat"])
    result = evaluate_certainty(model, dataset, "a {} and a {}").to_json()
    assert result["questions"] == 8 and result["signature"]["sentence"] == "a {} and a {}"


def test_captions(model: Model, photos: list[Path]) -> None:
    said = [("a dog", "one dog"), ("a cat", "cats"), ("a man", "a boy"), ("grass", "snow")]
    dataset = Dataset(
        "made", "dev", tuple(CaptionedPhoto(f, c) for f, c in zip(photos, said, strict=True))
    )
    assert evaluate_certainty(model, dataset).scores.questions == 6


def test_refusals(model: Model, photos: list[Path], tiny_pack: Path) -> None:
    dataset = boxed(photos, ["dog", "cat", "dog", "cat"])
    with pytest.raises(ConfigError, match="tells no probabilities"):
        evaluate_certainty(Model(Pack.load(tiny_pack)), dataset)
    for sentence in ("a dog", "{} {} {}", "{} {x}"):
        with pytest.raises(ConfigError, match=r"expected one \{\}"):
            evaluate_certainty(model, dataset, sentence)
    with pytest.raises(DataError, match="no classes"):
        evaluate_certainty(model, replace(dataset, kind="captions"))
    with pytest.raises(DataError, match="nothing can be asked"):
        evaluate_certainty(model, boxed(photos, ["zebra", "zebra", "zebra", "zebra"]))
