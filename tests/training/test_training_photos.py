"""What a pack keeps of training photos: fingerprints, a bank always the same, a smaller space.

What lacks is told.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from regiontalk.data import read_dataset
from regiontalk.errors import ConfigError, DataError, TrainingError
from regiontalk.fingerprints import fingerprint_files, listed, recognised
from regiontalk.language.reader import WordsReader
from regiontalk.model import load
from regiontalk.pack import Pack
from regiontalk.training.alignment_config import AlignmentConfig
from regiontalk.training.box_labels import read_box_labels
from regiontalk.training.checkpoint import write_tensors
from regiontalk.training.export import ExportConfig, export_pack
from regiontalk.training.train_alignment import train_alignment
from regiontalk.training.train_captioner import train_captioner
from regiontalk.training.training_photos import (
    low_rank_bases,
    require_named,
    some,
    to_low_rank,
    training_photos,
)
from regiontalk.vision.boxes import distinct

from ..tiny_pack import DIM, tiny_arrays, tiny_settings
from .small_world import captioner_config


def test_data_boxes_and_folders_come_together(
    shapes_folder: Path, box_labels: Path, tmp_path: Path
) -> None:
    (tmp_path / "deep").mkdir()
    coarse = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((90, 60)).save(tmp_path / "deep" / "a.png")
    known = training_photos([shapes_folder], [box_labels, tmp_path])
    assert known is not None
    files = [photo.file for photo in read_dataset(shapes_folder, "train").photos]
    train = fingerprint_files(files)
    stored = fingerprint_files(read_box_labels(box_labels).photos)
    alone = fingerprint_files([tmp_path / "deep" / "a.png"])
    assert np.array_equal(known, listed(np.concatenate([train, stored, alone])))
    only_train = training_photos([shapes_folder], [])
    assert only_train is not None and not recognised(alone, only_train).any()
    assert training_photos([], []) is None


def test_folders_without_photos(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no photo"):
        training_photos([], [tmp_path])
    with pytest.raises(
        DataError, match="none: expected a folder of photos or a file of boxes with names"
    ):
        training_photos([], [tmp_path / "none"])
    Image.new("RGB", (30, 30)).save(tmp_path / "blank.png")
    with pytest.raises(DataError, match="not blank, found 0"):
        training_photos([], [tmp_path])


def test_no_dataset_is_forgotten(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    require_named([run], [])  # its checkpoint is gone: nobody can tell
    write_tensors(
        {"a": torch.zeros(1)},
        run / "checkpoint.safetensors",
        {"run": json.dumps({"data": "birds"})},
    )
    require_named([run], [tmp_path / "cats", tmp_path / "birds"])
    several = json.dumps({"data": [["cats", 1.0], ["fish", 2.0]]})
    write_tensors({"a": torch.zeros(1)}, run / "checkpoint.safetensors", {"run": several})
    with pytest.raises(ConfigError, match="'fish', which data does not name"):
        require_named([run], [tmp_path / "cats", tmp_path / "birds"])
    write_tensors(
        {"a": torch.zeros(1)},
        run / "checkpoint.safetensors",
        {"run": json.dumps({"data": "birds"})},
    )
    with pytest.raises(
        ConfigError, match=r"run: was trained on the dataset 'birds', which data does not name"
    ):
        require_named([run], [tmp_path / "cats"])
    (run / "checkpoint.safetensors").write_bytes(b"\xff" * 8)
    with pytest.raises(TrainingError, match=r"checkpoint\.safetensors: damaged"):
        require_named([run], [tmp_path / "cats"])
    (run / "checkpoint.safetensors").unlink()
    (run / "run.json").write_text('{"data": "birds"}')  # of a run that has none, a mean of others
    with pytest.raises(
        ConfigError, match=r"run: was trained on the dataset 'birds', which data does not name"
    ):
        require_named([run], [tmp_path / "cats"])
    (run / "run.json").write_text("{")
    with pytest.raises(TrainingError, match=r"run\.json: damaged"):
        require_named([run], [tmp_path / "cats"])


@pytest.fixture(scope="module")
def export(
    alignment_config: AlignmentConfig, shapes_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> ExportConfig:
    """Of finished runs, with a bank, in a space of fewer dimensions."""
    folder = tmp_path_factory.mktemp("bank")
    config = replace(alignment_config, score="mean", cell="gru", epochs=30, output=folder / "run")
    train_alignment(config)
    captioners = [
        captioner_config(config, about, epochs=10, output=folder / about)
        for about in ("photo", "region")
    ]
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
    # The same chance
    assert np.array_equal(export_pack(export).arrays["bank"]["words"], pack.arrays["bank"]["words"])
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
        (
            {"dim": 17},
            'dim: expected words that are read by cell = "gru", and at most 16; found "gru" and 17',
        ),
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


def test_the_whole_space_changes_no_product_and_no_length() -> None:
    rng = np.random.default_rng(0)
    regions, words = rng.normal(size=(50, 6)) * [3, 1, 1, 0.5, 0.1, 2], rng.normal(size=(70, 6))
    of_regions, of_words = low_rank_bases(regions, words, 6)
    np.testing.assert_allclose(
        (regions @ of_regions) @ (words @ of_words).T, regions @ words.T, atol=1e-4
    )
    np.testing.assert_allclose(
        np.linalg.norm(regions @ of_regions, axis=1), np.linalg.norm(regions, axis=1), rtol=1e-4
    )
    np.testing.assert_allclose(
        np.linalg.norm(words @ of_words, axis=1), np.linalg.norm(words, axis=1), rtol=1e-4
    )


@pytest.mark.parametrize("dim", [1, 3, 5])
def test_no_space_of_as_few_dimensions_is_closer(dim: int) -> None:
    """By Eckart and Young the products' own first singular values bound what any rank can leave
    out.
    """
    rng = np.random.default_rng(dim)
    regions, words = (
        rng.normal(size=(40, 8)) @ rng.normal(size=(8, 8)),
        rng.normal(size=(60, 8)) * np.arange(8),
    )
    products = regions @ words.T
    of_regions, of_words = low_rank_bases(regions, words, dim)
    left = np.linalg.norm(products - (regions @ of_regions) @ (words @ of_words).T)
    least = np.sqrt((np.linalg.svd(products, compute_uv=False)[dim:] ** 2).sum())
    assert left == pytest.approx(least, rel=1e-3)
    np.testing.assert_allclose(of_regions.T @ of_regions, np.eye(dim), atol=1e-5)
    assert (
        np.linalg.norm(regions @ of_regions, axis=1) <= np.linalg.norm(regions, axis=1) * (1 + 1e-5)
    ).all()


def test_regions_of_a_plane_need_no_more() -> None:
    rng = np.random.default_rng(2)
    regions, words = rng.normal(size=(30, 2)) @ rng.normal(size=(2, 6)), rng.normal(size=(20, 6))
    of_regions, of_words = low_rank_bases(regions, words, 2)
    np.testing.assert_allclose(
        (regions @ of_regions) @ (words @ of_words).T, regions @ words.T, atol=1e-3
    )
    np.testing.assert_allclose(
        np.linalg.norm(regions @ of_regions, axis=1), np.linalg.norm(regions, axis=1), rtol=1e-4
    )


def test_it_is_folded_into_what_a_pack_computes() -> None:
    arrays = tiny_arrays(tiny_settings(words_cell="gru"))
    rng = np.random.default_rng(0)
    features, ids = (
        rng.normal(size=(40, 16)).astype(np.float32),
        [np.array([2, 7, 3]), np.array([11]), np.arange(2, 22)],
    )
    regions = features @ arrays["projection"]["W_m"] + arrays["projection"]["b_m"]
    words = np.concatenate(WordsReader(arrays["words"], "gru").read(ids))
    folded = to_low_rank(arrays, regions, words, 5)
    of_regions, of_words = low_rank_bases(regions, words, 5)
    seen = features @ folded["projection"]["W_m"] + folded["projection"]["b_m"]
    np.testing.assert_allclose(seen, regions @ of_regions, rtol=1e-3, atol=1e-4)
    read = np.concatenate(WordsReader(folded["words"], "gru").read(ids))
    np.testing.assert_allclose(read, words @ of_words, rtol=1e-3, atol=1e-4)
    assert seen.shape[1] == read.shape[1] == 5 < DIM
    for name in ("photo_captioner", "region_captioner"):
        assert folded[name].keys() == arrays[name].keys()
        assert all(folded[name][each] is arrays[name][each] for each in arrays[name])
