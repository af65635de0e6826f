"""What a pack says of itself, its vocabulary, its tensors: nothing foreign or damaged gets in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from regiontalk.pack import Pack, tensor_shapes

from ..tiny_pack import (
    WORDS,
    tiny_settings,
)
from .damage import edit, put, put_tensors, refuse, with_placed


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
