"""A bank is made of training photos, always the same, and of drawn sentences; what an export lacks for it is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from regiontalk.data import read_dataset
from regiontalk.errors import ConfigError
from regiontalk.model import distinct, load
from regiontalk.pack import Pack
from regiontalk.training.bank import some
from regiontalk.training.export import ExportConfig, export_pack
from regiontalk.training.train_alignment import AlignmentConfig, train_alignment
from regiontalk.training.train_captioner import train_captioner

from .small_world import captioner_config


@pytest.fixture(scope="module")
def export(
    alignment_config: AlignmentConfig, shapes_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> ExportConfig:
    """Of finished runs, with a bank, in a space of fewer dimensions."""
    folder = tmp_path_factory.mktemp("bank")
    config = replace(alignment_config, score="mean", cell="gru", epochs=30, output=folder / "run")
    train_alignment(config)
    captioners = [captioner_config(config, about, epochs=10, output=folder / about) for about in ("photo", "region")]
    for captioner in captioners:
        train_captioner(captioner)
    return ExportConfig(
        output=folder / "pack",
        name="shapes",
        licence="none",
        vision=config.vision,
        alignment=config.output,
        photo_captioner=captioners[0].output,
        region_captioner=captioners[1].output,
        score="mean",
        data=(shapes_folder,),
        dim=8,
        bank=10,
        bank_temperature=0.5,
    )


def test_a_pack_with_a_bank(export: ExportConfig, shapes_folder: Path) -> None:
    pack = export_pack(export)
    bank = pack.settings.bank
    assert pack.settings.space.dim == 8
    assert (bank.photos, bank.temperature, bank.weight) == (10, 0.5, 0.75)
    assert bank.sentences == 10 <= bank.regions
    assert np.array_equal(export_pack(export).arrays["bank"]["words"], pack.arrays["bank"]["words"])  # the same chance
    model = load(export.output, threads=1)
    train, dev = (read_dataset(shapes_folder, split) for split in ("train", "dev"))
    seen = [distinct(each).vectors for each in model.look(photo.file for photo in train.photos)]
    for mine in photos_of(pack):  # each is a training photo, seen as the pack sees it
        assert any(len(mine) == len(its) and np.allclose(mine, its, atol=0.02) for its in seen)
    looked = model.look(photo.file for photo in dev.photos)
    assert len({each.hubness for each in looked}) == len(dev)
    assert export_pack(replace(export, bank=1000)).settings.bank.photos == len(train)


def test_a_bank_with_other_photos(export: ExportConfig, box_labels: Path, tmp_path: Path) -> None:
    """Of a file of boxes with names, and of a folder of photos."""
    alone = photos_of(export_pack(export))
    for number in range(3):
        Image.new("RGB", (50, 40), (80 * number, 0, 90)).save(tmp_path / f"{number}.png")
    pack = export_pack(replace(export, bank_others=5, photos=(box_labels, tmp_path)))
    together = photos_of(pack)
    assert pack.settings.bank.photos == pack.settings.bank.sentences == 15
    assert all(np.array_equal(mine, same) for mine, same in zip(together, alone, strict=False))
    everything = export_pack(replace(export, bank_others=1000, photos=(box_labels, tmp_path)))
    assert everything.settings.bank.photos == 10 + 300 + 3


def photos_of(pack: Pack) -> list[np.ndarray]:
    """The regions of each photo of a pack's bank."""
    bank = pack.arrays["bank"]
    return np.split(bank["regions"], np.cumsum(bank["region_counts"]).astype(int)[:-1])


def test_a_smaller_space_changes_little(export: ExportConfig, shapes_folder: Path) -> None:
    test = read_dataset(shapes_folder, "test")
    scores = []
    for dim in (0, 16, 8):
        export_pack(replace(export, bank=0, dim=dim))
        model = load(export.output, threads=1)
        assert model.pack.settings.space.dim == (dim or 16)
        scores.append(model.score([each.file for each in test.photos], test.photos[0].captions))
    np.testing.assert_allclose(scores[1], scores[0], atol=0.05 * scores[0].std())
    np.testing.assert_allclose(scores[2], scores[0], atol=0.3 * scores[0].std())


def test_some_are_always_the_same_in_order() -> None:
    chosen = some(range(100), 7)
    assert chosen == sorted(set(chosen)) == some(range(100), 7)
    assert some("abc", 5) == ["a", "b", "c"]
    assert some("abc", 0) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"bank_temperature": 0.0}, "the export's settings: temperature: expected a number"),
        ({"bank_weight": -1.0}, "the export's settings: weight: expected a number"),
        ({"dim": 17}, 'dim: expected words that are read by cell = "gru", and at most 16; found "gru" and 17'),
    ],
)
def test_wrong_settings_are_told(export: ExportConfig, change: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        export_pack(replace(export, **change))
    assert str(error.value).startswith(told)


def test_the_papers_words_have_no_smaller_space(
    export: ExportConfig, alignment_run: Path, alignment_config: AlignmentConfig
) -> None:
    plain = replace(export, alignment=alignment_run, score="max", bank=0)
    with pytest.raises(ConfigError, match='found "rnn" and 8'):
        export_pack(plain)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"bank": 5, "score": "max"}, 'bank needs score = "mean"'),
        ({"data": ()}, "dim and bank need data"),
        ({"bank": 0, "data": ()}, "dim and bank need data"),
        ({"bank": -1}, "bank: expected a number of at least 0, found -1"),
        ({"bank_others": 5}, "bank_others needs bank and photos"),
    ],
)
def test_what_is_needed_is_told(export: ExportConfig, change: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replace(export, **change)
