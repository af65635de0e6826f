"""Reliability diagram as SVG: observed frequency over mean predicted probability, for each bin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from regiontalk.drawing import PALETTE
from regiontalk.report.figures import css

if TYPE_CHECKING:
    from regiontalk.evaluation.certainty.metric import Bin

_SIDE, _LEFT, _TOP, _RIGHT, _BOTTOM = 360, 56, 16, 16, 48
"""Pixels: side of the square plot area, and the margins around it."""
_TICKS = range(0, 101, 20)
_LARGEST = 14.0  # radius in pixels of the dot of the fullest bin


def reliability_diagram(bins: Sequence[Bin]) -> str:
    """Draws a dot for each bin, sized by its number of questions.

    Bins on the diagonal are perfectly calibrated.

    Args:
        bins: at least one.
    """
    width, height = _LEFT + _SIDE + _RIGHT, _TOP + _SIDE + _BOTTOM
    most = max(each.questions for each in bins)
    says = ", ".join(f"told {each.told:.0%} is so in {each.shown:.0%}" for each in bins)
    middle = _LEFT + _SIDE / 2
    return "\n".join(
        [
            f"<svg xmlns='http://www.w3.org/2000/svg' role='img' aria-label='Reliability: {says}' "
            f"viewBox='0 0 {width} {height}' width='{width}' font-family='sans-serif' "
            "font-size='13' fill='#1d1d1f'>",
            f"<rect width='{width}' height='{height}' fill='#fff'/>",
            *(_tick(percent) for percent in _TICKS),
            (
                f"<line x1='{_x(0)}' y1='{_y(0)}' x2='{_x(1)}' y2='{_y(1)}' stroke='#8a94a3' "
                "stroke-dasharray='6 4'/>"
            ),
            *(_dot(each, most) for each in bins),
            f"<text x='{middle}' y='{height - 8}' text-anchor='middle'>told as sure</text>",
            (
                f"<text transform='translate(14 {_TOP + _SIDE / 2}) rotate(-90)' "
                "text-anchor='middle'>is there</text>"
            ),
            "</svg>",
            "",
        ]
    )


def _tick(percent: int) -> str:
    x, y = _x(percent / 100), _y(percent / 100)
    grid = "stroke='#1d1d1f' stroke-opacity='.15'"
    return (
        f"<line x1='{_x(0)}' y1='{y}' x2='{_x(1)}' y2='{y}' {grid}/><line x1='{x}' y1='{_y(0)}' "
        f"x2='{x}' y2='{_y(1)}' {grid}/><text x='{_LEFT - 8}' y='{y + 4}' "
        f"text-anchor='end'>{percent} %</text><text x='{x}' y='{_y(0) + 18}' "
        f"text-anchor='middle'>{percent} %</text>"
    )


def _dot(each: Bin, most: int) -> str:
    radius = 3 + (_LARGEST - 3) * (each.questions / most) ** 0.5
    title = f"{each.questions} answers, told {each.told:.0%}, so {each.shown:.0%}"
    return (
        f"<circle cx='{_x(each.told):.1f}' cy='{_y(each.shown):.1f}' r='{radius:.1f}' "
        f"fill='{css(PALETTE[1])}' fill-opacity='.8'><title>{title}</title></circle>"
    )


def _x(share: float) -> float:
    return _LEFT + _SIDE * share


def _y(share: float) -> float:
    return _TOP + _SIDE * (1 - share)
