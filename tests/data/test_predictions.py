"""Files of predictions and references: each form, and everything that can be wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regiontalk.data.predictions import match, read_predictions, read_references
from regiontalk.errors import DataError

from ..caption_forms import COCO, CSV, ENTRIES, FORMS, PREDICTED, PREDICTIONS, TRUTHS


def put(file: Path, content: Any) -> Path:
    """A file with this text, with JSON, or with a line of JSON for each entry."""
    if file.suffix == ".jsonl":
        content = "".join(json.dumps(each) + "\n" for each in content)
    elif file.suffix == ".json":
        content = json.dumps(content)
    file.write_text(content)
    return file


KARPATHY = {
    "dataset": "coco",
    "images": [
        {
            "filename": "a.jpg",
            "cocoid": 7,
            "split": "test",
            "sentences": [{"raw": "A dog."}, {"raw": "The dog runs"}],
        },
        {
            "filename": "b.jpg",
            "cocoid": 8,
            "split": "test",
            "sentences": [{"raw": "A cat, asleep"}],
        },
        {"filename": "c.jpg", "cocoid": 9, "split": "val", "sentences": [{"raw": "A bird"}]},
    ],
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_references(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FORMS[name], newline="")
    assert read_references(tmp_path / name, "all").captions == TRUTHS


@pytest.mark.parametrize("name", PREDICTIONS)
def test_every_form_of_predictions(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(PREDICTIONS[name])
    assert dict(read_predictions(tmp_path / name)) == PREDICTED


def test_coco_captions_go_by_number_and_by_name(tmp_path: Path) -> None:
    references = put(tmp_path / "captions.json", COCO)
    assert read_references(references).captions == TRUTHS
    for names in ([7, 8], ["7", "8"], ["a.jpg", "b.jpg"]):
        predictions = [
            {"image_id": name, "caption": text}
            for name, text in zip(names, ("x", "y"), strict=True)
        ]
        found = match(put(tmp_path / "p.json", predictions), references)
        assert (found.images, found.candidates) == (["a.jpg", "b.jpg"], ["x", "y"])


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
    with pytest.raises(
        DataError, match=r"has no dev.txt for --split dev; splits found: train, test"
    ):
        read_references(tmp_path, "dev")
    with pytest.raises(DataError, match=r"photos without a caption: 1 \('d.jpg'\)"):
        read_references(tmp_path, "train")


def test_a_folder_with_stated_splits(tmp_path: Path) -> None:
    put(
        tmp_path / "metadata.jsonl",
        [{"file_name": "a.jpg", "text": "A dog", "split": "test"}, ENTRIES[1]],
    )
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
        (
            "x.csv",
            "image,caption,split\na.jpg,A,test\na.jpg,B,train\n",
            r"in two splits: 1 \('a.jpg'\)",
        ),
        ("x.json", {"a": "A dog"}, "expected Karpathy's splits"),
        ("x.json", 5, "found 5"),
        ("x.json", {"a.jpg": []}, r"without a caption: 1 \('a.jpg'\)"),
        ("x.json", [{"image": "a.jpg", "caption": 5}], 'entry 1: expected "caption", a text'),
        ("x.json", [{"caption": "A dog"}], 'entry 1: expected "image"'),
        ("x.json", {"images": [{"id": 1}], "annotations": []}, r"without a caption: 1 \('1'\)"),
        ("x.json", {"images": [{"id": 1}, {"id": 1}], "annotations": []}, "listed twice: 1"),
        (
            "x.json",
            {"images": [{"id": 1}], "annotations": [{"image_id": 2, "caption": "A"}]},
            "captions without a photo: 1",
        ),
        (
            "x.json",
            {"images": [{"id": 1}], "annotations": [{"caption": "A"}]},
            'annotation 0: expected "image_id"',
        ),
        (
            "x.json",
            {"images": [{"filename": "a"}]},
            "image 0: expected filename, split and sentences",
        ),
        ("x.jsonl", ["text"], 'line 1: expected "image"'),
    ],
)
def test_damaged_references(tmp_path: Path, name: str, content: Any, message: str) -> None:
    file = put(tmp_path / name, content)
    with pytest.raises(DataError, match=message) as raised:
        read_references(file)
    assert str(file) in str(raised.value)


def test_a_folder_without_captions(tmp_path: Path) -> None:
    with pytest.raises(
        DataError,
        match=r"expected one file of captions \(metadata.jsonl, metadata.csv, "
        r"captions.csv\).*found none",
    ):
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
    assert read_predictions(put(tmp_path / name, content), ["a.jpg", "b.jpg"]) == [
        ("a.jpg", "x"),
        ("b.jpg", "y"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.json", {"a.jpg": "x"}, "a list or JSON Lines of"),
        ("p.json", ["x"], "entry 1: expected"),
        ("p.json", [{"image_id": True, "caption": "x"}], "entry 1: expected"),
        ("p.jsonl", [{"image": "a.jpg", "caption": None}], 'line 1: expected "caption"'),
        (
            "p.txt",
            "x\n",
            "plain text does not say which photos it is about; name them with --images LIST",
        ),
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

    with pytest.raises(
        DataError, match=r"predictions of photos that are not listed: 1 \('a.jpg'\)"
    ):
        match(predictions, references, put(images, "b.jpg\n"))
    with pytest.raises(DataError, match=r"photos listed twice: 1 \('b.jpg'\)"):
        match(predictions, references, put(images, "b.jpg\nb.jpg\na.jpg\n"))
    with pytest.raises(DataError, match=r"does not have: 1 \('x.jpg'\)"):
        match(predictions, references, put(images, "b.jpg\na.jpg\nx.jpg\n"))
    with pytest.raises(DataError, match="names no photo"):
        match(predictions, references, put(images, "\n"))


@pytest.mark.parametrize("name", ["results.JSON", "results.JsonL"])
def test_predictions_with_suffixes_in_capitals(tmp_path: Path, name: str) -> None:
    entry = json.dumps({"image_id": "a.jpg", "caption": "a dog"})
    (tmp_path / name).write_text(f"[{entry}]" if name.endswith("N") else f"{entry}\n")
    assert read_predictions(tmp_path / name) == [("a.jpg", "a dog")]


def test_cases_of_capital_suffixes(case: Callable[[str], Path]) -> None:
    assert len(read_predictions(case("capital_suffix/results.JSON"))) == 2


def test_cases_of_karpathy_paths(case: Callable[[str], Path]) -> None:
    predictions = case("karpathy_paths/pk2.json")
    for references in ("dataset_coco.json", "samename.json"):
        found = match(predictions, case(f"karpathy_paths/{references}"))
        assert (found.images, found.candidates, found.references) == (
            ["val2014/a.jpg"],
            ["a cup"],
            [["A cup."]],
        )


def test_cases_of_the_round_trip(case: Callable[[str], Path], tmp_path: Path) -> None:
    folder = case("round_trip")
    described = put(
        tmp_path / "p.jsonl", [{"file": str(folder / "a.jpg"), "caption": {"text": "a cat"}}]
    )
    assert match(described, folder / "captions.csv").candidates == ["a cat"]
    assert match(described, folder).images == ["a.jpg"]


SAME_NAME = {"x/a.jpg": ["In x"], "y/a.jpg": ["In y"], "x/b.jpg": ["Also in x"]}


def predictions_of(tmp_path: Path, *names: str) -> Path:
    return put(
        tmp_path / "p.jsonl", [{"file": name, "caption": {"text": f"of {name}"}} for name in names]
    )


def test_photos_of_one_bare_name_are_told_apart(tmp_path: Path) -> None:
    references = put(tmp_path / "r.json", SAME_NAME)
    found = match(predictions_of(tmp_path, "y/a.jpg", "b.jpg", "x/a.jpg"), references)
    assert dict(zip(found.images, found.candidates, strict=True)) == {
        "x/a.jpg": "of x/a.jpg",
        "y/a.jpg": "of y/a.jpg",
        "x/b.jpg": "of b.jpg",
    }
    with pytest.raises(
        DataError, match=rf"names that fit several photos of {references}: 1 \('a.jpg'\)"
    ):
        match(predictions_of(tmp_path, "a.jpg", "y/a.jpg", "b.jpg"), references)
    with pytest.raises(DataError, match=r"two predictions: 1 \('x/b.jpg'\)"):
        match(predictions_of(tmp_path, "x/b.jpg", "b.jpg"), references)
    with pytest.raises(DataError, match=r"names that fit several photos"):
        match(
            predictions_of(tmp_path, "b.jpg"),
            references,
            put(tmp_path / "images.txt", "b.jpg\na.jpg\n"),
        )


def test_a_bare_name_counts_photos_of_every_split(tmp_path: Path) -> None:
    images = [
        {"filename": "a.jpg", "filepath": folder, "split": split, "sentences": [{"raw": "A dog"}]}
        for folder, split in (("x", "test"), ("y", "train"))
    ]
    references = put(tmp_path / "dataset.json", {"images": images})
    assert match(predictions_of(tmp_path, "x/a.jpg"), references).images == ["x/a.jpg"]
    with pytest.raises(DataError, match=r"several photos .*: 1 \('a.jpg'\)"):
        match(predictions_of(tmp_path, "a.jpg"), references)
    with pytest.raises(DataError, match=r"does not have: 1 \('y/a.jpg'\)"):
        match(predictions_of(tmp_path, "y/a.jpg"), references)


def test_folders_in_a_path_decide_between_photos_of_one_name(tmp_path: Path) -> None:
    references = put(
        tmp_path / "r.json", {**SAME_NAME, "a.jpg": ["In none"], "z/y/a.jpg": ["In both"]}
    )
    paths = {
        "/elsewhere/x/a.jpg": "x/a.jpg",
        "elsewhere/./y/a.jpg": "y/a.jpg",
        "../z/y/a.jpg": "z/y/a.jpg",
        "a.jpg": "a.jpg",
        "/elsewhere/b.jpg": "x/b.jpg",
    }
    found = match(predictions_of(tmp_path, *paths), references)
    assert dict(zip(found.images, found.candidates, strict=True)) == {
        name: f"of {path}" for path, name in paths.items()
    }
    with pytest.raises(DataError, match=r"several photos .*: 1 \('/xx/a.jpg'\)"):
        match(predictions_of(tmp_path, "/xx/a.jpg"), references)


@pytest.mark.parametrize("photos", [".", "images"])
def test_paths_into_the_folder_of_the_references(
    tmp_path: Path, photos: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    references = put(tmp_path / "r.json", SAME_NAME)
    there = tmp_path / photos
    absolute = [str(there / name) for name in SAME_NAME]
    assert match(predictions_of(tmp_path, *absolute), references).images == list(SAME_NAME)
    monkeypatch.chdir(tmp_path.parent)
    relative = [f"./{tmp_path.name}/{photos}/{name}" for name in SAME_NAME]
    assert match(predictions_of(tmp_path, *relative), references).images == list(SAME_NAME)
    (tmp_path / "p").mkdir()
    monkeypatch.chdir(tmp_path / "p")
    assert match(
        predictions_of(tmp_path, *(f"../{photos}/{n}" for n in SAME_NAME)), references
    ).images == list(SAME_NAME)


@pytest.mark.parametrize("name", ["", "/", "..", "\0", "a" * 5000, "\ud800"])
def test_odd_names_are_no_photos(tmp_path: Path, name: str) -> None:
    references = put(tmp_path / "r.json", {"a.jpg": ["A dog"]})
    with pytest.raises(DataError, match="does not have: 1"):
        match(predictions_of(tmp_path, name), references)


def test_folders_that_are_splits(tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        (tmp_path / split).mkdir()
        put(tmp_path / split / "metadata.csv", f"file_name,text\na.jpg,In {split}\n")
    assert read_references(tmp_path).captions == {"test/a.jpg": ["In test"]}
    assert read_references(tmp_path, "dev").captions == {"validation/a.jpg": ["In validation"]}
    assert len(read_references(tmp_path, "all").captions) == 3
    assert match(predictions_of(tmp_path, str(tmp_path / "test" / "a.jpg")), tmp_path).images == [
        "test/a.jpg"
    ]
