"""The Qdrant engine against the exact one.

Always in the embedded mode, and on a server where QDRANT_URL names one.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regiontalk.errors import ConfigError, DataError
from regiontalk.search.columns import columns_of
from regiontalk.search.engine import ExactEngine
from regiontalk.search.filters import Where
from regiontalk.search.index import Index
from regiontalk.search.manifest import PackIdentity
from regiontalk.search.texts import TextQuery
from regiontalk.search.writer import IndexWriter

from .made import DIM, PACK, columns, day, found

pytest.importorskip("qdrant_client", reason="needs the extra qdrant")
from regiontalk.search.qdrant import QdrantEngine
from regiontalk.search.qdrant_collection import connected, push

MakeIndex = Callable[..., Index]


@pytest.fixture(params=["embedded", "server"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "server" and not os.environ.get("QDRANT_URL"):
        pytest.skip("QDRANT_URL names no server")
    with connected(
        os.environ["QDRANT_URL"] if request.param == "server" else str(tmp_path / "qdrant")
    ) as opened:
        yield opened


@pytest.fixture
def collection(client: Any) -> Iterator[str]:
    """A name for a collection of this test's."""
    name = f"regiontalk-test-{uuid.uuid4()}"
    yield name
    client.delete_collection(name)


def query(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (4, DIM)).astype(np.float32)


@pytest.mark.parametrize("candidates", [None, 26])
def test_finds_what_the_exact_engine_finds(
    make_index: MakeIndex, client: Any, collection: str, candidates: int | None
) -> None:
    index = make_index([20, 8], dropped=[3, 21])
    assert push(index, client, collection) == (26, 0)
    exact, engine = ExactEngine(index), QdrantEngine(client, collection, PACK, candidates)
    for seed in range(4):
        hits, expected = engine.photos(query(seed), 8), exact.photos(query(seed), 8)
        assert [hit.entry for hit in hits] == [hit.entry for hit in expected]
        np.testing.assert_allclose(
            [h.score for h in hits], [h.score for h in expected], rtol=1e-5, atol=1e-5
        )
        for hit, other in zip(hits, expected, strict=True):
            np.testing.assert_allclose(hit.regions.vectors, other.regions.vectors, rtol=1e-6)
            assert hit.regions.hubness == pytest.approx(other.regions.hubness, rel=1e-6)
            assert np.array_equal(hit.regions.boxes_xyxy, other.regions.boxes_xyxy)
        alike, expected_alike = engine.like(query(seed), 8), exact.like(query(seed), 8)
        assert [hit.entry for hit in alike] == [hit.entry for hit in expected_alike]
        np.testing.assert_allclose(
            [h.score for h in alike], [h.score for h in expected_alike], rtol=1e-5, atol=1e-5
        )
        boxes, expected_boxes = engine.boxes(query(seed), 9), exact.boxes(query(seed), 9)
        assert [(b.entry.path, b.region) for b in boxes] == [
            (b.entry.path, b.region) for b in expected_boxes
        ]
        np.testing.assert_allclose(
            [b.score for b in boxes], [b.score for b in expected_boxes], rtol=1e-5, atol=1e-5
        )
        once, expected_once = (
            engine.boxes(query(seed), 9, once=True),
            exact.boxes(query(seed), 9, once=True),
        )
        assert [(b.entry.path, b.region) for b in once] == [
            (b.entry.path, b.region) for b in expected_once
        ]


@pytest.mark.parametrize(
    "where",
    [
        Where(path="/photos/1/*"),
        Where(taken_from=day(4), taken_to=day(20)),
        Where(least=(30, 20), most=(90, 80)),
        Where(path="/photos/0/*", taken_from=day(0), most=(70, 100)),
    ],
)
def test_filters(make_index: MakeIndex, client: Any, collection: str, where: Where) -> None:
    index = make_index([25])
    push(index, client, collection)
    expected = [hit.entry.path for hit in ExactEngine(index).photos(query(0), 30, where)]
    assert 0 < len(expected) < 25
    for candidates in (None, 25):
        engine = QdrantEngine(client, collection, PACK, candidates)
        assert [hit.entry.path for hit in engine.photos(query(0), 30, where)] == expected
        assert {hit.entry.path for hit in engine.like(query(0), 30, where)} == set(expected)


def test_push_sends_only_what_changed(make_index: MakeIndex, client: Any, collection: str) -> None:
    index = make_index([10])
    assert push(index, client, collection) == (10, 0)
    assert push(index, client, collection) == (0, 0)
    with IndexWriter(index.folder, PACK) as writer:
        file = writer.manifest.segments[0].file
        writer.commit(columns([10, 11]), [(file, 2), (file, 5), (file, 6)])
    changed = Index.open(index.folder)
    assert push(changed, client, collection) == (2, 3)
    hits = QdrantEngine(client, collection, PACK).photos(query(0), 20)
    assert {hit.entry for hit in hits} == {entry for _, entry in changed.entries()}


