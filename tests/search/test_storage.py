"""Vectors survive being stored, within what their type can hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from regiontalk.errors import DataError
from regiontalk.search.storage import decode, encode, floats

VECTORS = arrays(np.float32, (4, 5), elements=st.floats(-1000, 1000, width=32))


@given(VECTORS)
def test_float32_is_exact(vectors: np.ndarray) -> None:
    assert np.array_equal(decode(*encode(vectors, "float32")), vectors)


@given(VECTORS)
def test_float16_keeps_three_digits(vectors: np.ndarray) -> None:
    np.testing.assert_allclose(
        decode(*encode(vectors, "float16")), vectors, rtol=2**-11, atol=2**-24
    )


@given(VECTORS)
def test_int8_errs_by_half_a_step_at_most(vectors: np.ndarray) -> None:
    stored, scales = encode(vectors, "int8")
    assert stored.dtype == np.int8
    error = np.abs(decode(stored, scales) - vectors)
    assert (error <= scales[:, None] * 0.5001 + 1e-30).all()


def test_every_float16_is_read_exactly() -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)]
    assert np.array_equal(floats(finite), finite.astype(np.float32))
    assert np.array_equal(np.signbit(floats(finite)), np.signbit(finite))


def test_int8_by_hand() -> None:
    stored, scales = encode(np.array([[127.0, -1.0], [0.0, 0.0]]), "int8")
    assert stored.tolist() == [[127, -1], [0, 0]]
    assert scales.tolist() == [1.0, 0.0]


def test_what_cannot_be_stored_is_refused() -> None:
    with pytest.raises(DataError, match="not finite"):
        encode(np.array([[np.nan]]), "float32")
    with pytest.raises(DataError, match="too large for float16"):
        encode(np.array([[1e6]]), "float16")
    with pytest.raises(ValueError, match="float32, float16, int8"):
        encode(np.ones((1, 1)), "float8")
