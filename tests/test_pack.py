"""Packs: what is saved is what is loaded, and nothing foreign or damaged gets in."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import regiontalk.pack.loading
from regiontalk.errors import PackError
from regiontalk.fingerprints import listed
from regiontalk.pack import FILES, TRAINING_PHOTOS_FILE, Pack, find_pack, save_pack, tensor_shapes

from .tiny_pack import (
    DIM,
    WORDS,
    tiny_arrays,
    tiny_settings,
    tiny_vision_onnx,
    tiny_vocabulary,
    write_tiny_pack,
)


@pytest.fixture
def pack(tiny_pack: Path, tmp_path: Path) -> Path:
    """A copy of the tiny pack, to be damaged."""
    return Path(shutil.copytree(tiny_pack, tmp_path / "pack"))


def edit(pack: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change pack.json."""
    content = json.loads((pack / "pack.json").read_text())
    change(content)
    (pack / "pack.json").write_text(json.dumps(content))


def put(pack: Path, name: str, data: bytes) -> None:
    """Replace a file and its checksum: damage that only its own check can find."""
    (pack / name).write_bytes(data)
    edit(pack, lambda content: content["files"].update({name: hashlib.sha256(data).hexdigest()}))


def put_tensors(pack: Path, name: str, change: Callable[[dict[str, np.ndarray]], Any]) -> None:
    tensors = safetensors.numpy.load_file(pack / name)
    change(tensors)
    put(pack, name, safetensors.numpy.save(tensors))


def refuse(pack: Path, file: str, message: str) -> None:
    with pytest.raises(PackError, match=message) as caught:
        Pack.load(pack)
    assert str(caught.value).startswith(f"{pack / file if file else pack}: ")
    assert len(str(caught.value)) < 1200
    assert str(caught.value).isprintable()


# What is saved is what is loaded


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


# Folders and files


def test_no_folder(tmp_path: Path) -> None:
    refuse(tmp_path / "nowhere", "", "expected a pack's folder, found nothing")


def test_a_file_instead_of_a_folder(pack: Path) -> None:
    refuse(pack / "pack.json", "", "expected a pack's folder, found a file")


@pytest.mark.parametrize("name", ["pack.json", *FILES])
def test_a_missing_file(pack: Path, name: str) -> None:
    (pack / name).unlink()
    refuse(pack, name, "no such file. Copy the pack again")


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte(pack: Path, name: str) -> None:
    data = bytearray((pack / name).read_bytes())
    data[len(data) // 2] ^= 1
    (pack / name).write_bytes(data)
    refuse(pack, name, "expected sha256 [0-9a-f]{64}, found [0-9a-f]{64}: damaged")


@pytest.mark.parametrize("name", ["pack.json", *FILES])
def test_a_link(pack: Path, tmp_path: Path, name: str) -> None:
    """Even one that leads to the right bytes."""
    (pack / name).rename(tmp_path / "elsewhere")
    (pack / name).symlink_to(tmp_path / "elsewhere")
    refuse(pack, name, "expected a plain file, found a link")


def test_the_packs_folder_may_be_a_link(pack: Path, tmp_path: Path) -> None:
    (tmp_path / "shortcut").symlink_to(pack, target_is_directory=True)
    Pack.load(tmp_path / "shortcut")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a Unix thing")
def test_a_named_pipe_does_not_hang(pack: Path) -> None:
    (pack / "vision.onnx").unlink()
    os.mkfifo(pack / "vision.onnx")
    refuse(pack, "vision.onnx", "expected a regular file, found a pipe")


def test_a_folder_instead_of_a_file(pack: Path) -> None:
    (pack / "words.safetensors").unlink()
    (pack / "words.safetensors").mkdir()
    refuse(pack, "words.safetensors", "expected a file, found a folder")


@pytest.mark.parametrize("name", ["pack.json", "vision.onnx", "vocabulary.json"])
def test_a_file_too_large_is_not_read(pack: Path, name: str) -> None:
    with (pack / name).open("r+b") as file:
        file.truncate(2**30 + 1)  # sparse: takes no room on the disk
    refuse(pack, name, r"expected a file of at most [\d,]+ bytes, found 1,073,741,825")


@pytest.mark.parametrize("data", [b"", b"\1" * 17, b"\2" * 16 + b"\1" * 16, b"\1" * 32, bytes(16)])
def test_odd_training_photos(pack: Path, data: bytes) -> None:
    put(pack, TRAINING_PHOTOS_FILE, b"\1" * 16 + b"\2" * 16)
    photos = Pack.load(pack).training_photos
    assert photos is not None and len(photos) == 2
    put(pack, TRAINING_PHOTOS_FILE, data)
    refuse(
        pack,
        TRAINING_PHOTOS_FILE,
        "expected (1 to 1000000 fingerprints|fingerprints in rising order)",
    )


def test_training_photos_that_are_listed_must_be_there_and_whole(pack: Path) -> None:
    put(pack, TRAINING_PHOTOS_FILE, b"\1" * 16)
    (pack / TRAINING_PHOTOS_FILE).write_bytes(b"\2" * 16)
    refuse(pack, TRAINING_PHOTOS_FILE, "expected sha256 .*damaged")
    (pack / TRAINING_PHOTOS_FILE).write_bytes(bytes(16 * 10**6 + 16))
    refuse(pack, TRAINING_PHOTOS_FILE, "expected a file of at most 16,000,000 bytes")
    (pack / TRAINING_PHOTOS_FILE).unlink()
    refuse(pack, TRAINING_PHOTOS_FILE, "no such file")


# pack.json


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "expected JSON"),
        (b"{", "expected JSON"),
        (b"\xff\xfe{}", "expected JSON"),
        (b'{"format": "regiontalk-pack", "format": "regiontalk-pack"}', "a key that occurs twice"),
        (b'{"format": NaN}', "a number that is not finite"),
        (b'{"format": -Infinity}', "a number that is not finite"),
        (b'{"format": 1e999}', "a number that is not finite"),
        (b'{"format": ' + b"9" * 5000 + b"}", "expected JSON"),
        (b"[" * 100_000, "expected JSON"),
        (b"[]", 'expected "format": "regiontalk-pack", found no object'),
        (b"{}", 'expected "format": "regiontalk-pack", found None. This is not a RegionTalk pack'),
        (b'{"format": "other"}', "found 'other'. This is not a RegionTalk pack"),
        (
            b'{"format": {"a": "' + b"x" * 9999 + b'"}}',
            "found {'a': 'xxxx.*. This is not a RegionTalk pack",
        ),
    ],
)
def test_odd_descriptions(pack: Path, text: bytes, message: str) -> None:
    (pack / "pack.json").write_bytes(text)
    refuse(pack, "pack.json", message)


