"""Ranks from scores in tiles: of a matrix, and of vectors."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regiontalk.alignment.score import Kind, pad
from regiontalk.evaluation.retrieval import ranks as ranks_module
from regiontalk.evaluation.retrieval.ranks import MatrixScores, Ranks, VectorScores, rank


def ranked(matrix: np.ndarray, photo_of: list[int], columns: list[int] | None = None) -> Ranks:
    return rank(
        MatrixScores(matrix, np.array(photo_of), None if columns is None else np.array(columns))
    )


def test_ranks_by_hand() -> None:
    found = ranked(np.array([[5, 1, 4, 6, 0], [2, 3, 9, 7, 8]], np.float32), [1, 0, 0, 1, 1])
    assert found.photos.tolist() == [3, 2]
    assert found.sentences.tolist() == [2, 2, 2, 1, 1]


@pytest.mark.parametrize("tile", [1, 7, 30, 10_000])
def test_a_matrix_may_be_read_in_rows_of_any_number(
    tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    matrix, photo_of = (
        rng.integers(0, 9, (9, 15)).astype(np.float64),
        rng.permutation(np.arange(15) % 9),
    )
    expected = ranked(matrix, photo_of.tolist())
    monkeypatch.setattr(ranks_module, "_MATRIX_TILE", tile)
    found = ranked(matrix, photo_of.tolist())
    np.testing.assert_array_equal(found.photos, expected.photos)
    np.testing.assert_array_equal(found.sentences, expected.sentences)


def test_columns_pick_sentences() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(3, 8))
    found, expected = ranked(matrix, [2, 0, 1], [7, 3, 0]), ranked(matrix[:, [7, 3, 0]], [2, 0, 1])
    np.testing.assert_array_equal(found.photos, expected.photos)
    np.testing.assert_array_equal(found.sentences, expected.sentences)


def test_a_mapped_file_and_every_float_type(tmp_path: Path) -> None:
    matrix = np.random.default_rng(2).integers(-9, 9, (4, 8))
    expected = ranked(matrix.astype(np.float64), [0, 0, 1, 1, 2, 2, 3, 3])
    for kind in (">f4", "<f2", np.float32, np.float64):
        file = tmp_path / "scores.npy"
        np.save(file, np.asfortranarray(matrix.astype(kind)))
        found = ranked(np.load(file, mmap_mode="r"), [0, 0, 1, 1, 2, 2, 3, 3])
        np.testing.assert_array_equal(found.photos, expected.photos)
        np.testing.assert_array_equal(found.sentences, expected.sentences)


def test_pairs_are_counted_as_they_are_done() -> None:
    done: list[int] = []
    rank(MatrixScores(np.zeros((3, 6)), np.arange(6) % 3), done.append)
    assert sum(done) == 18


def test_a_score_that_is_not_finite_is_named() -> None:
    matrix = np.zeros((3, 3))
    matrix[1, 2] = np.nan
    with pytest.raises(ValueError, match="photo 1 and sentence 2 score nan"):
        ranked(matrix, [0, 1, 2])


Vectors = list[np.ndarray]


def score_slowly(photos: Vectors, sentences: Vectors, kind: Kind) -> np.ndarray:
    """Eq. 7 and 8 as they stand, "mean" is Eq. 8 by the word; sums are exact for whole numbers."""
    over = (lambda x: np.maximum(x, 0).sum(axis=0)) if kind == "sum" else (lambda x: x.max(axis=0))
    each = [
        [over(v @ s.T).sum() / (len(s) if kind == "mean" else 1) for s in sentences] for v in photos
    ]
    return np.array(each, np.float64)


def ranked_vectors(
    photos: Vectors, sentences: Vectors, photo_of: np.ndarray, kind: Kind = "max", tile: int = 1024
) -> Ranks:
    return rank(VectorScores(*pad(photos), sentences, photo_of, kind, tile))


def assert_same(found: Ranks, expected: Ranks) -> None:
    np.testing.assert_array_equal(found.photos, expected.photos)
    np.testing.assert_array_equal(found.sentences, expected.sentences)
    np.testing.assert_array_equal(found.photo_of_sentence, expected.photo_of_sentence)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Vectors, Vectors, np.ndarray]:
    """Photos of 1 to 4 regions, sentences of 1 to 5 words, of whole numbers, few.

    Ties and equal photos are common.
    """
    photos = draw(st.integers(1, 6))
    photo_of = draw(
        st.permutations([*range(photos), *draw(st.lists(st.integers(0, photos - 1), max_size=9))])
    )
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    high = draw(st.integers(1, 5))

    def some(count: int, longest: int) -> Vectors:
        return [
            rng.integers(-high, high, (rng.integers(1, longest + 1), 2)).astype(np.float32)
            for _ in range(count)
        ]

    return some(photos, 4), some(len(photo_of), 5), np.array(photo_of)


@pytest.mark.parametrize("kind", get_args(Kind))
@settings(max_examples=80)
@given(problem=problems(), tile=st.integers(1, 20))
def test_equals_the_plain_definition_whatever_the_tile(
    kind: Kind, problem: tuple[Vectors, Vectors, np.ndarray], tile: int
) -> None:
    photos, sentences, photo_of = problem
    expected = rank(MatrixScores(score_slowly(photos, sentences, kind), photo_of))
    assert_same(ranked_vectors(photos, sentences, photo_of, kind, tile), expected)


@settings(max_examples=50)
@given(problem=problems())
def test_a_mean_ranks_photos_as_the_maximum_does(
    problem: tuple[Vectors, Vectors, np.ndarray],
) -> None:
    mean, best = (ranked_vectors(*problem, kind) for kind in ("mean", "max"))
    np.testing.assert_array_equal(mean.sentences, best.sentences)


def test_a_mean_lets_a_short_sentence_win() -> None:
    # With photo 0 the first sentence has 2, the second 2 + 1 + 1: more by Eq. 8, less by the word;
    # photo 1: minus that.
    photos = [np.array([[1.0]], np.float32), np.array([[-1.0]], np.float32)]
    sentences = [np.array([[2.0]], np.float32), np.array([[2.0], [1.0], [1.0]], np.float32)]
    assert ranked_vectors(photos, sentences, np.array([0, 1]), "mean").photos.tolist() == [1, 1]
    assert ranked_vectors(photos, sentences, np.array([0, 1]), "max").photos.tolist() == [2, 2]


@settings(max_examples=50)
@given(problem=problems(), seed=st.integers(0, 1000))
def test_order_and_padding_do_not_matter(
    problem: tuple[Vectors, Vectors, np.ndarray], seed: int
) -> None:
    photos, sentences, photo_of = problem
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(len(photos)), rng.permutation(len(sentences))
    vectors, counts = pad([photos[k] for k in rows])
    vectors = np.pad(vectors, [(0, 0), (0, 2), (0, 0)])
    vectors[np.arange(vectors.shape[1]) >= counts[:, None]] = np.nan
    shuffled = rank(
        VectorScores(
            vectors, counts, [sentences[k] for k in columns], np.argsort(rows)[photo_of[columns]]
        )
    )
    expected = ranked_vectors(photos, sentences, photo_of)
    np.testing.assert_array_equal(shuffled.photos, expected.photos[rows])
    np.testing.assert_array_equal(shuffled.sentences, expected.sentences[columns])


@settings(max_examples=50)
@given(count=st.integers(1, 8), seed=st.integers(0, 1000))
def test_swapping_photos_and_sentences_mirrors(count: int, seed: int) -> None:
    # One region and one word, so that a photo and a sentence are the same kind of thing.
    rng = np.random.default_rng(seed)
    photos, sentences = (
        [each[None] for each in rng.integers(-2, 3, (count, 3)).astype(np.float32)]
        for _ in range(2)
    )
    photo_of = rng.permutation(count)
    found = ranked_vectors(photos, sentences, photo_of)
    mirrored = ranked_vectors(sentences, photos, np.argsort(photo_of))
    np.testing.assert_array_equal(found.photos, mirrored.sentences)
    np.testing.assert_array_equal(found.sentences, mirrored.photos)


def random(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


@pytest.mark.parametrize("tile", [7, 100, 1024])
def test_equal_vectors_tie_wherever_they_stand_in_a_tile(tile: int) -> None:
    # A matrix product need not give equal rows the same last bit; a system that sees no difference
    # must come last.
    photo, sentence = random((3, 512)), random((5, 512), 1)
    found = ranked_vectors([photo] * 33, [sentence] * 66, np.arange(66) // 2, tile=tile)
    assert (found.photos == 65).all()
    assert (found.sentences == 33).all()


def test_equal_sentences_of_two_photos_tie() -> None:
    photos, sentences = list(random((40, 2, 64))), list(random((40, 3, 64), 1))
    for k in range(0, 40, 2):
        sentences[k + 1] = photos[k + 1][:1] * 9 + photos[k][:1] * 9  # both photos' favourite
        sentences[k] = sentences[k + 1].copy()
    found = ranked_vectors(photos, sentences, np.arange(40), tile=50)
    assert (found.photos >= 2).all()


def test_what_does_not_fit_is_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    photos, sentences, photo_of = (
        list(random((20, 3, 8))),
        list(random((60, 4, 8), 1)),
        np.arange(60) % 20,
    )
    expected = ranked_vectors(photos, sentences, photo_of, tile=12)
    monkeypatch.setattr(ranks_module, "_KEPT", 30)
    monkeypatch.setattr(ranks_module, "_MEMBERS", 3)
    assert_same(ranked_vectors(photos, sentences, photo_of, tile=12), expected)


def test_wrong_input_is_refused() -> None:
    photos, counts, photo_of = np.ones((2, 3, 4), np.float32), np.array([3, 1]), np.array([0, 1])
    words = [np.ones((2, 4), np.float32)] * 2
    with pytest.raises(ValueError, match="photo of each"):
        VectorScores(photos, counts, words, photo_of[:1])
    with pytest.raises(ValueError, match=r"vectors \(N, M, h\) and N counts"):
        VectorScores(photos, counts[:1], words, photo_of)
    with pytest.raises(ValueError, match=r"sentence 1: expected \(T, 4\), found \(2, 3\)"):
        VectorScores(photos, counts, [words[0], words[1][:, :3]], photo_of)
    with pytest.raises(ValueError, match="must each have a sentence"):
        VectorScores(photos, counts, words, np.array([0, 0]))
    with pytest.raises(ValueError, match="kind must be"):
        VectorScores(photos, counts, words, photo_of, kind="median")  # type: ignore[arg-type]
