"""`regiontalk evaluate captions`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import regiontalk
from regiontalk.evaluation.captions.metric import NAMES, caption_scores
from regiontalk.evaluation.captions.ptb import ptb_tokenise
from regiontalk.language import tokenise

from .conftest import needs_meteor

Command = Callable[..., Any]

DATA = Path(os.environ.get("REGIONTALK_DATA") or Path(__file__).parents[3] / "shared" / "data")
GOLD = DATA / "gold" / "flickr8k"
CAPTIONS = DATA / "flickr8k" / "captions.csv"

needs_gold = [
    pytest.mark.data,
    pytest.mark.skipif(
        not (GOLD.is_dir() and CAPTIONS.is_file()),
        reason="needs gold/flickr8k and flickr8k/captions.csv below ../shared/data or "
        "$REGIONTALK_DATA",
    ),
]

PHOTOS = ("a.jpg", "b.jpg", "c.jpg")
WRITTEN = ("A dog's ball", "a man rides a bike", "two people can't swim")
TRUTHS = (
    ("The dog's red ball.", "A dog plays with a ball"),
    ("A man rides a bicycle .", "a t-shirt, a man, a bike"),
    ("Two people cannot swim", "People in water"),
)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Predictions and references."""
    predictions, references = tmp_path / "p.jsonl", tmp_path / "r.json"
    lines = [
        json.dumps({"image": name, "caption": text})
        for name, text in zip(PHOTOS, WRITTEN, strict=True)
    ]
    predictions.write_text("\n".join(lines) + "\n")
    references.write_text(json.dumps(dict(zip(PHOTOS, TRUTHS, strict=True))))
    return predictions, references


def expected(split_words: Callable[[str], list[str]]) -> dict[str, float]:
    truths = [[split_words(text) for text in texts] for texts in TRUTHS]
    return caption_scores([split_words(text) for text in WRITTEN], truths).by_name()


@pytest.mark.parametrize(
    ("flags", "split_words"), [((), ptb_tokenise), (("--tokenise", "plain"), tokenise)]
)
def test_numbers(
    bare: Command, files: tuple[Path, Path], flags: tuple[str, ...], split_words: Any
) -> None:
    ended = bare("evaluate", "captions", *files, *flags, "--json")
    assert ended.status == 0
    (found,) = ended.json()
    assert list(found) == [*NAMES, "signature"]
    assert {name: found[name] for name in NAMES} == pytest.approx(expected(split_words), abs=1e-4)


def test_the_signature(bare: Command, files: tuple[Path, Path]) -> None:
    (found,) = bare("evaluate", "captions", *files, "--json").json()
    signature = found["signature"]
    assert signature["regiontalk"] == regiontalk.__version__
    for key, file in zip(("predictions", "references"), files, strict=True):
        assert signature[key] == file.name
        assert signature[f"{key}_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (signature["photos"], signature["captions"], signature["captions_per_photo"]) == (
        3,
        6,
        "2",
    )
    assert signature["tokeniser"].startswith("ptb: Penn Treebank")
    assert signature["document_frequencies"] == "of the references"
    assert signature["split"] == "none: taken whole"
    assert "CIDEr-D" in signature["cider"]


def test_every_form_has_the_same_numbers(
    bare: Command, files: tuple[Path, Path], tmp_path: Path
) -> None:
    predictions, references = files
    (first,) = bare("evaluate", "captions", *files, "--json").json()
    images, text = tmp_path / "images.txt", tmp_path / "p.txt"
    images.write_text("\n".join(PHOTOS))
    text.write_text("\n".join(WRITTEN))
    results, coco, table = tmp_path / "p.json", tmp_path / "coco.json", tmp_path / "captions.csv"
    results.write_text(
        json.dumps([{"image_id": n, "caption": text} for n, text in enumerate(WRITTEN)])
    )
    notes = [{"image_id": n, "caption": text} for n, texts in enumerate(TRUTHS) for text in texts]
    coco.write_text(json.dumps({"images": [{"id": n} for n in range(3)], "annotations": notes}))
    rows = [
        f'{name},"{text}"' for name, texts in zip(PHOTOS, TRUTHS, strict=True) for text in texts
    ]
    table.write_text("\n".join(["image,caption", *rows]))
    for arguments in (
        (text, references, "--images", images),
        (results, coco),
        (predictions, table),
        (predictions, tmp_path),  # the folder of captions.csv
    ):
        (found,) = bare("evaluate", "captions", *arguments, "--json").json()
        assert {name: found[name] for name in NAMES} == {name: first[name] for name in NAMES}