def test_texts_lift_photos_there_too(make_index: MakeIndex, client: Any, collection: str) -> None:
    """Texts are pushed, also those that photos get later.

    Names are at the top, and content ranks among equals.
    """
    index = make_index([12])
    assert push(index, client, collection) == (12, 0)
    spoken = {7: "Anna's dog", 3: "東京タワー", 9: "a dog", 10: "a dog"}
    with IndexWriter(index.folder, PACK) as writer:
        file = writer.manifest.segments[0].file
        entries = {
            number: (replace(found(number)[0], text=text), found(number)[1])
            for number, text in spoken.items()
        }
        writer.commit(
            [columns_of(*each, "float32") for each in entries.values()],
            [(file, n) for n in sorted(spoken)],
        )
    index = Index.open(index.folder)
    assert (push(index, client, collection), push(index, client, collection)) == ((4, 0), (0, 0))
    exact = ExactEngine(index)
    for asked in (
        TextQuery(("anna", "dog"), frozenset({"anna"}), True),
        TextQuery(("dog",), frozenset(), True),
        TextQuery(("anna",), frozenset({"anna"}), False),
        TextQuery(("東京",), frozenset({"東京"}), False),
        TextQuery(("nobody",), frozenset({"nobody"}), True),
    ):
        for candidates in (None, 12):
            engine = QdrantEngine(client, collection, PACK, candidates)
            hits, expected = (
                engine.photos(query(0), 12, query=asked),
                exact.photos(query(0), 12, query=asked),
            )
            assert [hit.entry for hit in hits] == [hit.entry for hit in expected]
            np.testing.assert_allclose(
                [h.score for h in hits], [h.score for h in expected], rtol=1e-5, atol=1e-5
            )
            assert engine.matching_texts(asked) == exact.matching_texts(asked)
            where = Where(path="/photos/1/*")
            assert engine.matching_texts(asked, where) == exact.matching_texts(asked, where)
    asked = TextQuery(("anna",), frozenset({"anna"}), True)
    assert [
        hit.entry.text
        for hit in QdrantEngine(client, collection, PACK).photos(query(1), 1, query=asked)
    ] == ["Anna's dog"]


def test_a_server_that_is_not_there(make_index: MakeIndex) -> None:
    place = "http://127.0.0.1:9"
    with (
        pytest.raises(OSError, match="did not answer as expected") as raised,
        connected(place) as client,
    ):
        push(make_index([1]), client, "any")
    assert raised.value.filename == place


@pytest.mark.parametrize(
    ("place", "address"),
    [
        ("localhost:6333", "localhost:6333"),
        ("[::1]:6333/", "[::1]:6333/"),
        ("HTTP://there", "there"),
        ("grpc://there:6334", "there:6334"),
    ],
)
def test_an_address_without_its_scheme_is_no_folder(
    place: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = (
        f"--qdrant {place}: expected a server's URL or a folder. "
        f"Write http://{address} for the server"
    )
    with pytest.raises(ConfigError, match=re.escape(expected)), connected(place):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="no colons in names of files")
def test_a_folder_may_look_like_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("./localhost:6333", "localhost:6333"):  # made by the first, found by the second
        with connected(place) as client:
            assert not client.collection_exists("any")
    assert [each.name for each in tmp_path.iterdir()] == ["localhost:6333"]


def test_a_collection_that_normalises_is_refused(
    make_index: MakeIndex, client: Any, collection: str
) -> None:
    from qdrant_client import models

    cosine = models.VectorParams(size=DIM, distance=models.Distance.COSINE)
    client.create_collection(
        collection, vectors_config={"pooled": cosine, "regions": cosine, "like": cosine}
    )
    with pytest.raises(DataError, match="compared by dot products"):
        push(make_index([1]), client, collection)


def test_a_collection_without_room_for_hubness_is_refused(
    make_index: MakeIndex, client: Any, collection: str
) -> None:
    """As earlier versions made them, whose vectors had as many numbers as the space."""
    from qdrant_client import models

    dot, cosine = (
        models.VectorParams(size=DIM, distance=each)
        for each in (models.Distance.DOT, models.Distance.COSINE)
    )
    max_sim = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    several = models.VectorParams(
        size=DIM, distance=models.Distance.DOT, multivector_config=max_sim
    )
    client.create_collection(
        collection, vectors_config={"pooled": dot, "regions": several, "like": cosine}
    )
    with pytest.raises(DataError, match=f"expected vectors of {DIM + 1} dimensions"):
        push(make_index([1]), client, collection)


def test_strangers_are_refused(make_index: MakeIndex, client: Any, collection: str) -> None:
    index = make_index([2])
    with pytest.raises(DataError, match="no such collection"):
        QdrantEngine(client, collection, PACK)
    push(index, client, collection)
    with pytest.raises(DataError, match="another pack"):
        QdrantEngine(client, collection, PackIdentity("other", "cd" * 32, DIM))
    with pytest.raises(ConfigError, match="expected a folder"):
        QdrantEngine(client, collection, PACK).photos(query(0), 3, Where(path="*.jpg"))