@pytest.mark.parametrize("version", [0, 2, 10**30, "1", 1.0, True, None, [1]])
def test_other_versions(pack: Path, version: Any) -> None:
    edit(pack, lambda content: content.update(format_version=version))
    refuse(
        pack,
        "pack.json",
        "expected format_version 1, found .*version of RegionTalk that the pack was made for",
    )


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            ("vision", "size"),
            10**9,
            "vision: size: expected a whole number from 8 to 2048, found 1000000000",
        ),
        (
            ("vision", "size"),
            10**400,
            "vision: size: expected a whole number from 8 to 2048, found a huge number",
        ),
        (("vision", "size"), "64", "vision: size: expected a whole number"),
        (("vision", "nms_iou"), None, "vision: nms_iou: expected a number from 0 to 1, found None"),
        (("vision",), None, "vision: expected an object, found None"),
        (("vision", "extra"), 1, r"vision: expected the fields .* foreign \['extra'\]"),
        (("space", "dim"), 10**12, "space: dim: expected a whole number"),
        (("words", "hidden"), -1, "words: hidden: expected a whole number"),
        (("words", "cell"), "lstm", "words: cell: expected one of rnn, gru, found 'lstm'"),
        (("words", "cell"), None, "words: cell: expected one of rnn, gru, found None"),
        (
            ("words", "gates"),
            3,
            (
                r"words: expected the fields hidden, embedding, cell, vector_dim; "
                r".* foreign \['gates'\]"
            ),
        ),
        (
            ("alignment", "score"),
            "median",
            "alignment: score: expected one of max, sum, mean, found 'median'",
        ),
        (("alignment", "beta"), -1, "alignment: beta: expected a number from 0"),
        (("photo_captioner", "cell"), "../rnn", "photo_captioner: cell: expected one of"),
        (
            ("region_captioner", "max_words"),
            10**9,
            "region_captioner: max_words: expected a whole number",
        ),
        (("name",), "\x1b[2J", "name: expected a line"),
        (("results",), "good", "results: expected an object"),
        (("surprise",), 1, r"foreign \['surprise'\]"),
        (("files",), None, '"files" to be an object'),
        (("files",), {}, r"expected the files .*, found \[\]"),
        (("files", "vision.onnx"), "abc", "expected the sha256 of 'vision.onnx', found 'abc'"),
        (("files", "vision.onnx"), 7, "expected the sha256 of 'vision.onnx', found 7"),
        (("files", "vision.onnx"), "Z" * 64, "expected the sha256 of 'vision.onnx'"),
        (("files", "README.md"), "0" * 64, "expected the files .*README.md"),
    ],
)
def test_odd_settings(pack: Path, path: tuple[str, ...], value: Any, message: str) -> None:
    def change(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    edit(pack, change)
    refuse(pack, "pack.json", message)


@pytest.mark.parametrize(
    "section", ["name", "vision", "words", "photo_captioner", "trained_on", "files"]
)
def test_a_missing_section(pack: Path, section: str) -> None:
    edit(pack, lambda content: content.pop(section))
    refuse(pack, "pack.json", "files" if section == "files" else rf"missing \['{section}'\]")


@pytest.mark.parametrize(
    "name", ["../words.safetensors", "/etc/passwd", "a/b", "..", ".", "C:evil", "..\\evil", "nul\0"]
)
def test_path_tricks(pack: Path, name: str) -> None:
    edit(pack, lambda content: content["files"].update({name: "0" * 64}))
    refuse(pack, "pack.json", "expected plain file names, found .*Do not use this pack")


def test_a_description_that_fits_other_tensors(pack: Path) -> None:
    edit(pack, lambda content: content["words"].update(hidden=13))
    refuse(pack, "words.safetensors", r"expected \w+ of shape \(.*13.*\), found \(.*12.*\)")


def test_another_cell(pack: Path) -> None:
    edit(pack, lambda content: content["photo_captioner"].update(cell="lstm"))
    refuse(
        pack,
        "photo_captioner.safetensors",
        "expected W_hx of shape|expected W_hh of shape|expected b_",
    )


def test_another_cell_of_the_words_network(pack: Path) -> None:
    edit(pack, lambda content: content["words"].update(cell="gru"))
    refuse(pack, "words.safetensors", "expected the tensors .*W_xb, W_xf, .*, found .*'W_e'")


# vocabulary.json


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "expected JSON"),
        (b"[1]", "vocabulary"),
        (b'{"words": ["a", "a"], "counts": [1, 0, 1, 1]}', "more than once"),
        (b'{"words": "abc", "counts": [1, 0, 1, 1, 1]}', "list of strings"),
        (b'{"words": ["a"], "counts": [1, 0, 1.5]}', "list of integers"),
        (b'{"words": ["a"], "counts": [1, 0, 1], "counts": []}', "a key that occurs twice"),
    ],
)
def test_odd_vocabularies(pack: Path, text: bytes, message: str) -> None:
    put(pack, "vocabulary.json", text)
    refuse(pack, "vocabulary.json", message)


