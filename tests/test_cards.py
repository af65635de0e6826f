"""Colours of cards: text on them can be read, and all eyes can tell them apart."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regiontalk.cards import GREY, INK, contrast, ink_on
from regiontalk.drawing import (
    PALETTE,
    RAMP,
    ramp_colour,
)


def test_contrast_by_hand() -> None:
    assert contrast((255, 255, 255), (255, 255, 255)) == 1
    # WCAG's well-known near miss
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)


@given(fill=st.tuples(*[st.integers(0, 255)] * 3))
def test_text_on_any_colour_can_be_read(fill: tuple[int, int, int]) -> None:
    assert contrast(fill, ink_on(fill)) >= 4.5


def test_text_on_paper_can_be_read() -> None:
    assert contrast(GREY, (255, 255, 255)) >= 4.5
    assert contrast(INK, (255, 255, 255)) >= 7


# Machado, Oliveira and Fernandes 2009, severity 1: linear RGB as seen without one kind of cone
PROTANOPIA = [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
]


DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]


TRITANOPIA = [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.303900],
]


@pytest.mark.parametrize("vision", [np.eye(3), PROTANOPIA, DEUTERANOPIA, TRITANOPIA])
def test_colours_differ_for_all_eyes(vision: list[list[float]]) -> None:
    """By at least 10 in CIE Lab: several times what can just be seen."""
    seen = [lab(np.array(vision) @ linear(colour)) for colour in PALETTE]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) >= 10


@pytest.mark.parametrize("vision", [np.eye(3), PROTANOPIA, DEUTERANOPIA, TRITANOPIA])
def test_the_ramp_darkens_for_all_eyes(vision: list[list[float]]) -> None:
    """By at least 10 of CIE Lab's lightness from colour to colour, and without a turn between."""
    lightness = [lab(np.array(vision) @ linear(colour))[0] for colour in RAMP]
    assert all(before - after >= 10 for before, after in pairwise(lightness))
    fine = [
        lab(np.array(vision) @ linear(ramp_colour(share)))[0] for share in np.linspace(0, 1, 41)
    ]
    assert all(before > after for before, after in pairwise(fine))


def test_the_ramp_meets_its_colours() -> None:
    assert [ramp_colour(share) for share in (0, 0.25, 0.5, 0.75, 1)] == list(RAMP)
    assert ramp_colour(0.125) == (245, 215, 130)


def linear(colour: tuple[int, int, int]) -> np.ndarray:
    values = np.array(colour) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """Linear sRGB → CIE Lab under D65."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    t = (to_xyz @ np.clip(rgb, 0, 1)) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])
