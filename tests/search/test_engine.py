"""Engines against the plain definition of Eq. 8, in both directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.errors import DataError
from regiontalk.search.columns import Columns, columns_of
from regiontalk.search.engine import ExactEngine, TwoStageEngine
from regiontalk.search.filters import Where
from regiontalk.search.finder import rank_sentences
from regiontalk.search.index import Index
from regiontalk.search.storage import Entry
from regiontalk.search.writer import IndexWriter
from regiontalk.structures import Regions, Sentence

from . import made
from .made import DIM, build, craft, damage

MakeIndex = Callable[..., Index]
FIRST = "segment-000001.safetensors"


def plain(index: Index, words: np.ndarray) -> list[tuple[str, float]]:
    """Path and Σ_t (max_i v_i·s_t - hubness) of each photo that counts, the best first."""
    scores = []
    for position, entry in index.entries():
        regions = index.regions(position)
        best = [max(float(v @ s) for v in regions.vectors) - regions.hubness for s in words]
        scores.append((entry.path, float(sum(best))))
    return sorted(scores, key=lambda pair: -pair[1])


def query(seed: int, words: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (words, DIM)).astype(np.float32)


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_photos_by_words(make_index: MakeIndex, storage: str) -> None:
    index = make_index([20, 1, 9], dropped=[3, 20, 25], storage=storage)
    for seed in range(5):
        expected = plain(index, query(seed))
        for engine in (ExactEngine(index), TwoStageEngine(index, candidates=27)):
            hits = engine.photos(query(seed), k=10)
            assert [hit.entry.path for hit in hits] == [path for path, _ in expected[:10]]
            np.testing.assert_allclose(
                [hit.score for hit in hits], [s for _, s in expected[:10]], rtol=1e-5, atol=1e-5
            )
            assert [hit.regions.file for hit in hits] == [hit.entry.path for hit in hits]
    assert len(ExactEngine(index).photos(query(0), k=100)) == 27


def test_few_candidates_miss_but_never_misstate(make_index: MakeIndex) -> None:
    index = make_index([30])
    scores = dict(plain(index, query(1)))
    hits = TwoStageEngine(index, candidates=6).photos(query(1), k=6)
    assert len(hits) == 6
    assert all(
        hit.score == pytest.approx(scores[hit.entry.path], rel=1e-5, abs=1e-5) for hit in hits
    )
    photos = {entry.path: index.regions(position) for position, entry in index.entries()}
    words = query(1)
    pooled = {
        path: float((r.vectors.mean(0) @ words.T - r.hubness).sum()) for path, r in photos.items()
    }
    assert {hit.entry.path for hit in hits} == set(
        sorted(pooled, key=lambda path: -pooled[path])[:6]
    )
    # Never fewer than were asked for
    assert len(TwoStageEngine(index, candidates=1).photos(query(1), k=6)) == 6


@pytest.mark.parametrize("storage", ["float32", "float16", "int8"])
def test_photos_by_photo(make_index: MakeIndex, storage: str) -> None:
    index = make_index([20, 1, 9], dropped=[3, 20, 25], storage=storage)
    means = {
        entry.path: index.regions(position).vectors.mean(axis=0)
        for position, entry in index.entries()
    }
    for path, mean in list(means.items())[:5]:
        lengths = {
            other: np.linalg.norm(mean) * np.linalg.norm(each) for other, each in means.items()
        }
        scores = sorted(
            ((float(each @ mean / lengths[other]), other) for other, each in means.items()),
            reverse=True,
        )
        (position,) = (position for position, entry in index.entries() if entry.path == path)
        for engine in (ExactEngine(index), TwoStageEngine(index, candidates=4)):
            hits = engine.like(index.regions(position).vectors, k=10)
            assert hits[0].entry.path == path
            assert hits[0].score == pytest.approx(1, abs=0.01 if storage == "int8" else 1e-3)
            if storage == "float32":  # the others' pooled vectors are more exact than their regions
                assert [hit.entry.path for hit in hits] == [other for _, other in scores[:10]]
            np.testing.assert_allclose(
                [hit.score for hit in hits], [s for s, _ in scores[:10]], atol=0.02
            )
            assert [hit.regions.file for hit in hits] == [hit.entry.path for hit in hits]


def test_boxes_by_words(make_index: MakeIndex) -> None:
    index = make_index([7, 5], dropped=[2, 11])
    words = query(2)
    expected = sorted(
        ((float(v @ words.sum(0)), entry.path, region)
        for position, entry in index.entries()
        for region, v in enumerate(index.regions(position).vectors)),
        reverse=True,
    )  # fmt: skip
    for engine in (ExactEngine(index), TwoStageEngine(index, candidates=5)):
        hits = engine.boxes(words, k=9)
        assert [(hit.entry.path, hit.region) for hit in hits] == [
            (path, region) for _, path, region in expected[:9]
        ]
        np.testing.assert_allclose(
            [hit.score for hit in hits], [s for s, *_ in expected[:9]], rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("k", [1, 4, 100])
def test_each_photo_once_with_its_best_box(make_index: MakeIndex, k: int) -> None:
    index = make_index([7, 5], dropped=[2, 11])
    words = query(2)
    best = {}
    for position, entry in index.entries():
        scores = index.regions(position).vectors @ words.sum(0)
        best[entry.path] = (float(scores.max()), int(scores.argmax()))
    expected = sorted(best, key=lambda path: -best[path][0])[:k]
    for engine in (ExactEngine(index), TwoStageEngine(index, candidates=5)):
        hits = engine.boxes(words, k, once=True)
        assert [hit.entry.path for hit in hits] == expected
        assert [hit.region for hit in hits] == [best[path][1] for path in expected]
        np.testing.assert_allclose(
            [hit.score for hit in hits], [best[path][0] for path in expected], rtol=1e-5
        )
    # Of equals the first
    assert all(not hit.region for hit in ExactEngine(index).boxes(0 * words, k, once=True))


def without_hubness(
    number: int, found: Callable[[int], tuple[Entry, Regions]] = made.found
) -> tuple[Entry, Regions]:
    entry, regions = found(number)
    return entry, replace(regions, hubness=0.0)


def test_equals_come_in_the_order_in_which_they_were_added(
    make_index: MakeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made, "found", without_hubness)
    hits = ExactEngine(make_index([3, 3])).photos(np.zeros((2, DIM), np.float32), k=4)
    assert [hit.entry.path for hit in hits] == [f"/photos/0/{number}.jpg" for number in range(4)]


@given(
    path=st.sampled_from([None, "*", "*/1/*", "/photos/0/*.jpg", "*7.jpg", "nothing"]),
    days=st.tuples(*[st.none() | st.integers(0, 25)] * 2),
    sizes=st.tuples(*[st.none() | st.tuples(st.integers(0, 100), st.integers(0, 100))] * 2),
)
def test_filters(shared: Index, path: str | None, days: tuple, sizes: tuple) -> None:
    day_from, day_to = (None if day is None else 86_400 * day for day in days)
    where = Where(path, *(None if day is None else made.day(day) for day in days), *sizes)

    def meets(entry: Entry) -> bool:
        parts = entry.path.split("/")
        named = {
            None: True,
            "*": True,
            "*/1/*": parts[2] == "1",
            "/photos/0/*.jpg": parts[2] == "0",
            "*7.jpg": entry.path.endswith("7.jpg"),
            "nothing": False,
        }[path]
        dated = entry.taken is not None or (day_from is None and day_to is None)
        late = day_from is None or (entry.taken is not None and entry.taken >= day_from)
        early = day_to is None or (entry.taken is not None and entry.taken <= day_to)
        large = sizes[0] is None or (entry.width >= sizes[0][0] and entry.height >= sizes[0][1])
        small = sizes[1] is None or (entry.width <= sizes[1][0] and entry.height <= sizes[1][1])
        return named and dated and late and early and large and small

    expected = {entry.path for _, entry in shared.entries() if meets(entry)}
    assert (
        ExactEngine(shared).matching(where)
        == TwoStageEngine(shared, 3).matching(where)
        == len(expected)
    )
    for engine in (ExactEngine(shared), TwoStageEngine(shared, candidates=100)):
        assert {hit.entry.path for hit in engine.photos(query(0), 100, where)} == expected
        assert {hit.entry.path for hit in engine.like(query(0), 100, where)} == expected
        assert {hit.entry.path for hit in engine.boxes(query(0), 1000, where)} == expected


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Index:
    """25 photos in two segments, one of them dropped."""
    return build(tmp_path_factory.mktemp("shared") / "index", [15, 10], dropped=[4])


def test_sentences_by_photo(make_index: MakeIndex) -> None:
    index = make_index([3])
    rng = np.random.default_rng(0)
    sentences = [
        Sentence(
            "x", ("x",) * n, np.zeros(n, np.int64), rng.normal(0, 1, (n, DIM)).astype(np.float32)
        )
        for n in (1, 5, 2, 9, 3)
    ]
    regions = replace(index.regions(1), hubness=0.0)
    expected = [
        sum(max(float(v @ s) for v in regions.vectors) for s in each.vectors) for each in sentences
    ]
    ranked = rank_sentences(regions, sentences, k=3)
    assert [place for place, _ in ranked] == sorted(range(5), key=lambda i: -expected[i])[:3]
    np.testing.assert_allclose(
        [s for _, s in ranked], sorted(expected, reverse=True)[:3], rtol=1e-5
    )
    means = [score / len(each) for score, each in zip(expected, sentences, strict=True)]
    by_the_word = rank_sentences(regions, sentences, k=3, kind="mean")
    assert [place for place, _ in by_the_word] == sorted(range(5), key=lambda i: -means[i])[:3]
    np.testing.assert_allclose(
        [s for _, s in by_the_word], sorted(means, reverse=True)[:3], rtol=1e-5
    )
    hubs = [replace(each, hubness=float(place)) for place, each in enumerate(sentences)]
    less = [score - 2.0 - place for place, score in enumerate(means)]
    by_hubness = rank_sentences(replace(regions, hubness=2.0), hubs, k=3, kind="mean")
    assert [place for place, _ in by_hubness] == sorted(range(5), key=lambda i: -less[i])[:3]
    np.testing.assert_allclose(
        [s for _, s in by_hubness], sorted(less, reverse=True)[:3], rtol=1e-5
    )
    assert rank_sentences(regions, [], k=3) == []


def test_an_empty_index_finds_nothing(make_index: MakeIndex) -> None:
    index = make_index([])
    for engine in (ExactEngine(index), TwoStageEngine(index, candidates=5)):
        assert engine.photos(query(0), 3) == []
        assert engine.like(query(0), 3) == []
        assert engine.boxes(query(0), 3) == []


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*/[2024] Rome/*", [0]),
        ("*/[2024] Rome/?.jpg", [0]),
        ("*[[]2024*", []),
        ("*/caf\u00e9/*", [1, 2]),
        ("*/cafe\u0301/*", [1, 2]),
        ("*/CAF\u00c9/*", []),
        ("*/cafe/*", []),
        ("*]*", [0]),
        ("*/caf?/*", [1, 2]),
        ("*!a]*", []),
    ],
)
def test_patterns(
    make_index: MakeIndex, monkeypatch: pytest.MonkeyPatch, pattern: str, found: list[int]
) -> None:
    """Brackets are literal, and letters are the same however they are composed."""
    paths = ["/photos/[2024] Rome/0.jpg", "/photos/caf\u00e9/1.jpg", "/photos/cafe\u0301/2.jpg"]
    made_as = made.found

    def named(number: int) -> tuple[Entry, Regions]:
        entry, regions = made_as(number)
        return replace(entry, path=paths[number]), regions

    monkeypatch.setattr(made, "found", named)
    engine = ExactEngine(make_index([3]))
    hits = engine.photos(query(0), 5, Where(path=pattern))
    assert sorted(paths.index(hit.entry.path) for hit in hits) == found
    assert engine.matching(Where(path=pattern)) == len(found)


@pytest.mark.parametrize("value", [np.nan, -np.inf, np.inf, 3e38])
@pytest.mark.parametrize("name", ["vectors", "pooled", "hubness"])
def test_a_score_that_is_none_is_no_missing_photo(
    make_index: MakeIndex, name: str, value: float
) -> None:
    """Whatever the checksums say. NumPy's warnings, which are errors in tests, reach nobody."""
    sound = make_index([5])
    regions = sound.regions(2)
    index = craft(sound, name, 0, value)
    exact, two_stages = ExactEngine(index), TwoStageEngine(index, candidates=5)
    searches: dict[str, list[Callable[[], object]]] = {
        "vectors": [lambda: exact.photos(query(0), 5), lambda: exact.boxes(query(0), 5)],
        "pooled": [lambda: exact.like(regions.vectors, 5)],
        "hubness": [lambda: exact.photos(query(0), 5)],
    }
    for search in (*searches[name], lambda: two_stages.photos(query(0), 5)):
        with pytest.raises(
            DataError, match=f"{FIRST}: damaged, a vector gives a score that is not finite"
        ):
            search()


