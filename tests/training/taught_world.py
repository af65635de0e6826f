"""Photos of drawn shapes with German captions, for packs that know English words."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from .small_world import COLOURS, SHAPES, draw_shape

GERMAN = {
    "red": "roter",
    "green": "grüner",
    "blue": "blauer",
    "yellow": "gelber",
    "black": "schwarzer",
    "white": "weißer",
    "pink": "rosa",
    "orange": "oranger",
    "circle": "Kreis",
    "square": "Würfel",
    "triangle": "Spitz",
}


def write_photos(
    folder: Path,
    count: int = 60,
    splits: Sequence[str] = (),
    say: str = "Ein {colour} {shape} auf Grau.",
) -> Path:
    """A folder of photos with `captions.csv`.

    Each kind of shape comes again and again, a little brighter.

    Args:
        splits: of the first photos, then again and again; none for data without splits.
        say: each photo's caption.
    """
    folder.mkdir(parents=True)
    kinds = [(colour, shape) for colour in COLOURS for shape in SHAPES]
    with (folder / "captions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "caption", *(["split"] if splits else [])])
        for number in range(count):
            colour, shape = kinds[number * 7 % len(kinds)]
            pixels = np.asarray(draw_shape(colour, shape), np.int64) + number % 9
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:03}.png")
            caption = say.format(colour=GERMAN[colour], shape=GERMAN[shape], number=number)
            writer.writerow(
                [f"{number:03}.png", caption, *([splits[number % len(splits)]] if splits else [])]
            )
    return folder
