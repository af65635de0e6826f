"""Make a finished run of the weights in `alignment_longest/`, to tune on from there or to train captioners on.

    python recipes/flickr8k_gru/unpack.py [DATA]

DATA holds ``flickr8k`` (by default `data/` at the top of the repository): typical photos say how large the values in
the int8 graph become. The run is written to `runs/flickr8k_gru/alignment_longest`.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np

from regiontalk.data import read_dataset
from regiontalk.photos import open_photo
from regiontalk.training.train_alignment import VOCABULARY, WEIGHTS
from regiontalk.training.vision_graph import TYPICAL_PHOTOS, read_vision, save_vision
from regiontalk.vision.session import prepare

STAGE = "alignment_longest"
HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def main(data: Path) -> None:
    network, settings = read_vision(HERE / STAGE)
    photos = read_dataset(data / "flickr8k", "train").photos[:TYPICAL_PHOTOS]
    pixels = [prepare(open_photo(photo.file, min_side=settings.size).image, settings.size) for photo in photos]
    run = ROOT / "runs" / HERE.name / STAGE
    run.mkdir(parents=True, exist_ok=True)
    for name in (WEIGHTS, VOCABULARY):
        shutil.copy(HERE / STAGE / name, run / name)
    save_vision(run, network, settings, np.stack(pixels))
    print(run)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "data")
