"""Words that nothing in training says: how many find their photo among held-out ImageNet samples.

    python recipes/default/unsaid_words.py DATA runs/default/pack

Every third ImageNet sample, by name, and its class's name are held out of training (see
`prepare.py`). Of these classes those count whose last word neither captions nor names of boxes
taught the pack: it can only have a place through word vectors. Each is searched for by its name
among all held-out samples; ties count against the pack.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from prepare import IMAGENET_HELD_OUT_EVERY, class_name, imagenet_samples

import regiontalk
from regiontalk.language import tokenise

AT = (1, 5, 10)


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("pack", help="as for --pack")
    options = parser.parse_args()
    model = regiontalk.load(options.pack)
    photos = imagenet_samples(options.data)[::IMAGENET_HELD_OUT_EVERY]
    names = [class_name(photo) for photo in photos]
    kinds = [model.pack.vocabulary.kind(tokenise(name)[-1]) for name in names]
    asked = [row for row, kind in enumerate(kinds) if kind != "learnt"]
    scores = model.score(photos, [names[row] for row in asked]).T  # (asked, photos)
    ranks = np.array([int((scores[i] >= scores[i, row]).sum()) for i, row in enumerate(asked)])
    found = {f"r{at}": round(100 * float((ranks <= at).mean()), 1) for at in AT}
    result = {
        **found,
        "median_rank": float(np.median(ranks)),
        "words": len(asked),
        "placed": sum(kinds[row] == "placed" for row in asked),
        "photos": len(photos),
        "chance_r10": round(100 * AT[-1] / len(photos), 1),
        "pack_sha256": model.pack.checksum,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
