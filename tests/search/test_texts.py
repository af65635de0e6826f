"""Words in people's own texts: which are looked for, where, and how far they lift a photo."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from math import log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.errors import DataError
from regiontalk.language.tokenise import tokenise
from regiontalk.language.vocabulary import Vocabulary
from regiontalk.search.columns import columns_of
from regiontalk.search.engine import Engine, ExactEngine, TwoStageEngine
from regiontalk.search.filters import Where
from regiontalk.search.index import Index
from regiontalk.search.texts import MOST_WORDS, TextQuery, Texts
from regiontalk.search.update import FileRead, Update
from regiontalk.search.writer import IndexWriter

from . import made

VOCABULARY = Vocabulary(
    ["a", "beach", "dog", "on", "old", "red", "the"], [10, 0, 5, 4, 3, 2, 2, 1, 1]
)


def asked(sentence: str) -> TextQuery:
    return TextQuery.of(sentence, VOCABULARY)


def build(folder: Path, photos: int, texts: Mapping[int, str]) -> Index:
    """An index of made-up photos in two segments, some of which have texts."""
    entries = [
        (replace(entry, text=texts.get(n, "")), regions)
        for n, (entry, regions) in enumerate(map(made.found, range(photos)))
    ]
    stored = [columns_of(*each, "float32") for each in entries]
    with IndexWriter(folder, made.PACK) as writer:
        writer.commit(stored[: photos // 2])
        writer.commit(stored[photos // 2 :])
    return Index.open(folder, made.PACK)


def words(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (3, made.DIM)).astype(np.float32)


def numbers(
    engine: Engine,
    query: TextQuery | None,
    k: int = 100,
    where: Where = Where(),  # noqa: B008
) -> list[int]:
    """The photos that an engine finds, by their numbers."""
    return [int(Path(hit.entry.path).stem) for hit in engine.photos(words(), k, where, query)]


def test_words_that_are_looked_for() -> None:
    query = asked("The old dog's photo: Anna on a beach in Zürich, dog and ANNA")
    assert query.words == ("old", "dog", "photo", "anna", "beach", "zürich")
    assert query.names == {"photo", "anna", "zürich"}
    assert query.has_content
    assert asked("Anna").names == {"anna"} and not asked("Anna").has_content
    assert asked("on the").words == () and asked("on the").has_content
    assert asked("").words == asked("!?").words == ()
    assert len(asked(" ".join(f"w{n}" for n in range(1000))).words) == MOST_WORDS


@pytest.mark.parametrize(
    ("sentence", "text", "found"),
    [
        ("anna", "Anna's dog", ("anna",)),
        ("ann", "Anna's dog", ()),
        ("dogs", "a dog", ()),
        ("Zu\u0308rich", "in ZÜRICH.", ("zürich",)),  # decomposed in one, composed in the other
        ("Ελλάδα", "στην Ελλάδα το 1999", ("ελλάδα",)),
        ("हिन्दी", "यह हिन्दी है", ("हिन्दी",)),
        ("हिन्द", "यह हिन्दी है", ()),  # no word ends before its vowel sign
        ("東京", "東京タワーの写真", ("東京",)),
        ("東京", "京東", ()),
        ("ภูเขา", "บนภูเขาสูง", ("ภูเขา",)),
        ("1999 anna", "anna, 1999", ("1999", "anna")),
    ],
)
def test_where_a_word_stands(sentence: str, text: str, found: tuple[str, ...]) -> None:
    assert asked(sentence).found_in(text) == found
    matched = Texts([(3, "nothing"), (7, text)], 9).match(asked(sentence))
    assert (matched is not None) == bool(found)
    assert matched is None or matched.positions.tolist() == [7]


SOME = st.sampled_from(["anna", "dog", "beach", "red", "old", "zoë", "the"])


@given(
    st.lists(st.lists(SOME, max_size=4), min_size=1, max_size=12),
    st.lists(SOME, min_size=1, max_size=5),
    st.integers(0, 9),
)
def test_lifts_are_what_the_rule_says(
    texts: list[list[str]], query: list[str], others: int
) -> None:
    """3 r + s², word by word."""
    held = {position: " ".join(text) for position, text in enumerate(texts) if text}
    photos, question = len(texts) + others, asked(" ".join(query))
    matched = Texts(held.items(), photos).match(question)
    having = {
        word: sum(word in tokenise(text) for text in held.values()) for word in question.words
    }
    weights = {word: log((len(held) + 1) / (d + 0.5)) for word, d in having.items()}
    expected = {}
    for position, text in held.items():
        there = [word for word in question.words if word in tokenise(text)]
        rare = [
            log((photos + 1) / (having[word] + 0.5)) / log((photos + 1) / 1.5)
            for word in there
            if word in question.names
        ]
        if there:
            expected[position] = (
                3 * sum(rare) + (sum(weights[word] for word in there) / sum(weights.values())) ** 2
            )
    if matched is None:
        assert not expected
    else:
        assert matched.positions.tolist() == list(expected)
        np.testing.assert_allclose(matched.lifts, list(expected.values()), rtol=1e-5)


def test_a_photo_is_ranked_by_content_and_text(tmp_path: Path) -> None:
    index = build(
        tmp_path / "index", 30, {3: "a red dog", 8: "Anna", 20: "an old dog", 29: "the dog of Anna"}
    )
    content = dict(
        zip(
            numbers(ExactEngine(index), None),
            (hit.score for hit in ExactEngine(index).photos(words(), 30)),
            strict=True,
        )
    )
    query = asked("Anna and a red dog")
    matched = index.texts.match(query)
    assert matched is not None
    lifts = dict(zip(matched.positions.tolist(), matched.lifts.tolist(), strict=True))
    span = max(content.values()) - min(content.values())
    expected = sorted(content, key=lambda number: -(content[number] + span * lifts.get(number, 0)))
    for engine in (ExactEngine(index), TwoStageEngine(index, 30)):
        assert numbers(engine, query) == expected
        assert numbers(engine, query, k=4) == expected[:4]  # pages do not change with their length
        for hit in engine.photos(words(), 30, query=query):
            assert hit.score == pytest.approx(
                content[int(Path(hit.entry.path).stem)], rel=1e-5, abs=1e-5
            )
    assert expected[0] == 29 and set(expected[:2]) == {8, 29}


@pytest.mark.parametrize("number", range(0, 24, 5))
def test_a_name_puts_its_photo_at_the_top(tmp_path: Path, number: int) -> None:
    """Whatever content says, and also where few candidates are looked at."""
    index = build(
        tmp_path / "index",
        24,
        {
            number: "Anna, Bern",
            **{n: "a dog on the beach" for n in range(24) if n % 2 and n != number},
        },
    )
    for engine in (ExactEngine(index), TwoStageEngine(index, 1)):
        assert numbers(engine, asked("Anna with a dog"), k=1) == [number]
        # The pack knows no word, content says nothing
        assert numbers(engine, asked("Anna")) == [number]
        assert engine.matching_texts(asked("Anna")) == 1
        assert numbers(engine, asked("Anna"), where=Where(path="/elsewhere/*")) == []
        assert engine.matching_texts(asked("Anna"), Where(path="/elsewhere/*")) == 0
        assert engine.matching_texts(asked("nobody")) == 0


def test_without_a_match_nothing_changes(tmp_path: Path) -> None:
    index = build(tmp_path / "index", 20, {3: "a red dog"})
    for engine in (ExactEngine(index), TwoStageEngine(index, 7)):
        assert numbers(engine, asked("old beach"), k=7) == numbers(engine, None, k=7)
        scores = [hit.score for hit in engine.photos(words(), 7, query=asked("old beach"))]
        assert all(a >= b for a, b in pairwise(scores))


def test_copies_with_and_without_a_text(tmp_path: Path) -> None:
    """Equal content: only the text tells them apart."""
    entry, regions = made.found(5)
    copies = [
        replace(entry, path=f"/photos/{n}.jpg", text="Anna" if n == 2 else "") for n in range(4)
    ]
    with IndexWriter(tmp_path / "index", made.PACK) as writer:
        writer.commit([columns_of(each, regions, "float32") for each in copies])
    index = Index.open(tmp_path / "index", made.PACK)
    assert numbers(ExactEngine(index), asked("Anna and a dog")) == [2, 0, 1, 3]


def test_hostile_texts_take_bounded_time() -> None:
    """Texts of many letters that nearly match, asked for many words.

    One pass for each word, each text found once.
    """
    texts = Texts([(n, "anna " * 2000) for n in range(50)], 50)
    matched = texts.match(asked(" ".join(["anna", *(f"ann{n}" for n in range(500))])))
    assert matched is not None and matched.positions.tolist() == list(range(50))


def test_texts_are_stored_merged_and_dropped(tmp_path: Path) -> None:
    """Only segments with texts have their columns.

    An index without any is, byte for byte, what it always was.
    """
    plain, spoken = (
        build(tmp_path / "plain", 6, {}),
        build(tmp_path / "spoken", 6, {1: "Anna\nin Zürich", 5: "東京"}),
    )
    versions = [read_manifest_version(index) for index in (plain, spoken)]
    assert versions == [3, 4]
    assert [entry.text for _, entry in spoken.entries()] == [
        "",
        "Anna\nin Zürich",
        "",
        "",
        "",
        "東京",
    ]
    spoken.verify()
    with IndexWriter(spoken.folder, made.PACK, most_photos=16) as writer:
        writer.merge()
        assert len(writer.manifest.segments) == 1
        file = writer.manifest.segments[0].file
        merged = Index.open(spoken.folder, made.PACK)
        merged.verify()
        assert [entry.text for _, entry in merged.entries()] == [
            entry.text for _, entry in spoken.entries()
        ]
        writer.commit([], [(file, 1), (file, 3), (file, 4), (file, 5)])
        assert len(Index.open(spoken.folder).texts) == 0
        writer.merge()
    assert read_manifest_version(spoken) == 3
    (left,) = Index.open(spoken.folder).manifest.segments
    assert (left.photos, left.text_bytes) == (2, 0)


def read_manifest_version(index: Index) -> int:
    version: int = json.loads((index.folder / "manifest.json").read_text())["format_version"]
    return version


def test_damaged_texts_are_named(tmp_path: Path) -> None:
    index = build(tmp_path / "index", 4, {0: "Anna", 1: "Bern"})
    for name, value, message in (
        ("texts", 0xFF, "not UTF-8"),
        ("text_ends", -1, "do not fit"),
        ("text_ends", 99, "do not fit"),
    ):
        row = 0
        with pytest.raises(DataError, match=rf"segment-000001\.safetensors: damaged.*{message}"):
            list(made.craft(index, name, row, value).texts.match(asked("Anna")).positions)  # type: ignore[union-attr]
        index = build(tmp_path / f"{name}{value}", 4, {0: "Anna", 1: "Bern"})
    made.damage(index, "texts", 0, ord("Z"))
    with pytest.raises(DataError, match="its checksum does not fit in 'texts'"):
        Index.open(index.folder).entry(0)
    with pytest.raises(DataError, match="its checksum does not fit in 'texts'"):
        Index.open(index.folder).verify()


def test_a_text_stays_with_its_photo(tmp_path: Path) -> None:
    """Moved, copied, touched, or changed in its place.

    Until another text is given, which may be none.
    """
    (entry, regions), other = made.found(1), made.found(2)[1]
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "other.jpg").touch()  # the folder holds something: what is not there was removed
    paths = {name: str(folder / f"{name}.jpg") for name in ("a", "b", "c")}

    def read(name: str) -> FileRead:
        return FileRead(paths[name], entry.sha256, entry.state)

    def run(texts: Mapping[str, str], work: Callable[[Update], None]) -> tuple[dict[str, str], int]:
        with IndexWriter(tmp_path / "index", made.PACK) as writer:
            update = Update(writer, texts)
            work(update)
            update.commit()
            update.put_texts()
        index = Index.open(tmp_path / "index", made.PACK)
        index.verify()
        return {
            Path(each.path).stem: each.text for _, each in index.entries()
        }, update.tally.captioned

    assert run(
        {paths["a"]: "Anna"}, lambda update: update.add(replace(entry, path=paths["a"]), regions)
    ) == (
        {"a": "Anna"},
        1,
    )
    assert run({}, lambda update: update.take_known(read("a"))) == ({"a": "Anna"}, 0)  # touched
    # Moved: there is no a.jpg
    assert run({}, lambda update: update.take_known(read("b"))) == ({"b": "Anna"}, 0)
    Path(paths["b"]).touch()
    assert run({paths["c"]: "Bern"}, lambda update: update.take_known(read("c"))) == (
        {"b": "Anna", "c": "Bern"},
        1,
    )
    # Not its copy's
    assert run({}, lambda update: update.take_known(read("b"))) == ({"b": "Anna", "c": "Bern"}, 0)
    edited = replace(
        entry, path=paths["b"], sha256=b"e" * 32, width=other.width, height=other.height
    )
    assert run({}, lambda update: update.add(edited, other)) == ({"b": "Anna", "c": "Bern"}, 0)
    nothing = dict.fromkeys(paths.values(), "")
    assert run(nothing, lambda update: None) == ({"b": "", "c": ""}, 2)
    assert run(nothing, lambda update: None)[1] == 0
