"""A smaller shared space: no other keeps products better, lengths stay lengths, and it is folded into the tensors."""

from __future__ import annotations

import numpy as np
import pytest

from regiontalk.language.reader import WordsReader
from regiontalk.training.low_rank import low_rank_bases, to_low_rank

from ..tiny_pack import DIM, tiny_arrays, tiny_settings


def test_the_whole_space_changes_no_product_and_no_length() -> None:
    rng = np.random.default_rng(0)
    regions, words = rng.normal(size=(50, 6)) * [3, 1, 1, 0.5, 0.1, 2], rng.normal(size=(70, 6))
    of_regions, of_words = low_rank_bases(regions, words, 6)
    np.testing.assert_allclose((regions @ of_regions) @ (words @ of_words).T, regions @ words.T, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(regions @ of_regions, axis=1), np.linalg.norm(regions, axis=1), rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(words @ of_words, axis=1), np.linalg.norm(words, axis=1), rtol=1e-4)


@pytest.mark.parametrize("dim", [1, 3, 5])
def test_no_space_of_as_few_dimensions_is_closer(dim: int) -> None:
    """By Eckart and Young the products' own first singular values bound what any rank can leave out."""
    rng = np.random.default_rng(dim)
    regions, words = rng.normal(size=(40, 8)) @ rng.normal(size=(8, 8)), rng.normal(size=(60, 8)) * np.arange(8)
    products = regions @ words.T
    of_regions, of_words = low_rank_bases(regions, words, dim)
    left = np.linalg.norm(products - (regions @ of_regions) @ (words @ of_words).T)
    least = np.sqrt((np.linalg.svd(products, compute_uv=False)[dim:] ** 2).sum())
    assert left == pytest.approx(least, rel=1e-3)
    np.testing.assert_allclose(of_regions.T @ of_regions, np.eye(dim), atol=1e-5)
    assert (np.linalg.norm(regions @ of_regions, axis=1) <= np.linalg.norm(regions, axis=1) * (1 + 1e-5)).all()


def test_regions_of_a_plane_need_no_more() -> None:
    rng = np.random.default_rng(2)
    regions, words = rng.normal(size=(30, 2)) @ rng.normal(size=(2, 6)), rng.normal(size=(20, 6))
    of_regions, of_words = low_rank_bases(regions, words, 2)
    np.testing.assert_allclose((regions @ of_regions) @ (words @ of_words).T, regions @ words.T, atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(regions @ of_regions, axis=1), np.linalg.norm(regions, axis=1), rtol=1e-4)


def test_it_is_folded_into_what_a_pack_computes() -> None:
    arrays = tiny_arrays(tiny_settings(words_cell="gru"))
    rng = np.random.default_rng(0)
    features, ids = (
        rng.normal(size=(40, 16)).astype(np.float32),
        [np.array([2, 7, 3]), np.array([11]), np.arange(2, 22)],
    )
    regions = features @ arrays["projection"]["W_m"] + arrays["projection"]["b_m"]
    words = np.concatenate(WordsReader(arrays["words"], "gru").read(ids))
    folded = to_low_rank(arrays, regions, words, 5)
    of_regions, of_words = low_rank_bases(regions, words, 5)
    seen = features @ folded["projection"]["W_m"] + folded["projection"]["b_m"]
    np.testing.assert_allclose(seen, regions @ of_regions, rtol=1e-3, atol=1e-4)
    read = np.concatenate(WordsReader(folded["words"], "gru").read(ids))
    np.testing.assert_allclose(read, words @ of_words, rtol=1e-3, atol=1e-4)
    assert seen.shape[1] == read.shape[1] == 5 < DIM
    for name in ("photo_captioner", "region_captioner"):
        assert folded[name].keys() == arrays[name].keys()
        assert all(folded[name][each] is arrays[name][each] for each in arrays[name])
