"""Keep a finished alignment run in 15 MB, so that others can go on from it.

Its weights are kept as float16, and its graph.

    python recipes/default/keep_alignment.py runs/default/alignment recipes/default/alignment

Captioners and export take the kept folder for the run itself; the backbone's float weights stay
behind.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from regiontalk.training.alignment_net import VOCABULARY, WEIGHTS
from regiontalk.training.checkpoint import KEPT_SETTINGS, read_finished, run_settings, write_tensors
from regiontalk.training.vision_graph import BACKBONE, GRAPH, SETTINGS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    weights = read_finished(args.run, WEIGHTS)
    write_tensors({name: value.half() for name, value in weights.items()}, args.output / WEIGHTS)
    for name in (VOCABULARY, BACKBONE, SETTINGS, GRAPH):
        shutil.copyfile(args.run / name, args.output / name)
    (args.output / KEPT_SETTINGS).write_text(
        json.dumps(run_settings(args.run)) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