def test_what_describe_prints_is_scored(
    command: Command, bare: Command, photos: Path, tmp_path: Path
) -> None:
    names = ("a.jpg", "b.png", "more/c.jpg")
    (photos / "captions.csv").write_text(
        "image,caption\n" + "".join(f"{name},a red dog\n" for name in names)
    )
    described = command("describe", photos, "--json")
    lines, plain = tmp_path / "described.jsonl", tmp_path / "plain.jsonl"
    lines.write_text(described.out)
    texts = [found["caption"]["text"] for found in described.json()]
    plain.write_text(
        "".join(
            json.dumps({"image": n, "caption": t}) + "\n" for n, t in zip(names, texts, strict=True)
        )
    )
    (expected,) = bare("evaluate", "captions", plain, photos, "--json").json()
    for references in (photos, photos / "captions.csv"):
        ended = bare("evaluate", "captions", lines, references, "--json")
        assert ended.status == 0
        (found,) = ended.json()
        assert {name: found[name] for name in NAMES} == {name: expected[name] for name in NAMES}


def test_the_signature_of_folders_that_are_splits(
    bare: Command, files: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "splits"
    for split in ("train", "test"):
        (folder / split).mkdir(parents=True)
        rows = [
            f'{name},"{text}"' for name, texts in zip(PHOTOS, TRUTHS, strict=True) for text in texts
        ]
        (folder / split / "metadata.csv").write_text("\n".join(["file_name,text", *rows]))
    predictions = tmp_path / "in_splits.jsonl"
    predictions.write_text(files[0].read_text().replace('"image": "', '"image": "test/'))
    (first,) = bare("evaluate", "captions", predictions, folder, "--json").json()
    assert first["signature"]["split"] == "test"
    with (folder / "train" / "metadata.csv").open("a") as stream:
        stream.write("\nd.jpg,A bird\n")
    (second,) = bare("evaluate", "captions", predictions, folder, "--json").json()
    assert second["signature"]["references_sha256"] != first["signature"]["references_sha256"]
    target = folder / "test" / "metadata.csv"
    ended = bare("evaluate", "captions", predictions, folder, "--per-caption", target)
    assert ended.status == 2 and f"--per-caption would replace {target}, which is read" in ended.err


def test_text(bare: Command, files: tuple[Path, Path]) -> None:
    ended = bare("evaluate", "captions", *files)
    assert ended.status == 0
    for part in ("BLEU-4", "ROUGE-L", "CIDEr-D", "photos: 3", "predictions: p.jsonl"):
        assert part in ended.out
    assert "note: CIDEr means little: frequencies come from the captions of 3 photos" in ended.err


def test_each_caption(bare: Command, files: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "each.jsonl"
    (found,) = bare("evaluate", "captions", *files, "--per-caption", out, "--json").json()
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(row["image"], row["caption"]) for row in rows] == list(
        zip(PHOTOS, WRITTEN, strict=True)
    )
    for name in ("rouge_l", "cider_d"):
        assert sum(row[name] for row in rows) / 3 == pytest.approx(found[name], abs=1e-3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["each.jsonl", "p.jsonl", "r.json"]


def test_each_caption_where_it_cannot_be_written_is_refused_before_the_work(
    bare: Command, files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "captions.csv").write_text("image,caption\n")
    (folder / "test.txt").write_text("a.jpg\n")
    frequencies = ("--frequencies", folder)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    # It is not come to
    monkeypatch.setattr("regiontalk.evaluation.captions.files.evaluate_caption_files", None)
    wrong: list[tuple[object, str]] = [
        (tmp_path / "no" / "each.jsonl", "cannot be written (No such file or directory)"),
        (folder, "cannot be written (Is a directory)"),
        (".", "cannot be written (Is a directory)"),
        ("", "--per-caption: an empty name"),
        *((path, f"--per-caption would replace {path}, which is read") for path in before),
    ]
    for target, message in wrong:
        ended = bare(
            "evaluate", "captions", *files, *frequencies, "--per-caption", target, "--json"
        )
        assert (ended.status, ended.out) == (2, "")
        assert message in ended.err
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_numbers_are_printed_before_each_caption_is_written(
    bare: Command, files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    ended = bare("evaluate", "captions", *files, "--per-caption", tmp_path / "each.jsonl", "--json")
    assert (ended.status, len(ended.json())) == (2, 1)
    assert "each.jsonl: cannot be written (No space left on device)" in ended.err


def test_intervals(bare: Command, files: tuple[Path, Path]) -> None:
    (found,) = bare(
        "evaluate", "captions", *files, "--bootstrap", 100, "--seed", 3, "--json"
    ).json()
    assert list(found) == [*NAMES, "interval", "signature"]
    for name in NAMES:
        low, high = found["interval"][name]
        assert low - 1e-3 <= found[name] <= high + 1e-3
    assert "100 bootstrap samples of photos, seed 3" in found["signature"]["interval"]
    assert bare(
        "evaluate", "captions", *files, "--bootstrap", 100, "--seed", 3, "--json"
    ).json() == [found]
    assert "BLEU-1" in bare("evaluate", "captions", *files, "--bootstrap", 100).out


def test_one_caption_with_frozen_frequencies(
    bare: Command, files: tuple[Path, Path], tmp_path: Path
) -> None:
    whole = tmp_path / "each.jsonl"
    bare("evaluate", "captions", *files, "--per-caption", whole)
    one, images = tmp_path / "one.txt", tmp_path / "one_image.txt"
    one.write_text(WRITTEN[1])
    images.write_text(PHOTOS[1])
    alone = bare("evaluate", "captions", one, files[1], "--images", images, "--json")
    assert alone.json()[0]["cider"] == 0
    assert "note: CIDEr is 0" in alone.err
    (frozen,) = bare(
        "evaluate",
        "captions",
        one,
        files[1],
        "--images",
        images,
        "--frequencies",
        files[1],
        "--json",
    ).json()
    assert frozen["cider"] == json.loads(whole.read_text().splitlines()[1])["cider"] > 0
    assert frozen["signature"]["document_frequencies"] == "of 3 photos of r.json"
    assert len(frozen["signature"]["document_frequencies_sha256"]) == 64


def test_what_does_not_fit_is_named(
    bare: Command, files: tuple[Path, Path], tmp_path: Path
) -> None:
    predictions, references = files
    predictions.write_text(
        '{"image": "a.jpg", "caption": "x"}\n{"image": "z.jpg", "caption": "x"}\n'
    )
    ended = bare("evaluate", "captions", *files, "--json")
    assert (ended.status, ended.out) == (2, "")
    assert "does not have: 1 ('z.jpg')" in ended.err
    assert "photos without a prediction: 2 ('b.jpg', 'c.jpg')" in ended.err

    references.write_text(json.dumps({"a.jpg": ["A dog", "..."], "z.jpg": ["A cat"]}))
    ended = bare("evaluate", "captions", *files, "--json")
    assert (ended.status, ended.out) == (2, "")
    assert "photos with a caption that holds no word: 1 ('a.jpg')" in ended.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--tokenise", "moses"), "--tokenise moses: expected ptb or plain"),
        (("--metrics", "bertscore"), "--metrics bertscore: expected meteor or spice"),
        (("--metrics", ""), "--metrics : expected"),
        (("--images", ""), "--images: an empty name"),
        (("--images", "missing.txt"), "missing.txt: no such file"),
        (
            ("--frequencies-split", "train"),
            "--frequencies-split: does not apply without --frequencies",
        ),
        (("--seed", "0"), "--seed: does not apply without --bootstrap"),
        (("--frequencies", "missing.json"), "missing.json: no such file"),
    ],
)
def test_wrong_flags(
    bare: Command, files: tuple[Path, Path], flags: tuple[str, ...], message: str
) -> None:
    ended = bare("evaluate", "captions", *files, *flags, "--json")
    assert (ended.status, ended.out) == (2, "")
    assert message in ended.err


@pytest.mark.parametrize("metric", ["meteor", "spice"])
def test_without_java_it_says_what_to_install(
    bare: Command,
    files: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    metric: str,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = bare("evaluate", "captions", *files, "--metrics", metric, "--json")
    assert (ended.status, ended.out) == (2, "")
    assert f"--metrics {metric}: Java" in ended.err
    assert "regiontalk[metrics-java]" in ended.err


@needs_meteor
def test_meteor(bare: Command, files: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "each.jsonl"
    ended = bare(
        "evaluate", "captions", *files, "--metrics", "meteor", "--per-caption", out, "--json"
    )
    assert ended.status == 0
    (found,) = ended.json()
    assert 0 < found["meteor"] < 100
    assert "1.5, Java" in found["signature"]["meteor"]
    assert all(0 < json.loads(line)["meteor"] < 100 for line in out.read_text().splitlines())


def test_captions_that_were_split_apart_are_noted(bare: Command, files: tuple[Path, Path]) -> None:
    predictions, references = files
    lines = [
        {"image": name, "caption": " ".join(tokenise(text))}
        for name, text in zip(PHOTOS, WRITTEN, strict=True)
    ]
    predictions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "Compare like with like: --tokenise plain" in bare("evaluate", "captions", *files).err
    assert "like with like" not in bare("evaluate", "captions", *files, "--tokenise", "plain").err
    assert references.is_file()


class TestGold:
    """Thirteen systems' captions of Flickr8k's test photos."""

    pytestmark = needs_gold

    @pytest.mark.parametrize(
        "system", [file.stem for file in sorted(GOLD.glob("*_[123].txt"))] or ["human_1"]
    )
    def test_published_scores(self, bare: Command, system: str) -> None:
        published = json.loads((GOLD / "published_scores.json").read_text())[system]
        arguments = (
            GOLD / f"{system}.txt",
            CAPTIONS,
            "--images",
            GOLD / "images.txt",
            "--tokenise",
            "plain",
            "--json",
        )
        (found,) = bare("evaluate", "captions", *arguments).json()
        names = {f"Bleu_{n}": f"bleu{n}" for n in range(1, 5)} | {
            "ROUGE_L": "rouge_l",
            "CIDEr": "cider",
        }
        for theirs, ours in names.items():
            # "&" and "#" in two of the 5,000 references are the difference:
            # docs/caption_metrics.md.
            assert found[ours] / 100 == pytest.approx(published[theirs], abs=1e-4)
