from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regiontalk.evaluation.retrieval import ranks as ranks_module
from regiontalk.evaluation.retrieval.ranks import MatrixScores, Ranks, rank


def ranked(matrix: np.ndarray, owners: list[int], columns: list[int] | None = None) -> Ranks:
    return rank(MatrixScores(matrix, np.array(owners), None if columns is None else np.array(columns)))


def test_ranks_by_hand() -> None:
    found = ranked(np.array([[5, 1, 4, 6, 0], [2, 3, 9, 7, 8]], np.float32), [1, 0, 0, 1, 1])
    assert found.photos.tolist() == [3, 2]
    assert found.sentences.tolist() == [2, 2, 2, 1, 1]


@pytest.mark.parametrize("tile", [1, 7, 30, 10_000])
def test_a_matrix_may_be_read_in_rows_of_any_number(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    matrix, owners = rng.integers(0, 9, (9, 15)).astype(np.float64), rng.permutation(np.arange(15) % 9)
    expected = ranked(matrix, owners.tolist())
    monkeypatch.setattr(ranks_module, "_MATRIX_TILE", tile)
    found = ranked(matrix, owners.tolist())
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