def test_a_vocabulary_of_another_length(pack: Path) -> None:
    put(
        pack,
        "vocabulary.json",
        json.dumps({"words": ["a", "dog"], "counts": [9, 0, 5, 4]}).encode(),
    )
    refuse(pack, "words.safetensors", r"expected embedding of shape \(4, 6\), found \(32, 6\)")


# Tensors


@pytest.mark.parametrize("length", [0, 3, 8, 40, -1])
def test_truncated_tensors(pack: Path, length: int) -> None:
    put(pack, "words.safetensors", (pack / "words.safetensors").read_bytes()[:length])
    refuse(pack, "words.safetensors", "expected safetensors, found")


def test_more_bytes_than_tensors(pack: Path) -> None:
    put(pack, "words.safetensors", (pack / "words.safetensors").read_bytes() + b"more")
    refuse(pack, "words.safetensors", "expected safetensors, found")


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b"{",
        b'{"b_m": {"dtype": "F16", "shape": [8], "data_offsets": [0, 999999999999]}}',
        b'{"b_m": {"dtype": "F16", "shape": [18446744073709551615, 2], "data_offsets": [0, 16]}}',
        b'{"b_m": {"dtype": "F16", "shape": [-8], "data_offsets": [0, 16]}}',
        b'{"b_m": {"dtype": "PICKLE", "shape": [8], "data_offsets": [0, 16]}}',
    ],
)
def test_hostile_headers(pack: Path, header: bytes) -> None:
    put(pack, "projection.safetensors", len(header).to_bytes(8, "little") + header + bytes(16))
    refuse(pack, "projection.safetensors", "expected safetensors, found")


def test_a_header_longer_than_the_file(pack: Path) -> None:
    put(pack, "projection.safetensors", (2**63).to_bytes(8, "little") + b"{}")
    refuse(pack, "projection.safetensors", "expected safetensors, found")