def test_equal_photos_tie_wherever_they_lie(tmp_path: Path) -> None:
    """A matrix product gives equal rows other last bits in other places.

    The first that was added must lead.
    """
    rng, pack = np.random.default_rng(0), replace(made.PACK, dim=257)
    entry, _ = made.found(0)
    kinds = rng.normal(0, 1, (6, 7, 257)).astype(np.float32)  # (6 contents, 7 regions, h)
    boxes = np.tile(np.array([[0, 0, 50, 50]], np.float32), (7, 1))

    def copy(number: int, content: int, count: int) -> Columns:
        path = f"/photos/{number}.jpg"
        vectors, features = kinds[content, :count], np.empty((count, 0), np.float32)
        seen = Regions(
            path, 50, 50, boxes[:count], np.ones(count, np.float32), features, vectors, 0.5
        )
        return columns_of(replace(entry, path=path, width=50, height=50), seen, "float32")

    contents = rng.integers(0, 6, 120)
    with IndexWriter(tmp_path / "index", pack, "float32") as writer:
        for part in np.split(np.arange(120), [50, 51]):
            writer.commit([copy(number, contents[number], 2 + contents[number]) for number in part])
    index = Index.open(tmp_path / "index", pack)
    for k in (1, 3, 30, 120):
        words = rng.normal(0, 1, (11, 257)).astype(np.float32)
        for engine in (ExactEngine(index), TwoStageEngine(index, candidates=120)):
            hits = engine.photos(words, k)
            numbers = [int(Path(hit.entry.path).stem) for hit in hits]
            scores: dict[int, set[float]] = {}
            for number, hit in zip(numbers, hits, strict=True):
                scores.setdefault(contents[number], set()).add(hit.score)
            assert all(len(each) == 1 for each in scores.values())
            assert numbers == sorted(numbers, key=lambda n: (-min(scores[contents[n]]), n))
            assert numbers[0] == np.flatnonzero(contents == contents[numbers[0]])[0]


