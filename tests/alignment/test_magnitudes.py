"""Lengths of vectors: by hand, and what holds for all."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.alignment.magnitudes import decimals, lengths_of, longest, shortest
from regiontalk.language.reader import WordsReader

from ..tiny_pack import WORDS, tiny_arrays, tiny_settings

LENGTHS = st.lists(st.integers(0, 5), min_size=1, max_size=30).map(lambda values: np.array(values, float))
"""Whole numbers from a small range, so that there are ties."""


def test_lengths_by_hand() -> None:
    vectors = np.array([[3, 4, 0], [0, 0, 0], [-1, 2, -2], [0, 0, 0.5]], np.float32)
    found = lengths_of(vectors)
    assert found.dtype == np.float64
    assert found.tolist() == [5, 0, 3, 0.5]


def test_lengths_of_half_precision_do_not_overflow() -> None:
    """The squares of these numbers are beyond float16 and float32."""
    assert lengths_of(np.full((1, 4), 6e4, np.float16)) == pytest.approx([2 * float(np.float16(6e4))])
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
    before, after = (lengths_of(np.concatenate(WordsReader(each).read(words))) for each in (weights, scaled))
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
