"""`regiontalk evaluate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import regiontalk
from regiontalk.data import read_dataset
from regiontalk.evaluation.captions import bleu
from regiontalk.evaluation.retrieval import retrieval
from regiontalk.language import tokenise
from regiontalk.pack import Pack

Command = Callable[..., Any]


def test_retrieval_is_what_the_score_matrix_says(command: Command, captioned: Path, tiny_pack: Path) -> None:
    ended = command("evaluate", "retrieval", captioned, "--split", "test", "--json")
    assert (ended.status, ended.err) == (0, "")
    (found,) = ended.json()
    assert list(found) == ["image_to_text", "text_to_image", "signature"]

    dataset = read_dataset(captioned, "test")
    captions = [caption for photo in dataset.photos for caption in photo.captions]
    scores = regiontalk.load(tiny_pack).score([photo.file for photo in dataset.photos], captions)
    expected = retrieval(scores, np.repeat(np.arange(10), 2))
    for way in ("image_to_text", "text_to_image"):
        assert found[way] == pytest.approx(expected[way], abs=1e-3)


def test_captions_are_compared_as_the_paper_does(command: Command, captioned: Path, tiny_pack: Path) -> None:
    ended = command("evaluate", "describe", captioned, "--json", "--beam", 2)
    assert (ended.status, ended.err) == (0, "")
    (found,) = ended.json()
    assert list(found) == ["bleu1", "bleu2", "bleu3", "bleu4", "signature"]

    dataset, model = read_dataset(captioned, "test"), regiontalk.load(tiny_pack)
    candidates = [model.describe(photo.file, beam=2).caption.text.split() for photo in dataset.photos]
    references = [[tokenise(caption) for caption in photo.captions] for photo in dataset.photos]
    expected = bleu(candidates, references)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-3)
    assert found["signature"]["beam"] == 2


def test_a_number_never_travels_alone(command: Command, captioned: Path, tiny_pack: Path) -> None:
    for what in ("retrieval", "describe"):
        (found,) = command("evaluate", what, captioned, "--json").json()
        signature = found["signature"]
        assert signature["regiontalk"] == regiontalk.__version__
        assert (signature["pack"], signature["pack_sha256"]) == ("tiny", Pack.load(tiny_pack).checksum)
        assert (signature["dataset"], signature["split"]) == ("dataset", "test")
        assert (signature["photos"], signature["captions"], signature["captions_per_photo"]) == (10, 20, "2")
        assert "lower case" in signature["normalisation"]


def test_the_pack_names_the_score(command: Command, captioned: Path) -> None:
    (found,) = command("evaluate", "retrieval", captioned, "--json").json()
    assert found["signature"]["score"] == "max (Eq. 8)"
    assert found["signature"]["ties"] == "count against the system"


@pytest.mark.parametrize(("what", "expected"), [("retrieval", "R@10"), ("describe", "BLEU-4")])
def test_text(command: Command, captioned: Path, what: str, expected: str) -> None:
    ended = command("evaluate", what, captioned)
    assert ended.status == 0
    assert expected in ended.out
    assert "photos: 10" in ended.out


@pytest.mark.parametrize("what", ["retrieval", "describe"])
def test_a_broken_photo_spoils_the_number(command: Command, captioned: Path, what: str) -> None:
    (captioned / "images" / "3.jpg").write_bytes(b"broken")
    ended = command("evaluate", what, captioned, "--json")
    assert (ended.status, ended.out) == (1, "")
    assert "3.jpg" in ended.err


@pytest.mark.parametrize("what", ["retrieval", "describe"])
def test_a_folder_that_is_no_dataset(command: Command, captioned: Path, tmp_path: Path, what: str) -> None:
    (tmp_path / "nothing").mkdir()
    for folder, split in (
        (tmp_path / "nothing", "test"),
        (tmp_path / "missing", "test"),
        (captioned, "dev"),
        ("", "test"),
    ):
        ended = command("evaluate", what, folder, "--split", split, "--json")
        assert (ended.status, ended.out) == (2, "")
        assert str(folder) in ended.err
