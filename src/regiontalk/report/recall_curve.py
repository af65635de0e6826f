"""Recall at k over k as an SVG chart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from regiontalk.drawing import PALETTE
from regiontalk.report.figures import css

# Layout in SVG units
_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 16, 46
_TICKS = (1, 2, 5, 10, 20, 50, 100)
_FURTHEST = 100
_DASHES = ("", "7 4")
_MARKED = (1, 5, 10)


def recalls(ranks: np.ndarray, furthest: int) -> np.ndarray:
    """Recall at 1 to `furthest` in percent, (furthest,), from ranks that start at 1.

    >>> recalls(np.array([1, 3]), 4).tolist()
    [50.0, 50.0, 100.0, 100.0]
    """
    counts = np.bincount(np.minimum(ranks, furthest + 1), minlength=furthest + 2)[1 : furthest + 1]
    curve: np.ndarray = 100 * np.cumsum(counts) / len(ranks)
    return curve


def recall_curve(ranks: Mapping[str, np.ndarray], candidates: int) -> str:
    """Plots recall at k over k, on a logarithmic axis.

    Args:
        ranks: name of each curve -> the ranks of all its queries; at most two.
        candidates: number of ranked candidates; the curves end there, or at 100.
    """
    furthest = max(2, min(_FURTHEST, candidates))
    curves = {name: recalls(each, furthest) for name, each in ranks.items()}
    says = "; ".join(
        f"{name}: " + ", ".join(f"{curve[k - 1]:.1f} % at {k}" for k in _MARKED if k <= furthest)
        for name, curve in curves.items()
    )
    lines = "".join(_curve(curve, place) for place, curve in enumerate(curves.values()))
    return (
        f"<svg class='curve' role='img' aria-label='Recall over k. {escape(says, quote=True)}' "
        f"viewBox='0 0 {_WIDTH} {_HEIGHT}' font-family='sans-serif' font-size='13' "
        f"fill='currentColor'>{_grid(furthest)}{lines}{_legend(list(curves))}</svg>"
    )


def _grid(furthest: int) -> str:
    parts = []
    for percent in range(0, 101, 20):
        y = _y(percent)
        parts.append(_line(_LEFT, y, _WIDTH - _RIGHT, y))
        parts.append(f"<text x='{_LEFT - 8}' y='{y + 4:.1f}' text-anchor='end'>{percent} %</text>")
    for k in (tick for tick in _TICKS if tick <= furthest):
        x = _x(k, furthest)
        parts.append(_line(x, _TOP, x, _HEIGHT - _BOTTOM))
        parts.append(
            f"<text x='{x:.1f}' y='{_HEIGHT - _BOTTOM + 18}' text-anchor='middle'>{k}</text>"
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f"<text x='{middle:.0f}' y='{_HEIGHT - 8}' text-anchor='middle'>among the first k</text>"
    )
    return "".join(parts)


def _curve(curve: np.ndarray, place: int) -> str:
    furthest = len(curve)
    points = " ".join(
        f"{_x(k, furthest):.1f},{_y(value):.1f}" for k, value in enumerate(curve.tolist(), start=1)
    )
    dots = "".join(
        f"<circle cx='{_x(k, furthest):.1f}' cy='{_y(float(curve[k - 1])):.1f}' r='4' "
        f"fill='{css(PALETTE[place])}'><title>R@{k} {curve[k - 1]:.1f} %</title></circle>"
        for k in _MARKED
        if k <= furthest
    )
    return f"<polyline points='{points}' fill='none' {_stroke(place)}/>{dots}"


def _legend(names: Sequence[str]) -> str:
    parts = []
    for place, name in enumerate(names):
        y = _HEIGHT - _BOTTOM - 14 - 20 * (len(names) - 1 - place)
        x = _WIDTH - _RIGHT - 190
        parts.append(f"<line x1='{x}' y1='{y}' x2='{x + 30}' y2='{y}' {_stroke(place)}/>")
        parts.append(f"<text x='{x + 38}' y='{y + 4}'>{escape(name)}</text>")
    return "".join(parts)


def _stroke(place: int) -> str:
    return (
        f"stroke='{css(PALETTE[place])}' stroke-width='3' "
        f"stroke-dasharray='{_DASHES[place] or 'none'}'"
    )


def _line(x0: float, y0: float, x1: float, y1: float) -> str:
    return (
        f"<line x1='{x0:.1f}' y1='{y0:.1f}' x2='{x1:.1f}' y2='{y1:.1f}' stroke='currentColor' "
        "stroke-opacity='.15'/>"
    )


def _x(k: int, furthest: int) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * math.log(k) / math.log(furthest)


def _y(percent: float) -> float:
    return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - percent / 100)