@pytest.mark.parametrize("name", ["projection", "words", "photo_captioner", "region_captioner"])
def test_wrong_tensors(pack: Path, name: str) -> None:
    file = f"{name}.safetensors"
    first = sorted(tensor_shapes(tiny_settings(), len(WORDS) + 2)[name])[0]
    put_tensors(
        pack, file, lambda tensors: tensors.update({first: tensors[first][..., :-1].copy()})
    )
    refuse(pack, file, f"expected {first} of shape")
    put_tensors(pack, file, lambda tensors: tensors.pop(first))
    refuse(pack, file, f"expected the tensors .*{first}")


def test_a_tensor_more(pack: Path) -> None:
    put_tensors(
        pack, "projection.safetensors", lambda tensors: tensors.update(more=np.zeros(1, np.float16))
    )
    refuse(pack, "projection.safetensors", "expected the tensors W_m, b_m, found .*more")


@pytest.mark.parametrize(
    ("dtype", "name"), [(np.float32, "F32"), (np.int16, "I16"), (np.uint8, "U8")]
)
def test_tensors_of_another_type(pack: Path, dtype: type, name: str) -> None:
    put_tensors(
        pack,
        "projection.safetensors",
        lambda tensors: tensors.update(b_m=tensors["b_m"].astype(dtype)),
    )
    refuse(pack, "projection.safetensors", f"expected b_m as F16, found '{name}'")


def with_placed(folder: Path, vectors: np.ndarray) -> Path:
    """A tiny pack with two placed words of these vectors (2, 3)."""
    settings = tiny_settings("gru", "gru")
    arrays, embedding = tiny_arrays(settings), settings.words.embedding
    arrays["placed"] = {"vectors": vectors, "W_g": np.ones((3, embedding), np.float32)}
    settings = replace(settings, words=replace(settings.words, vector_dim=3))
    vocabulary = tiny_vocabulary().with_placed(("zither", "zebu"))
    save_pack(folder, settings, arrays, tiny_vision_onnx(), vocabulary)
    return folder


def test_vectors_of_placed_words_are_bytes(tmp_path: Path) -> None:
    vectors = np.array([[1, 0, -1], [0.6, -0.8, 0.003]], np.float32)
    pack = with_placed(tmp_path / "pack", vectors)
    stored = safetensors.numpy.load_file(pack / "placed.safetensors")
    assert stored["vectors"].dtype == np.int8 and stored["W_g"].dtype == np.float16
    assert stored["vectors"].tolist() == [[127, 0, -127], [76, -102, 0]]
    read = Pack.load(pack).arrays["placed"]["vectors"]
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, vectors, atol=0.5 / 127)
    again = with_placed(tmp_path / "again", read)
    assert (again / "placed.safetensors").read_bytes() == (pack / "placed.safetensors").read_bytes()


def test_vectors_of_placed_words_are_nothing_else(tmp_path: Path) -> None:
    pack = with_placed(tmp_path / "pack", np.ones((2, 3), np.float32))
    put_tensors(
        pack,
        "placed.safetensors",
        lambda tensors: tensors.update(vectors=np.ones((2, 3), np.float16)),
    )
    refuse(pack, "placed.safetensors", "expected vectors as I8, found 'F16'")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_tensors_that_are_not_finite(pack: Path, value: float) -> None:
    put_tensors(pack, "projection.safetensors", lambda tensors: tensors["b_m"].put(0, value))
    refuse(pack, "projection.safetensors", "expected finite numbers in b_m")


# Finding a pack


@pytest.fixture
def included(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "packs"
    (folder / "everyday-en").mkdir(parents=True)
    (folder / "other").mkdir()
    monkeypatch.setattr(regiontalk.pack.loading, "_INCLUDED", folder)
    return folder


def test_packs_are_found_by_name_or_folder(
    included: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_pack() == find_pack("everyday-en") == included / "everyday-en"
    assert find_pack("other") == included / "other"
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_pack("other") == included / "other"
    assert find_pack("./other") == Path("other")
    assert find_pack(tmp_path / "other") == tmp_path / "other"


@pytest.mark.parametrize("name", ["nothing", "../packs/nothing", "", "\0", "\x1b[2J", ".."])
def test_packs_that_are_not_there(
    included: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if name in ("", ".."):
        with pytest.raises(PackError, match=r"pack.json|neither"):
            Pack.load(find_pack(name))
        return
    with pytest.raises(
        PackError, match=r"neither a pack's folder .*Included: everyday-en, other\."
    ) as caught:
        find_pack(name)
    assert str(caught.value).isprintable()


def test_no_default_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regiontalk.pack.loading, "_INCLUDED", tmp_path / "packs")
    with pytest.raises(
        PackError, match=r"default pack everyday-en is missing.*Install RegionTalk again, or name"
    ):
        find_pack()
