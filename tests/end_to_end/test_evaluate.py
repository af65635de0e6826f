"""`regiontalk evaluate`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import regiontalk
from regiontalk.data import read_dataset
from regiontalk.evaluation.captions.metric import caption_scores
from regiontalk.evaluation.retrieval.metric import retrieval
from regiontalk.language import tokenise
from regiontalk.pack import Pack

from ..tiny_pack import write_tiny_pack

Command = Callable[..., Any]


def test_retrieval_is_what_the_score_matrix_says(
    command: Command, captioned: Path, tiny_pack: Path
) -> None:
    ended = command("evaluate", "retrieval", captioned, "--split", "test", "--json")
    assert (ended.status, ended.err) == (0, "")
    (found,) = ended.json()
    assert list(found) == ["image_to_text", "text_to_image", "rsum", "signature"]

    dataset = read_dataset(captioned, "test")
    captions = [caption for photo in dataset.photos for caption in photo.captions]
    scores = regiontalk.load(tiny_pack).score(dataset.files, captions)
    expected = retrieval(scores, np.repeat(np.arange(10), 2))
    for way in ("image_to_text", "text_to_image"):
        assert found[way] == pytest.approx(asdict(expected)[way], abs=1e-3)


def test_captions_are_compared_as_the_paper_does(
    command: Command, captioned: Path, tiny_pack: Path
) -> None:
    ended = command("evaluate", "describe", captioned, "--json", "--beam", 2)
    assert (ended.status, ended.err) == (0, "")
    (found,) = ended.json()
    assert list(found)[:6] == ["bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "cider"]
    assert list(found)[-1] == "signature"

    dataset, model = read_dataset(captioned, "test"), regiontalk.load(tiny_pack)
    candidates = [
        model.describe(photo.file, beam=2).caption.text.split() for photo in dataset.photos
    ]
    references = [[tokenise(caption) for caption in photo.captions] for photo in dataset.photos]
    expected = caption_scores(candidates, references).by_name()
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-3)
    assert found["signature"]["beam"] == 2


def test_captions_with_intervals(command: Command, captioned: Path) -> None:
    arguments = ("evaluate", "describe", captioned, "--bootstrap", 100, "--seed", 3)
    (found,) = command(*arguments, "--json").json()
    for name, (low, high) in found["interval"].items():
        assert low <= high
        assert low <= found[name] <= high
    assert (
        found["signature"]["interval"]
        == "95 %, percentiles of 100 bootstrap samples of photos, seed 3"
    )
    text = command(*arguments).out
    low, high = found["interval"]["rouge_l"]
    assert f"ROUGE-L  {found['rouge_l']:.1f} [{low:.1f}, {high:.1f}]" in text


def test_a_number_never_travels_alone(command: Command, captioned: Path, tiny_pack: Path) -> None:
    for what in ("retrieval", "describe"):
        (found,) = command("evaluate", what, captioned, "--json").json()
        signature = found["signature"]
        assert signature["regiontalk"] == regiontalk.__version__
        assert (signature["pack"], signature["pack_sha256"]) == (
            "tiny",
            Pack.load(tiny_pack).checksum,
        )
        assert (signature["dataset"], signature["split"]) == ("dataset", "test")
        assert (signature["photos"], signature["captions"], signature["captions_per_photo"]) == (
            10,
            20,
            "2",
        )
        assert "lower case" in signature["normalisation"]
        assert signature["seen_in_training"].startswith("unknown")


def test_photos_that_the_pack_was_trained_on_are_announced(
    bare: Command, captioned: Path, tiny_pack: Path, tmp_path: Path
) -> None:
    pack = Path(shutil.copytree(tiny_pack, tmp_path / "pack"))
    description = json.loads((pack / "pack.json").read_text())
    description["trained_on"] = {
        "captions": "Dataset train: 2 photos",
        "never_seen": "dataset test",
    }
    (pack / "pack.json").write_text(json.dumps(description))
    for what in ("retrieval", "describe"):
        ended = bare("evaluate", what, captioned, "--split", "train", "--json", "--pack", pack)
        assert ended.status == 0
        assert "WARNING: the pack tiny was trained on photos that it is measured on" in ended.err
        assert ended.json()[0]["signature"]["seen_in_training"] == 'yes: "Dataset train: 2 photos"'
        ended = bare("evaluate", what, captioned, "--split", "test", "--json", "--pack", pack)
        assert ended.err == ""
        assert ended.json()[0]["signature"]["seen_in_training"].startswith("no:")


def test_folds_and_intervals(command: Command, captioned: Path, tiny_pack: Path) -> None:
    ended = command(
        "evaluate", "retrieval", captioned, "--folds", 2, "--bootstrap", 100, "--seed", 7, "--json"
    )
    (found,) = ended.json()
    assert list(found) == ["image_to_text", "text_to_image", "rsum", "interval", "signature"]
    assert found["signature"]["folds"] == "average of 2 of 5 photos each, in order"
    assert (
        found["signature"]["interval"]
        == "95 %, percentiles of 100 bootstrap samples of photos, seed 7"
    )

    dataset, model = read_dataset(captioned, "test"), regiontalk.load(tiny_pack)
    halves = []
    for photos in (dataset.photos[:5], dataset.photos[5:]):
        captions = [caption for photo in photos for caption in photo.captions]
        scores = model.score([photo.file for photo in photos], captions)
        halves.append(asdict(retrieval(scores, np.arange(10) // 2)))
    for way in ("image_to_text", "text_to_image"):
        for name, value in found[way].items():
            assert value == pytest.approx(
                (halves[0][way][name] + halves[1][way][name]) / 2, abs=1e-3
            )
            low, high = found["interval"][way][name]
            assert low <= value <= high
    again = command(
        "evaluate", "retrieval", captioned, "--folds", 2, "--bootstrap", 100, "--seed", 7, "--json"
    )
    assert again.out == ended.out

    ended = command("evaluate", "retrieval", captioned, "--folds", 3)
    assert (ended.status, ended.out) == (2, "")
    assert "--folds 3: 10 photos" in ended.err


def test_the_nearest_neighbour_says_what_the_most_similar_training_photo_says(
    command: Command, captioned: Path, tiny_pack: Path
) -> None:
    ended = command("evaluate", "describe", captioned, "--baseline", "nearest", "--json")
    assert (ended.status, ended.err) == (0, "")
    (found,) = ended.json()
    dataset, training, model = (
        *(read_dataset(captioned, split) for split in ("test", "train")),
        regiontalk.load(tiny_pack),
    )
    known = [model.look(photo.file)[0].features[0] for photo in training.photos]
    candidates = []
    for photo in dataset.photos:
        distances = [np.linalg.norm(model.look(photo.file)[0].features[0] - each) for each in known]
        candidates.append(tokenise(training.photos[int(np.argmin(distances))].captions[0]))
    expected = caption_scores(
        candidates, [[tokenise(caption) for caption in photo.captions] for photo in dataset.photos]
    ).by_name()
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-3)
    assert (
        "first caption of the nearest of 2 photos of split train" in found["signature"]["baseline"]
    )
    assert "beam" not in found["signature"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--baseline", "furthest"], "--baseline furthest"),
        (["--baseline", "nearest", "--beam", 2], "--beam and --baseline"),
        (
            ["--baseline", "nearest", "--train-split", "test"],
            "10 of the photos are among those that captions are borrowed from",
        ),
        (["--baseline", "nearest", "--train-split", "dev"], "dev.txt"),
        (["--train-split", "train"], "--train-split: does not apply without --baseline"),
        (["--seed", 3], "--seed: does not apply without --bootstrap"),
    ],
)
def test_baselines_that_make_no_sense(
    command: Command, captioned: Path, arguments: list[object], message: str
) -> None:
    ended = command("evaluate", "describe", captioned, *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert message in ended.err


def test_another_systems_scores_and_embeddings(bare: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    photos, sentences = rng.normal(size=(4, 3)), rng.normal(size=(12, 3))
    files = {
        "p.npy": photos,
        "s.npy": sentences,
        "scores.npy": photos @ sentences.T,
        "owners.npy": np.arange(12) % 4,
    }
    for name, array in files.items():
        np.save(tmp_path / name, array)
    p, s, scores, owners = (tmp_path / name for name in files)
    by_scores = bare("evaluate", "retrieval", "--scores", scores, "--owners", owners, "--json")
    vectors = ("--photo-embeddings", p, "--sentence-embeddings", s, "--similarity", "dot")
    by_vectors = bare("evaluate", "retrieval", *vectors, "--owners", owners, "--json")
    expected = retrieval(photos @ sentences.T, np.arange(12) % 4)
    for ended in (by_scores, by_vectors):
        assert (ended.status, ended.err) == (0, "")
        (found,) = ended.json()
        for way in ("image_to_text", "text_to_image"):
            assert found[way] == pytest.approx(asdict(expected)[way], abs=1e-3)
        assert found["signature"]["owners"].startswith("owners.npy, sha256 ")

    text = bare("evaluate", "retrieval", "--scores", scores, "--bootstrap", 50).out
    assert "owners: assumed: sentences in the order of the photos, 3 for each" in text
    assert "rsum " in text and "mean rank" in text and "[" in text

    wrong: list[tuple[tuple[object, ...], str]] = [
        ((), "give a folder of captioned photos, or --scores FILE"),
        (("--owners", owners), "found --owners"),
        (("--photo-embeddings", p, "--sentence-embeddings", s), "--similarity dot|cosine"),
        ((*vectors[:-1], "l2"), "--similarity l2: expected one of dot, cosine"),
        ((*vectors, "--scores", scores), "give a folder"),
        ((tmp_path, "--scores", scores), "--scores and a folder"),
        (("--scores", tmp_path / "missing.npy"), "missing.npy: no such file"),
        (("--scores", ""), "expected a file .npy"),
        (("--scores", scores, "--split", "x"), "--split: does not apply without a folder"),
        (("--scores", scores, "--seed", 0), "--seed: does not apply without --bootstrap"),
        (
            ("--scores", scores, "--pack", "x", "--threads", 1),
            "--pack, --threads: does not apply without a folder",
        ),
    ]
    for arguments, message in wrong:
        ended = bare("evaluate", "retrieval", *arguments)
        assert (ended.status, ended.out) == (2, "")
        assert message in ended.err


@pytest.mark.parametrize(
    ("kind", "bank", "told"),
    [
        ("max", False, "max (Eq. 8)"),
        ("sum", False, "sum (Eq. 7)"),
        ("mean", False, "mean (Eq. 8 / words)"),
        ("mean", True, "mean (Eq. 8 / words), less the hubness of both"),
    ],
)
def test_the_pack_names_the_score(
    bare: Command, captioned: Path, tmp_path: Path, kind: str, bank: bool, told: str
) -> None:
    write_tiny_pack(tmp_path / "pack", score=kind, bank=bank)
    (found,) = bare(
        "evaluate", "retrieval", captioned, "--pack", tmp_path / "pack", "--json"
    ).json()
    assert found["signature"]["score"] == told
    assert found["signature"]["ties"] == "count against the system"
    dataset = read_dataset(captioned, "test")
    captions = [caption for photo in dataset.photos for caption in photo.captions]
    scores = regiontalk.load(tmp_path / "pack").score(dataset.files, captions)
    expected = retrieval(scores, np.repeat(np.arange(10), 2))
    for way in ("image_to_text", "text_to_image"):
        assert found[way] == pytest.approx(asdict(expected)[way], abs=1e-3)


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
def test_a_folder_that_is_no_dataset(
    command: Command, captioned: Path, tmp_path: Path, what: str
) -> None:
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
