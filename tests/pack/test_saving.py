"""Packs: what is saved is what is loaded, and nothing is half written."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from regiontalk.errors import PackError
from regiontalk.fingerprints import listed
from regiontalk.pack import FILES, TRAINING_PHOTOS_FILE, Pack, save_pack, tensor_shapes

from ..tiny_pack import (
    DIM,
    WORDS,
    tiny_arrays,
    tiny_settings,
    tiny_vision_onnx,
    tiny_vocabulary,
    write_tiny_pack,
)
from .damage import edit, put_tensors, refuse


@pytest.mark.parametrize(
    ("cell", "words_cell"),
    [("rnn", "rnn"), ("gru", "rnn"), ("lstm", "rnn"), ("rnn", "gru"), ("gru", "gru")],
)
def test_a_pack_comes_back(tmp_path: Path, cell: str, words_cell: str) -> None:
    settings = tiny_settings(cell, words_cell)
    arrays = tiny_arrays(settings)
    saved = save_pack(
        tmp_path / "new" / "pack", settings, arrays, tiny_vision_onnx(), tiny_vocabulary()
    )
    loaded = Pack.load(tmp_path / "new" / "pack")
    assert loaded.settings == saved.settings == settings
    assert loaded.vocabulary.words == WORDS
    assert loaded.vocabulary.counts.tolist() == tiny_vocabulary().counts.tolist()
    assert loaded.vision_onnx == tiny_vision_onnx()
    assert (
        loaded.checksum
        == saved.checksum
        == hashlib.sha256((loaded.folder / "pack.json").read_bytes()).hexdigest()
    )
    for file, tensors in arrays.items():
        assert set(loaded.arrays[file]) == set(tensors)
        for name, tensor in tensors.items():
            found = loaded.arrays[file][name]
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, tensor.astype(np.float16).astype(np.float32))


def test_a_pack_with_a_name_as_long_as_can_be(tmp_path: Path) -> None:
    settings, folder = tiny_settings(), tmp_path / ("ä" * 127)
    save_pack(folder, settings, tiny_arrays(settings), tiny_vision_onnx(), tiny_vocabulary())
    assert Pack.load(folder).settings == settings


def test_tensors_of_the_words_network() -> None:
    shared = {"embedding": (9, 6), "W_d": (12, 8), "b_d": (8,)}
    recurrent = {"W_f": (12, 12), "b_f": (12,), "W_b": (12, 12), "b_b": (12,)}
    expected = {**shared, **recurrent, "W_e": (6, 12), "b_e": (12,)}
    assert tensor_shapes(tiny_settings(words_cell="rnn"), 9)["words"] == expected
    inputs = {"W_xf": (6, 36), "b_xf": (36,), "W_xb": (6, 36), "b_xb": (36,)}
    recurrent = {"W_f": (12, 36), "b_f": (36,), "W_b": (12, 36), "b_b": (36,)}
    assert tensor_shapes(tiny_settings(words_cell="gru"), 9)["words"] == {
        **shared,
        **recurrent,
        **inputs,
    }


def test_a_pack_older_than_the_words_cell(pack: Path) -> None:
    """What versions without the field wrote, and read.

    It is "rnn", and packs that have it are written so still.
    """
    assert "cell" not in json.loads((pack / "pack.json").read_text())["words"]
    assert Pack.load(pack).settings.words.cell == "rnn"
    edit(pack, lambda content: content["words"].update(cell="rnn"))
    assert Pack.load(pack).settings.words.cell == "rnn"


def test_a_pack_older_than_fit(pack: Path) -> None:
    """As for the words' cell: 0 is what such packs do."""
    assert "rerank_weight" not in json.loads((pack / "pack.json").read_text())["photo_captioner"]
    assert Pack.load(pack).settings.photo_captioner.rerank_weight == 0
    edit(pack, lambda content: content["photo_captioner"].update(rerank_weight=1.5))
    assert Pack.load(pack).settings.photo_captioner.rerank_weight == 1.5


def test_a_bank_comes_back(tmp_path: Path) -> None:
    """Packs without one are written as before there were any."""
    saved = write_tiny_pack(tmp_path / "pack", score="mean", bank=True)
    loaded = Pack.load(tmp_path / "pack")
    assert loaded.settings == saved.settings
    assert loaded.settings.bank.photos == 2
    assert {name: tensor.shape for name, tensor in loaded.arrays["bank"].items()} == {
        "regions": (5, DIM),
        "region_counts": (2,),
        "words": (6, DIM),
        "word_counts": (3,),
    }
    without = write_tiny_pack(tmp_path / "pack", score="mean")
    assert "bank" not in without.arrays and not (tmp_path / "pack" / "bank.safetensors").exists()
    assert "bank" not in json.loads((tmp_path / "pack" / "pack.json").read_text())


def test_a_bank_and_its_file_belong_together(tmp_path: Path) -> None:
    pack = write_tiny_pack(tmp_path / "pack", score="mean", bank=True).folder
    description = (pack / "pack.json").read_text()
    edit(pack, lambda content: content.pop("bank"))
    refuse(pack, "pack.json", "expected settings of bank and bank.safetensors, or neither")
    (pack / "pack.json").write_text(description)
    edit(pack, lambda content: content["files"].pop("bank.safetensors"))
    refuse(pack, "pack.json", "expected settings of bank and bank.safetensors, or neither")
    (pack / "pack.json").write_text(description)
    edit(pack, lambda content: content["bank"].update(words=7))
    refuse(pack, "bank.safetensors", r"expected words of shape \(7, 8\), found \(6, 8\)")
    (pack / "pack.json").write_text(description)
    put_tensors(
        pack,
        "bank.safetensors",
        lambda bank: bank.update(region_counts=np.array([1, 9], np.float16)),
    )
    refuse(
        pack,
        "bank.safetensors",
        "expected counts of at least 1 that sum to 5 regions, found others",
    )
    edit(pack, lambda content: content["alignment"].update(score="max"))
    refuse(pack, "pack.json", "bank: expected a score of the kind \"mean\", found 'max'")


