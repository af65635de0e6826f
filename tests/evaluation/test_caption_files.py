"""Files of predictions and references: each form, and everything that can be wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regiontalk.errors import DataError
from regiontalk.evaluation.caption_files import captions_file, match, read_predictions, read_references

TRUTHS = {"a.jpg": ["A dog.", "The dog runs"], "b.jpg": ["A cat, asleep"]}


def put(file: Path, content: Any) -> Path:
    """A file with this text, with JSON, or with a line of JSON for each entry."""
    if file.suffix == ".jsonl":
        content = "".join(json.dumps(each) + "\n" for each in content)
    elif file.suffix == ".json":
        content = json.dumps(content)
    file.write_text(content)
    return file


CSV = 'image,caption\na.jpg,A dog.\nb.jpg,"A cat, asleep"\na.jpg,The dog runs\n'
COCO = {
    "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
    "annotations": [
        {"image_id": 7, "id": 1, "caption": "A dog."},
        {"image_id": 8, "id": 2, "caption": "A cat, asleep"},
        {"image_id": 7, "id": 3, "caption": "The dog runs"},
    ],
}
KARPATHY = {
    "dataset": "coco",
    "images": [
        {"filename": "a.jpg", "cocoid": 7, "split": "test", "sentences": [{"raw": "A dog."}, {"raw": "The dog runs"}]},
        {"filename": "b.jpg", "cocoid": 8, "split": "test", "sentences": [{"raw": "A cat, asleep"}]},
        {"filename": "c.jpg", "cocoid": 9, "split": "val", "sentences": [{"raw": "A bird"}]},
    ],
}
ENTRIES = [
    {"image": "a.jpg", "caption": "A dog."},
    {"file_name": "b.jpg", "captions": ["A cat, asleep"]},
    {"image": "a.jpg", "text": "The dog runs"},
]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("captions.csv", CSV),
        ("plain.json", TRUTHS),
        ("entries.json", ENTRIES),
        ("entries.jsonl", ENTRIES),
        ("dataset_coco.json", KARPATHY),
    ],
)
def test_forms_of_references(tmp_path: Path, name: str, content: Any) -> None:
    assert read_references(put(tmp_path / name, content)).captions == TRUTHS


def test_coco_captions_go_by_number_and_by_name(tmp_path: Path) -> None:
    references = put(tmp_path / "captions.json", COCO)
    assert read_references(references).captions == {"7": TRUTHS["a.jpg"], "8": TRUTHS["b.jpg"]}
    for names in ([7, 8], ["7", "8"], ["a.jpg", "b.jpg"]):
        predictions = [{"image_id": name, "caption": text} for name, text in zip(names, ("x", "y"), strict=True)]
        found = match(put(tmp_path / "p.json", predictions), references)
        assert (found.images, found.candidates) == (["7", "8"], ["x", "y"])


def test_karpathy_goes_by_name_and_by_number_and_has_splits(tmp_path: Path) -> None:
    references = put(tmp_path / "dataset.json", KARPATHY)
    predictions = put(tmp_path / "p.json", [{"image_id": 9, "caption": "x"}])
    for split in ("val", "dev"):
        found = match(predictions, references, split=split)
        assert (found.images, found.references, found.split) == (["c.jpg"], [["A bird"]], split)
    assert list(read_references(references, "all").captions) == ["a.jpg", "b.jpg", "c.jpg"]
    assert list(read_references(references, "val+test").captions) == ["a.jpg", "b.jpg", "c.jpg"]
    with pytest.raises(DataError, match="has no split 'train'; splits found: test, val"):
        read_references(references, "train")


def test_a_folder_with_lists(tmp_path: Path) -> None:
    put(tmp_path / "captions.csv", CSV + "c.jpg,A bird\n")
    put(tmp_path / "test.txt", "b.jpg\na.jpg\n")
    put(tmp_path / "train.txt", "c.jpg\nd.jpg\n")
    found = read_references(tmp_path)
    assert list(found.captions.items()) == [("b.jpg", TRUTHS["b.jpg"]), ("a.jpg", TRUTHS["a.jpg"])]
    assert found.split == "test"
    assert list(read_references(tmp_path, "all").captions) == ["a.jpg", "b.jpg", "c.jpg"]
    with pytest.raises(DataError, match=r"has no dev.txt for --split dev; splits found: train, test"):
        read_references(tmp_path, "dev")
    with pytest.raises(DataError, match=r"photos without a caption: 1 \('d.jpg'\)"):
        read_references(tmp_path, "train")
    assert captions_file(tmp_path) == tmp_path / "captions.csv"


def test_a_folder_with_stated_splits(tmp_path: Path) -> None:
    put(tmp_path / "metadata.jsonl", [{"file_name": "a.jpg", "text": "A dog", "split": "test"}, ENTRIES[1]])
    assert read_references(tmp_path).captions == {"a.jpg": ["A dog"]}
    assert read_references(tmp_path, "train").captions == {"b.jpg": TRUTHS["b.jpg"]}


def test_without_stated_splits_a_file_is_taken_whole(tmp_path: Path) -> None:
    found = read_references(put(tmp_path / "captions.csv", CSV), "anything")
    assert (found.captions, found.split) == (TRUTHS, None)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "photo,text\na,b\n", "must name the columns image,caption"),
        ("x.csv", "image,caption\n", "holds no caption"),
        ("x.csv", "image,caption\na.jpg, \n", r"empty caption: 1 \('a.jpg'\)"),
        ("x.csv", "image,caption,split\na.jpg,A,test\na.jpg,B,train\n", r"in two splits: 1 \('a.jpg'\)"),
        ("x.json", {"a": "A dog"}, "expected Karpathy's splits"),
        ("x.json", 5, "found 5"),
        ("x.json", {"a.jpg": []}, r"without a caption: 1 \('a.jpg'\)"),
        ("x.json", [{"image": "a.jpg", "caption": 5}], 'entry 1: expected "caption", a text'),
        ("x.json", [{"caption": "A dog"}], 'entry 1: expected "image"'),
        ("x.json", {"images": [{"id": 1}], "annotations": []}, r"without a caption: 1 \('1'\)"),
        ("x.json", {"images": [{"id": 1}, {"id": 1}], "annotations": []}, "listed twice: 1"),
        ("x.json", {"images": [{"id": 1}], "annotations": [{"image_id": 2, "caption": "A"}]}, "not in its images: 1"),
        ("x.json", {"images": [{"id": 1}], "annotations": [{"caption": "A"}]}, 'annotation 0: expected "image_id"'),
        ("x.json", {"images": [{"filename": "a"}]}, 'image 0: expected "split"'),
        ("x.jsonl", ["text"], 'line 1: expected "image"'),
    ],
)
def test_damaged_references(tmp_path: Path, name: str, content: Any, message: str) -> None:
    file = put(tmp_path / name, content)
    with pytest.raises(DataError, match=message) as raised:
        read_references(file)
    assert str(file) in str(raised.value)


def test_a_folder_without_captions(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected metadata.jsonl or captions.csv"):
        read_references(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.json", [{"image_id": "a.jpg", "caption": "x"}, {"image_id": "b.jpg", "caption": "y"}]),
        ("p.jsonl", [{"image": "a.jpg", "caption": "x"}, {"image": "b.jpg", "caption": "y"}]),
        ("p.txt", "x\ny\n"),
        ("p.txt", "x\ny"),
    ],
)
def test_forms_of_predictions(tmp_path: Path, name: str, content: Any) -> None:
    assert read_predictions(put(tmp_path / name, content), ["a.jpg", "b.jpg"]) == [("a.jpg", "x"), ("b.jpg", "y")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.json", {"a.jpg": "x"}, "expected a list"),
        ("p.json", ["x"], "entry 1: expected"),
        ("p.json", [{"image_id": True, "caption": "x"}], "entry 1: expected"),
        ("p.jsonl", [{"image": "a.jpg", "caption": None}], 'line 1: expected "caption"'),
        ("p.txt", "x\n", "plain text does not say which photos it is about; name them with --images LIST"),
    ],
)
def test_damaged_predictions(tmp_path: Path, name: str, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_predictions(put(tmp_path / name, content))


def test_plain_text_must_fit_the_list(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="3 lines, but the list names 2 photos"):
        read_predictions(put(tmp_path / "p.txt", "x\n\ny\n"), ["a.jpg", "b.jpg"])


def test_what_does_not_fit_is_named_and_counted(tmp_path: Path) -> None:
    references = put(tmp_path / "r.json", {**TRUTHS, "c.jpg": ["A bird"], "d.jpg": ["A fish"]})
    entries = [{"image": name, "caption": "x"} for name in ("a.jpg", "a.jpg", "z.jpg", "b.jpg")]
    with pytest.raises(DataError) as raised:
        match(put(tmp_path / "p.jsonl", entries), references)
    for part in (
        "photos with two predictions: 1 ('a.jpg')",
        f"predictions of photos that {references} does not have: 1 ('z.jpg')",
        "photos without a prediction: 2 ('c.jpg', 'd.jpg')",
    ):
        assert part in str(raised.value)


def test_a_list_chooses_and_orders(tmp_path: Path) -> None:
    references = put(tmp_path / "r.json", {**TRUTHS, "c.jpg": ["A bird"]})
    entries = [{"image": name, "caption": name} for name in ("a.jpg", "b.jpg")]
    predictions = put(tmp_path / "p.jsonl", entries)
    images = put(tmp_path / "images.txt", "b.jpg\na.jpg\n")
    found = match(predictions, references, images)
    assert (found.images, found.candidates) == (["b.jpg", "a.jpg"], ["b.jpg", "a.jpg"])
    assert found.references == [TRUTHS["b.jpg"], TRUTHS["a.jpg"]]

    with pytest.raises(DataError, match=r"predictions of photos that are not listed: 1 \('a.jpg'\)"):
        match(predictions, references, put(images, "b.jpg\n"))
    with pytest.raises(DataError, match=r"photos listed twice: 1 \('b.jpg'\)"):
        match(predictions, references, put(images, "b.jpg\nb.jpg\na.jpg\n"))
    with pytest.raises(DataError, match=r"does not have: 1 \('x.jpg'\)"):
        match(predictions, references, put(images, "b.jpg\na.jpg\nx.jpg\n"))
    with pytest.raises(DataError, match="names no photo"):
        match(predictions, references, put(images, "\n"))


@pytest.mark.parametrize(
    ("name", "content"),
    [("CAPTIONS.CSV", CSV), ("plain.JSON", json.dumps(TRUTHS)), ("entries.JSONL", "\n".join(map(json.dumps, ENTRIES)))],
)
def test_suffixes_in_capitals(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert read_references(tmp_path / name).captions.keys() == TRUTHS.keys()


@pytest.mark.parametrize("name", ["results.JSON", "results.JsonL"])
def test_predictions_with_suffixes_in_capitals(tmp_path: Path, name: str) -> None:
    entry = json.dumps({"image_id": "a.jpg", "caption": "a dog"})
    (tmp_path / name).write_text(f"[{entry}]" if name.endswith("N") else f"{entry}\n")
    assert read_predictions(tmp_path / name) == [("a.jpg", "a dog")]


def test_cases_of_capital_suffixes(case: Callable[[str], Path]) -> None:
    assert len(read_predictions(case("capital_suffix/results.JSON"))) == 2
