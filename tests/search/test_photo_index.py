"""The index from Python: what the command line finds, adds and removes, as typed objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import regiontalk
from regiontalk import (
    ConfigError,
    DataError,
    IndexChanges,
    Model,
    PhotoError,
    PhotoIndex,
    SentenceError,
    Where,
    open_index,
)
from regiontalk.search.index import Index

from ..end_to_end.conftest import random_photo
from ..tiny_pack import write_tiny_pack

SENTENCE = "a dog in the snow"


@pytest.fixture(scope="module")
def model(tiny_pack: Path) -> Model:
    return regiontalk.load(tiny_pack, threads=1)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with four photos, the last in a folder below."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for seed, name in enumerate(("a.jpg", "b.png", "c.png", "more/d.jpg")):
        random_photo(seed, (60 + 20 * seed, 48)).save(folder / name)
    return folder


@pytest.fixture
def index(tmp_path: Path, photos: Path, model: Model) -> Iterator[PhotoIndex]:
    with open_index(tmp_path / "photos.index", model) as opened:
        opened.add(photos)
        yield opened


def names(index: PhotoIndex) -> list[str]:
    return [Path(file).name for file in index]


def test_from_nothing(tmp_path: Path, photos: Path, model: Model) -> None:
    folder = tmp_path / "photos.index"
    index = open_index(folder, model)
    assert (len(index), list(index), folder.exists()) == (0, [], False)
    assert repr(index) == f"PhotoIndex({str(folder)!r}, photos=0)"
    for ask in (
        lambda: index.search(SENTENCE),
        lambda: index.boxes("a dog"),
        lambda: index.like(photos / "a.jpg"),
    ):
        with pytest.raises(
            DataError, match=r"expected an index, found none.*open_index\(DIR\)\.add\(PHOTOS\)"
        ):
            ask()
    changes = index.add(photos)
    assert changes == IndexChanges(4, 0, 0, 0, 0, 0, failures={}, gone=())
    assert repr(changes) == "IndexChanges(added=4)"
    assert names(index) == ["a.jpg", "b.png", "c.png", "d.jpg"]
    assert repr(index.add(photos)) == "IndexChanges(unchanged=4)"
    assert (len(index), len(open_index(folder, model))) == (4, 4)
    Index.open(folder).verify()


def test_photos_of_an_index(
    index: PhotoIndex, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(index) == [str(photos / name) for name in ("a.jpg", "b.png", "c.png", "more/d.jpg")]
    monkeypatch.chdir(photos)
    assert "a.jpg" in index and photos / "more" / "d.jpg" in index
    assert "d.jpg" not in index and 3 not in index


def test_search_is_scoring_and_aligning_each_photo(index: PhotoIndex, model: Model) -> None:
    files = list(index)
    scores = dict(zip(files, model.score(files, SENTENCE)[:, 0].tolist(), strict=True))
    found = index.search(SENTENCE, k=3)
    assert [each.file for each in found] == sorted(files, key=lambda file: -scores[file])[:3]
    assert [each.rank for each in found] == [1, 2, 3]
    for each in found:
        aligned = model.align(each.file, SENTENCE)
        assert each.score == pytest.approx(scores[each.file], rel=1e-4, abs=1e-4)
        assert [phrase.text for phrase in each.phrases] == [
            phrase.text for phrase in aligned.phrases
        ]
        assert [phrase.region for phrase in each.phrases] == [
            phrase.region for phrase in aligned.phrases
        ]
        assert each.alignment is not None and each.alignment.regions is each.regions
    (read,) = model.read(SENTENCE)
    assert [each.file for each in index.search(read, candidates=4)] == sorted(
        files, key=lambda file: -scores[file]
    )
    assert len(index.search(SENTENCE)) == 4


def test_results_are_typed_frozen_and_short(index: PhotoIndex) -> None:
    (found,) = index.search("dog", k=1)
    box = tuple(round(edge) for edge in found.phrases[0].box_xyxy)
    assert (
        repr(found) == f"FoundPhoto({found.file!r}, score={found.score:.2f}, phrases=['dog' {box}])"
    )
    with pytest.raises(FrozenInstanceError):
        found.score = 1.0  # type: ignore[misc]
    content = found.to_dict()
    assert json.loads(json.dumps(content)) == content == found.to_json()
    assert list(content) == [
        "rank",
        "file",
        "width",
        "height",
        "taken",
        "text",
        "score",
        "phrases",
        "text_words",
    ]
    (like,) = index.like(found.regions, k=1)
    assert (like.phrases, like.alignment) == ((), None)
    assert repr(like) == f"FoundPhoto({like.file!r}, score=1.00)"
    assert "phrases" not in like.to_dict()
    (boxed,) = index.boxes("dog", k=1)
    box = tuple(round(edge) for edge in boxed.box_xyxy)
    assert repr(boxed) == f"FoundBox({boxed.file!r}, score={boxed.score:.2f}, box={box})"
    assert list(boxed.to_dict()) == [
        "rank",
        "file",
        "width",
        "height",
        "taken",
        "text",
        "region",
        "box_xyxy",
        "score",
    ]


def test_boxes_are_found_by_the_sum_of_the_words(index: PhotoIndex, model: Model) -> None:
    (read,) = model.read("red ball")
    scores = {
        (regions.file, region): float(score)
        for regions in model.look(list(index))
        for region, score in enumerate(regions.vectors @ read.vectors.sum(axis=0))
    }
    best = sorted(scores.values(), reverse=True)
    every = index.boxes("red ball", k=6, once=False)
    np.testing.assert_allclose([each.score for each in every], best[:6], rtol=1e-4, atol=1e-4)
    for each in every:
        assert each.score == pytest.approx(scores[each.file, each.region], rel=1e-4, abs=1e-4)
        np.testing.assert_array_equal(each.box_xyxy, each.regions.boxes_xyxy[each.region])
    once = index.boxes("red ball")
    assert sorted(each.file for each in once) == sorted(index)
    assert once[0].score == every[0].score
    for each in once:
        own = max(score for (file, _), score in scores.items() if file == each.file)
        assert each.score == pytest.approx(own, rel=1e-4, abs=1e-4)


def test_like_takes_a_photo_in_every_form(index: PhotoIndex, photos: Path, model: Model) -> None:
    file = photos / "b.png"
    (looked,) = model.look(file)
    rows = np.append(np.arange(len(looked)), 1)
    more = replace(looked.select(rows), vectors=9 * looked.vectors[rows], extra=1)
    more.vectors[:-1] = looked.vectors  # only the last region, which is extra, differs
    for photo in (file, str(file), file.read_bytes(), random_photo(1, (80, 48)), looked, more):
        found = index.like(photo, k=4)
        assert (found[0].file, found[0].score) == (str(file), pytest.approx(1, abs=1e-3))
        assert len(found) == 4 and all(a.score >= b.score for a, b in pairwise(found))


def test_own_texts(index: PhotoIndex, photos: Path) -> None:
    """Photos that the index holds already get texts without being looked at.

    Names that no pack knows are found.
    """
    (photos / "alt.csv").write_text(
        'file,caption\na.jpg,Anna in Zürich\nmore/d.jpg,"a dog, Anna"\nx.jpg,nobody\n', "utf-8"
    )
    seen: list[int] = []
    changes = index.add(
        photos, captions=photos / "alt.csv", progress=lambda done, total: seen.append(total)
    )
    assert (changes.captioned, changes.unchanged, changes.other_names, seen) == (
        2,
        4,
        ("x.jpg",),
        [],
    )
    assert repr(changes) == "IndexChanges(unchanged=4, captioned=2, other_names=1)"
    assert index.add(photos, captions=photos / "alt.csv").captioned == 0
    (found,) = index.search("ZÜRICH")
    assert (Path(found.file).name, found.text, found.text_words) == (
        "a.jpg",
        "Anna in Zürich",
        ("zürich",),
    )
    assert (found.phrases, found.alignment) == ((), None)
    assert repr(found).endswith(", text='Anna in Zürich')")
    assert (found.to_dict()["text"], found.to_dict()["phrases"]) == ("Anna in Zürich", [])
    both = index.search("Anna and a dog", k=4)
    words = {Path(each.file).name: each.text_words for each in both}
    assert words == {"d.jpg": ("anna", "dog"), "a.jpg": ("anna",), "b.png": (), "c.png": ()}
    assert set(list(words)[:2]) == {"a.jpg", "d.jpg"}
    assert all(each.phrases for each in both)
    with pytest.raises(SentenceError, match="knows none of the words in 'zyxwv'"):
        index.search("zyxwv")
    with pytest.raises(DataError, match="none of its 3 names"):
        index.add(photos / "b.png", captions=photos / "alt.csv")


def test_conditions(index: PhotoIndex) -> None:
    def found(where: Where) -> set[str]:
        return {Path(each.file).name for each in index.search(SENTENCE, where=where)}

    assert found(Where(path="*/more/*")) == {"d.jpg"}
    assert found(Where(least=(80, 1), most=(100, 48))) == {"b.png", "c.png"}
    assert found(Where(taken_from=date(1990, 1, 1))) == set()
    assert [Path(each.file).name for each in index.boxes("dog", where=Where(path="*/more/*"))] == [
        "d.jpg"
    ]


def test_what_cannot_be_asked(index: PhotoIndex, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(SentenceError, match="knows none of the words in 'zyxwv'"):
        index.search("zyxwv")
    with pytest.raises(SentenceError, match="has no word"):
        index.boxes("")
    with pytest.raises(PhotoError, match=r"missing\.jpg: no such file"):
        index.like(photos / "missing.jpg")
    with pytest.raises(PhotoError, match="like: expected one photo, found 2"):
        index.like([photos / "a.jpg", photos / "b.png"])  # type: ignore[arg-type]
    for ask in (index.search, index.boxes, index.like):
        with pytest.raises(ValueError, match="k must be at least 1, found 0"):
            ask(str(photos / "a.jpg") if ask == index.like else "dog", k=0)
    by_equation_7 = Model(write_tiny_pack(tmp_path / "sum", score="sum"))
    with pytest.raises(ConfigError, match=r"scored by Eq\. 7"):
        other = open_index(tmp_path / "other", by_equation_7)
        other.add(photos)
        other.search("dog")


def test_folders_and_packs_that_are_none_of_its(
    index: PhotoIndex, photos: Path, tmp_path: Path, model: Model
) -> None:
    with pytest.raises(DataError, match="is no index"):
        open_index(photos, model)
    with pytest.raises(DataError, match=r"was made with the pack 'tiny'.*load\(FOLDER\)"):
        open_index(index.folder, Model(write_tiny_pack(tmp_path / "another", seed=1)))
    with pytest.raises(ConfigError, match="storage float8: expected float32, float16, int8"):
        open_index(tmp_path / "new", model, storage="float8")
    with pytest.raises(DataError, match="stores float32, not int8"):
        open_index(index.folder, model, storage="int8").add(photos)
    small = open_index(tmp_path / "small", model, storage="int8")
    assert (small.add(photos).added, Index.open(small.folder).manifest.storage) == (4, "int8")


def test_one_broken_photo_does_not_stop_the_others(index: PhotoIndex, photos: Path) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    random_photo(9, (50, 50)).save(photos / "e.jpg")
    (photos / "empty").mkdir()
    seen: list[tuple[int, int]] = []
    named = [photos, photos / "missing.jpg", photos / "empty"]
    changes = index.add(named, progress=lambda done, total: seen.append((done, total)))
    assert repr(changes) == "IndexChanges(added=1, unchanged=4, failures=3)"
    assert set(changes.failures) == {
        str(photos / each) for each in ("broken.jpg", "missing.jpg", "empty")
    }
    assert "no such file" in changes.failures[str(photos / "missing.jpg")]
    assert seen[-1] == (3, 3) and all(total == 3 for _, total in seen)
    assert len(index) == 5


@pytest.mark.parametrize("named", ["mistyped", "empty"])
def test_nothing_to_add_is_no_success(tmp_path: Path, model: Model, named: str) -> None:
    (tmp_path / "empty").mkdir()
    index = open_index(tmp_path / "photos.index", model)
    with pytest.raises(PhotoError, match=named):
        index.add(tmp_path / named)
    assert len(index) == 0
    assert repr(index.add([])) == "IndexChanges()"
    with pytest.raises(PhotoError, match="empty name"):
        index.add("")


def test_photos_that_are_gone(index: PhotoIndex, photos: Path) -> None:
    (photos / "a.jpg").unlink()
    kept = index.add(photos)
    assert (kept.gone, kept.dropped, len(index)) == ((str(photos / "a.jpg"),), 0, 4)
    dropped = index.add(photos, prune=True)
    assert (dropped.gone, dropped.dropped, len(index)) == ((str(photos / "a.jpg"),), 1, 3)
    # What is passed over is not gone
    assert index.add(photos, exclude=["more"], prune=True).gone == ()
    assert len(index) == 3


def test_remove(index: PhotoIndex, photos: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.jpg'.*holds no such photo.*Nothing was dropped"):
        index.remove([photos / "a.jpg", photos / "nothing.jpg"])
    assert len(index) == 4
    assert index.remove(photos / "a.jpg") == 1
    assert index.remove([str(photos / "more"), photos / "b.png"]) == 2
    assert (names(index), [Path(each.file).name for each in index.search("dog")]) == (
        ["c.png"],
        ["c.png"],
    )
    assert (photos / "a.jpg").exists()


def test_what_others_write_is_seen_after_closing(
    index: PhotoIndex, photos: Path, model: Model
) -> None:
    before = index.search("dog", k=1)[0]
    vectors = before.regions.vectors.copy()
    random_photo(9, (50, 50)).save(photos / "e.jpg")
    open_index(index.folder, model).add(photos)
    assert len(index) == 4
    index.close()
    assert len(index) == 5
    np.testing.assert_array_equal(before.regions.vectors, vectors)  # a result outlives its index