def test_training_photos_come_back(tmp_path: Path) -> None:
    settings, known = (
        tiny_settings(),
        listed(np.random.default_rng(0).integers(0, 256, (20, 16), dtype=np.uint8)),
    )
    parts = settings, tiny_arrays(settings), tiny_vision_onnx(), tiny_vocabulary()
    saved = save_pack(tmp_path / "pack", *parts, training_photos=known)
    assert saved.training_photos is not None
    assert np.array_equal(saved.training_photos, known)
    assert (tmp_path / "pack" / TRAINING_PHOTOS_FILE).stat().st_size == 20 * 16
    without = save_pack(tmp_path / "pack", *parts)
    assert without.training_photos is None
    assert without.checksum != saved.checksum
    assert not (tmp_path / "pack" / TRAINING_PHOTOS_FILE).exists()
    with pytest.raises(ValueError, match="rising order"):
        save_pack(tmp_path / "pack", *parts, training_photos=known[::-1])


def test_tensors_are_halves_in_the_file(tiny_pack: Path) -> None:
    for name in ("projection", "words", "photo_captioner", "region_captioner"):
        tensors = safetensors.numpy.load_file(tiny_pack / f"{name}.safetensors")
        assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.float16)}


def test_the_same_parts_make_the_same_bytes(tmp_path: Path) -> None:
    first, second = write_tiny_pack(tmp_path / "a"), write_tiny_pack(tmp_path / "b")
    assert first.checksum == second.checksum
    assert write_tiny_pack(tmp_path / "c", seed=1).checksum != first.checksum


def test_only_the_packs_files_are_left(tmp_path: Path) -> None:
    write_tiny_pack(tmp_path / "pack")
    assert [path.name for path in tmp_path.iterdir()] == ["pack"]
    assert {path.name for path in (tmp_path / "pack").iterdir()} == {*FILES, "pack.json"}


def test_a_pack_replaces_a_pack(tmp_path: Path) -> None:
    write_tiny_pack(tmp_path / "pack", cell="gru")
    assert write_tiny_pack(tmp_path / "pack", cell="rnn").settings.photo_captioner.cell == "rnn"
    assert [path.name for path in tmp_path.iterdir()] == ["pack"]


def test_an_empty_folder_may_become_a_pack(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    write_tiny_pack(tmp_path / "pack")


def test_anything_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("years of work")
    (tmp_path / "file").write_text("")
    for name in ("thesis", "file"):
        with pytest.raises(PackError, match=f"{name}: holds something that is not a pack"):
            write_tiny_pack(tmp_path / name)
    assert (tmp_path / "thesis" / "chapter1.txt").read_text() == "years of work"


def test_a_full_disk_leaves_the_old_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = write_tiny_pack(tmp_path / "pack")

    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(
        PackError, match=r"pack: the pack could not be written: No space left on device\.$"
    ):
        write_tiny_pack(tmp_path / "pack", seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["pack"]
    assert Pack.load(tmp_path / "pack").checksum == old.checksum


def test_a_rename_that_fails_puts_the_old_pack_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = write_tiny_pack(tmp_path / "pack")
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.suffix == ".partial":
            raise OSError(errno.EACCES, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(PackError, match="Permission denied"):
        write_tiny_pack(tmp_path / "pack", seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["pack"]
    assert Pack.load(tmp_path / "pack").checksum == old.checksum


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("words"), r"words.safetensors: expected the tensors .* found \[\]"),
        (lambda a: a["words"].pop("W_f"), r"words.safetensors: expected the tensors .*W_f"),
        (lambda a: a["words"].update(extra=np.zeros(1)), "found .*extra"),
        (
            lambda a: a["projection"].update(b_m=np.zeros(9)),
            r"expected b_m of shape \(8,\), found \(9,\)",
        ),
        (
            lambda a: a["projection"].update(b_m=np.full(8, 1e6)),
            "b_m holds a number that is not finite or beyond",
        ),
        (
            lambda a: a["projection"].update(b_m=np.full(8, np.nan)),
            "b_m holds a number that is not finite or beyond",
        ),
    ],
)
def test_parts_that_do_not_fit_are_not_saved(
    tmp_path: Path, change: Callable[[Any], Any], message: str
) -> None:
    settings = tiny_settings()
    arrays = tiny_arrays(settings)
    change(arrays)
    with pytest.raises(PackError, match=message):
        save_pack(tmp_path / "pack", settings, arrays, tiny_vision_onnx(), tiny_vocabulary())
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_does_not_fit_is_not_saved(tmp_path: Path) -> None:
    settings = tiny_settings()
    with pytest.raises(PackError, match=r"vision.onnx: expected an ONNX graph"):
        save_pack(
            tmp_path / "pack", settings, tiny_arrays(settings), b"no graph", tiny_vocabulary()
        )
    assert list(tmp_path.iterdir()) == []
