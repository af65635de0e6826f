"""Draws the house.

The packages by layer, each with what it is and what it uses, from docstrings and imports. python -m
tests.house # writes docs/images/house.svg; a test holds it to the code
"""

from __future__ import annotations

import ast
import re
from html import escape
from pathlib import Path
from textwrap import wrap

from .test_imports import FILES, LAYERS, SOURCE, imported, part

PICTURE = Path(__file__).parents[1] / "docs/images/house.svg"
WIDTH, MARGIN, GAP, LINE = 1120, 20, 12, 17
LETTER = 6.2
"""Pixels that a letter of 12 pixels takes on average."""


def purpose(name: str) -> str:
    """The first sentence of a part's docstring."""
    file = SOURCE / f"{name}.py"
    text = ast.get_docstring(
        ast.parse((file if file.exists() else SOURCE / name / "__init__.py").read_text("utf-8"))
    )
    line = (text or "").split("\n")[0]
    return re.split(r"(?<!Eq)\. ", line)[0].rstrip(".")


def uses(name: str) -> list[str]:
    """The parts that a part imports from, but the ground floor, which all use."""
    found = {
        module.split(".")[1]
        for file in FILES
        if part(file) == name
        for module in imported(file)
        if module.startswith("regiontalk.")
    }
    return [other for names in LAYERS[1:] for other in names if other in found - {name}]


def box_lines(name: str, width: float) -> list[tuple[str, str]]:
    """What a box says: kind of line, text."""
    letters = int((width - 2 * GAP) / LETTER)
    lines = [("name", name), *(("text", line) for line in wrap(purpose(name), letters))]
    return [
        *lines,
        *(("uses", line) for line in wrap("← " + ", ".join(uses(name)), letters) if uses(name)),
    ]


def draw() -> str:
    """The picture as SVG; the ground floor is at the bottom."""
    shapes, y = list[str](), float(MARGIN)
    for names in reversed(LAYERS):
        columns = min(len(names), 5)
        for start in range(0, len(names), columns):
            row = names[start : start + columns]
            width = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) / columns
            said = [box_lines(name, width) for name in row]
            height = GAP + LINE * max(map(len, said))
            for place, lines in enumerate(said):
                x = MARGIN + place * (width + GAP)
                shapes.append(
                    f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" '
                    'rx="6"/>'
                )
                shapes += [
                    f'<text class="{kind}" x="{x + GAP:.0f}" '
                    f'y="{y + LINE * (n + 1):.0f}">{escape(text)}</text>'
                    for n, (kind, text) in enumerate(lines)
                ]
            y += height + GAP
        y += GAP
    style = (
        "rect{fill:#f6f7f9;stroke:#8a94a3}text{font:12px sans-serif;fill:#1d1d1f}"
        ".name{font-weight:700;font-size:14px}.uses{fill:#4a5a70;font-style:italic}"
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0f}" width="{WIDTH}">'
    ground = f'<rect x="0" y="0" width="{WIDTH}" height="{y:.0f}" style="fill:#fff;stroke:none"/>'
    return "\n".join([head, f"<style>{style}</style>", ground, *shapes, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
