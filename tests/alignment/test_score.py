"""Scores against Eq. 7 and 8 as they stand, and lengths of vectors by hand."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regiontalk.alignment import pad, score_matrix
from regiontalk.alignment.score import (
    Kind,
    decimals,
    lengths_of,
    longest,
    score_of_products,
    shortest,
)
from regiontalk.language.reader import WordsReader

from ..tiny_pack import WORDS, tiny_arrays, tiny_settings

KINDS = get_args(Kind)


def score_slowly(photos: list[np.ndarray], sentences: list[np.ndarray], kind: Kind) -> np.ndarray:
    """Eq. 7 and 8 as they stand; "mean" is Eq. 8 divided by the number of words."""
    scores = np.zeros((len(photos), len(sentences)))
    for k, v in enumerate(photos):
        for l_, s in enumerate(sentences):
            for word in s:
                products = [float(np.dot(region.astype(np.float64), word)) for region in v]
                scores[k, l_] += (
                    sum(max(0.0, p) for p in products) if kind == "sum" else max(products)
                )
            scores[k, l_] /= len(s) if kind == "mean" else 1
    return scores


def score(
    photos: list[np.ndarray], sentences: list[np.ndarray], kind: Kind, tile: int = 64
) -> np.ndarray:
    return score_matrix(*pad(photos), *pad(sentences), kind=kind, tile=tile)


@st.composite
def ragged(draw: st.DrawFn) -> list[np.ndarray]:
    counts = draw(st.lists(st.integers(1, 5), min_size=1, max_size=6))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    # Shifted, so that words whose best region is negative are common.
    return [rng.normal(-0.5, 1, (count, 3)).astype(np.float32) for count in counts]


def test_worked_by_hand() -> None:
    photo = [np.array([[1, 0], [0, 2]], np.float32), np.array([[-1, -1]], np.float32)]
    sentence = [np.array([[3, 1], [-1, -1]], np.float32), np.array([[0.5, 0]], np.float32)]
    # v·s of photo 0: (3, 2), (-1, -2); (0.5, 0).  Of photo 1: (-4), (2); (-0.5).
    np.testing.assert_array_equal(score(photo, sentence, "max"), [[3 - 1, 0.5], [-4 + 2, -0.5]])
    np.testing.assert_array_equal(score(photo, sentence, "sum"), [[3 + 2 + 0, 0.5], [0 + 2, 0]])
    np.testing.assert_array_equal(
        score(photo, sentence, "mean"), [[(3 - 1) / 2, 0.5], [(-4 + 2) / 2, -0.5]]
    )


def test_padding_does_not_lift_a_negative_maximum_to_zero() -> None:
    lonely, crowd = np.array([[-0.5]], np.float32), np.array([[-1], [-2], [-3]], np.float32)
    word = [np.array([[1]], np.float32)]
    np.testing.assert_array_equal(score([lonely, crowd], word, "max"), [[-0.5], [-1]])
    np.testing.assert_array_equal(score([lonely, crowd], word, "mean"), [[-0.5], [-1]])
    np.testing.assert_array_equal(score([lonely, crowd], word, "sum"), [[0], [0]])


@settings(max_examples=40)
@given(photos=ragged(), sentences=ragged(), tile=st.integers(1, 7), extra=st.integers(0, 3))
def test_a_mean_is_the_maximum_over_the_number_of_words_whatever_the_padding(
    photos: list[np.ndarray], sentences: list[np.ndarray], tile: int, extra: int
) -> None:
    (v, regions), (s, words) = pad(photos), pad(sentences)
    s = np.pad(s, [(0, 0), (0, extra), (0, 0)])
    s[np.arange(s.shape[1]) >= words[:, None]] = np.nan
    mean, total = (score_matrix(v, regions, s, words, kind, tile) for kind in ("mean", "max"))
    np.testing.assert_array_equal(mean, total / words.astype(np.float32))
    np.testing.assert_array_equal(mean[:, words == 1], total[:, words == 1])


@given(photos=ragged(), sentence=ragged(), times=st.integers(1, 4))
def test_a_mean_does_not_grow_with_a_sentence(
    photos: list[np.ndarray], sentence: list[np.ndarray], times: int
) -> None:
    again = [np.tile(words, (times, 1)) for words in sentence]
    np.testing.assert_allclose(
        score(photos, again, "mean"), score(photos, sentence, "mean"), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("kind", KINDS)
@given(photos=ragged(), sentences=ragged())
def test_products_of_one_pair_give_the_same(
    kind: Kind, photos: list[np.ndarray], sentences: list[np.ndarray]
) -> None:
    found = [
        [score_of_products(words @ regions.T, kind) for words in sentences] for regions in photos
    ]
    np.testing.assert_allclose(found, score(photos, sentences, kind), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(photos=ragged(), sentences=ragged(), tile=st.integers(1, 7))
def test_equals_plain_loops_whatever_the_tile(
    kind: Kind, photos: list[np.ndarray], sentences: list[np.ndarray], tile: int
) -> None:
    result = score(photos, sentences, kind, tile)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, score_slowly(photos, sentences, kind), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("garbage", [1e30, -1e30, np.nan, np.inf])
def test_padding_may_hold_anything(kind: Kind, garbage: float) -> None:
    rng = np.random.default_rng(1)
    photos = [rng.normal(size=(n, 3)).astype(np.float32) for n in (2, 4, 1)]
    sentences = [rng.normal(size=(n, 3)).astype(np.float32) for n in (3, 1)]
    (v, regions), (s, words) = pad(photos), pad(sentences)
    clean = score_matrix(v, regions, s, words, kind)
    v, s = np.pad(v, [(0, 0), (0, 2), (0, 0)]), np.pad(s, [(0, 0), (0, 3), (0, 0)])
    for padded, counts in ((v, regions), (s, words)):
        padded[np.arange(padded.shape[1]) >= counts[:, None]] = garbage
    np.testing.assert_allclose(score_matrix(v, regions, s, words, kind), clean, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30)
@given(photos=ragged(), sentences=ragged(), seed=st.integers(0, 99))
def test_order_does_not_matter(
    kind: Kind, photos: list[np.ndarray], sentences: list[np.ndarray], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    photo_order, sentence_order = rng.permutation(len(photos)), rng.permutation(len(sentences))
    shuffled = score(
        [photos[k][rng.permutation(len(photos[k]))] for k in photo_order],
        [sentences[k][rng.permutation(len(sentences[k]))] for k in sentence_order],
        kind,
    )
    expected = score(photos, sentences, kind)[np.ix_(photo_order, sentence_order)]
    np.testing.assert_allclose(shuffled, expected, rtol=1e-4, atol=1e-5)


def test_magnitudes_carry_meaning() -> None:
    v, s = [np.array([[1, 2]], np.float32)], [np.array([[3, 4]], np.float32)]
    assert score([2 * v[0]], s, "max") == 2 * score(v, s, "max")


def test_no_photos_or_sentences_is_an_empty_table() -> None:
    none, some = np.zeros((0, 3, 2), np.float32), np.ones((4, 3, 2), np.float32)
    no_counts, counts = np.zeros(0, np.int64), np.full(4, 3)
    assert score_matrix(none, no_counts, some, counts).shape == (0, 4)
    assert score_matrix(some, counts, none, no_counts).shape == (4, 0)


def test_wrong_input_is_refused() -> None:
    v, n = np.ones((2, 3, 4), np.float32), np.array([3, 1])
    with pytest.raises(ValueError, match=r"kind must be .* not 'median'"):
        score_matrix(v, n, v, n, kind="median")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"kind must be .* not 'median'"):
        score_of_products(v[0], "median")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="tile must be at least 1"):
        score_matrix(v, n, v, n, tile=0)
    with pytest.raises(ValueError, match="4 dimensions and words 3"):
        score_matrix(v, n, v[:, :, :3], n)
    with pytest.raises(ValueError, match=r"word_counts must lie in 1\.\.3, found 0\.\.3"):
        score_matrix(v, n, v, np.array([3, 0]))
    with pytest.raises(ValueError, match=r"region_counts must lie in 1\.\.3, found 1\.\.4"):
        score_matrix(v, np.array([4, 1]), v, n)
    with pytest.raises(ValueError, match="region_counts must be 2 integers"):
        score_matrix(v, np.array([1]), v, n)
    with pytest.raises(ValueError, match="three axes"):
        score_matrix(v[0], n, v, n)


def test_pad() -> None:
    padded, counts = pad([np.ones((2, 3)), np.full((1, 3), 5.0)])
    assert padded.dtype == np.float32 and counts.dtype == np.int64
    assert counts.tolist() == [2, 1]
    np.testing.assert_array_equal(padded, [np.ones((2, 3)), [[5, 5, 5], [0, 0, 0]]])
    with pytest.raises(ValueError, match="nothing to pad"):
        pad([])
    with pytest.raises(ValueError, match="one h"):
        pad([np.ones((2, 3)), np.ones((2, 4))])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tile", [7, 100, 1024])
def test_equal_photos_and_equal_sentences_have_equal_scores(kind: Kind, tile: int) -> None:
    """To the last bit, wherever they stand: a matrix product alone does not give that."""
    rng = np.random.default_rng(0)
    photos, sentences = rng.normal(0, 1, (5, 3, 301)), rng.normal(0, 1, (6, 4, 301))
    rows, columns = rng.integers(0, 5, 40), rng.integers(0, 6, 70)
    found = score([photos[k] for k in rows], [sentences[k] for k in columns], kind, tile)
    assert found.shape == (40, 70)
    for k in range(5):
        assert (found[rows == k] == found[rows == k][:1]).all()
    for k in range(6):
        assert (found[:, columns == k] == found[:, columns == k][:, :1]).all()
    few = score(list(photos), list(sentences), kind)
    np.testing.assert_allclose(found, few[np.ix_(rows, columns)], rtol=1e-4, atol=1e-4)


# Lengths of vectors


LENGTHS = st.lists(st.integers(0, 5), min_size=1, max_size=30).map(
    lambda values: np.array(values, float)
)
"""Whole numbers from a small range, so that there are ties."""


def test_lengths_by_hand() -> None:
    vectors = np.array([[3, 4, 0], [0, 0, 0], [-1, 2, -2], [0, 0, 0.5]], np.float32)
    found = lengths_of(vectors)
    assert found.dtype == np.float64
    assert found.tolist() == [5, 0, 3, 0.5]


def test_lengths_of_half_precision_do_not_overflow() -> None:
    """The squares of these numbers are beyond float16 and float32."""
    assert lengths_of(np.full((1, 4), 6e4, np.float16)) == pytest.approx(
        [2 * float(np.float16(6e4))]
    )
    assert lengths_of(np.full((1, 4), 1e30, np.float32)) == pytest.approx([2e30])


def test_no_vectors() -> None:
    assert lengths_of(np.zeros((0, 4), np.float32)).shape == (0,)


def test_orders_by_hand() -> None:
    found = np.array([2.0, 5.0, 1.0, 5.0, 1.0])
    assert longest(found).tolist() == [1, 3, 0, 2, 4]
    assert shortest(found).tolist() == [2, 4, 0, 1, 3]
    assert longest(found, 2).tolist() == [1, 3]
    assert shortest(found, 2).tolist() == [2, 4]
    assert longest(found, 99).tolist() == longest(found).tolist()


@given(found=LENGTHS, k=st.integers(1, 40))
def test_orders(found: np.ndarray, k: int) -> None:
    """As Python sorts pairs of length and row."""
    rows = range(len(found))
    assert longest(found, k).tolist() == sorted(rows, key=lambda row: (-found[row], row))[:k]
    assert shortest(found, k).tolist() == sorted(rows, key=lambda row: (found[row], row))[:k]


@given(scale=st.sampled_from([0.25, 2.0, 16.0]))  # powers of two, so that scaling rounds nothing
def test_scaling_the_last_layer_scales_all_lengths(scale: float) -> None:
    """s_t = f(W_d h_t + b_d) of Eq. 6, f the ReLU: c W_d and c b_d give c s_t."""
    weights = tiny_arrays(tiny_settings())["words"]
    scaled = {**weights, "W_d": scale * weights["W_d"], "b_d": scale * weights["b_d"]}
    words = [np.array([id_]) for id_ in range(2, 2 + len(WORDS))]
    before, after = (
        lengths_of(np.concatenate(WordsReader(each).read(words))) for each in (weights, scaled)
    )
    assert before.max() > 0
    np.testing.assert_allclose(after, scale * before, rtol=1e-6)
    assert longest(after).tolist() == longest(before).tolist()


@given(found=st.lists(st.floats(1e-12, 1e12), min_size=1, max_size=5))
def test_decimals_show_three_digits_of_the_longest(found: list[float]) -> None:
    """Half of the last digit shown is at most half a hundredth of the length."""
    places = decimals(np.array(found))
    top = max(found)
    assert abs(float(f"{top:.{places}f}") - top) <= 0.00501 * top
    assert places == 0 or 10.0**-places > 0.00099 * top  # and no more digits than that takes


def test_decimals_of_no_length_at_all() -> None:
    assert decimals(np.zeros(3)) == 2
    assert not math.isnan(float(f"{0.0:.{decimals(np.zeros(1))}f}"))