@pytest.mark.parametrize(
    "name", ["vectors", "pooled", "hubness", "boxes", "paths", "sha256", "mtimes_ns"]
)
def test_what_a_search_reads_is_compared_with_its_checksums(
    make_index: MakeIndex, name: str
) -> None:
    index = make_index([5])
    damage(index, name, 0, 1)
    opened = Index.open(index.folder)
    exact, two_stages = ExactEngine(opened), TwoStageEngine(opened, candidates=5)
    searches: dict[str, list[Callable[[], object]]] = {
        "pooled": [lambda: exact.like(query(0), 5), lambda: two_stages.photos(query(0), 5)]
    }
    every = [
        lambda: exact.photos(query(0), 5),
        lambda: exact.boxes(query(0), 5),
        lambda: two_stages.photos(query(0), 5),
    ]
    for search in searches.get(name, every if name != "hubness" else every[:1]):
        with pytest.raises(
            DataError, match=f"{FIRST}: damaged, its checksum does not fit in '{name}'"
        ):
            search()


def test_filters_are_not_compared_with_damage(make_index: MakeIndex) -> None:
    index = make_index([5])
    damage(index, "taken", 3, 1)
    damage(index, "dimensions", 3, 1)
    for where in (
        Where(taken_from=made.day(0)),
        Where(taken_to=made.day(0)),
        Where(least=(1, 1)),
        Where(most=(1, 1)),
    ):
        with pytest.raises(DataError, match=f"{FIRST}: damaged, its checksum does not fit"):
            ExactEngine(Index.open(index.folder)).photos(query(0), 5, where)


def test_what_a_search_does_not_read_is_not_compared(make_index: MakeIndex) -> None:
    """So few candidates of a large index are found without reading all of it."""
    index = make_index([5])
    found = ExactEngine(index).photos(query(0), 5)
    damage(index, "pooled", 3, 1)
    again = ExactEngine(Index.open(index.folder)).photos(query(0), 5)
    assert [(hit.entry, hit.score) for hit in again] == [(hit.entry, hit.score) for hit in found]
