"""Reproduce the rows of the paper's tables as one Markdown table.

Every row is trained with several seeds on one vision network, and measured.

    python recipes/paper_tables/run.py                  # all rows on Flickr8k, measured on dev
    python recipes/paper_tables/run.py --split test     # the same runs, for the final table
    python recipes/paper_tables/run.py --data dataset_flickr30k.json --runs runs/flickr30k_tables

Each run goes on where it was stopped, and a finished one is only measured. Numbers go to
`results_SPLIT.json` in the folder of the runs, the table to stdout. Each row is a TOML file beside
this script.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from regiontalk.captioning.attention import without_regions
from regiontalk.captioning.captioner import Captioner
from regiontalk.data import Dataset, RegionStore, read_dataset
from regiontalk.evaluation.captions.metric import caption_scores
from regiontalk.evaluation.captions.run import nearest
from regiontalk.language import tokenise
from regiontalk.training.alignment_config import AlignmentConfig
from regiontalk.training.alignment_net import read_alignment
from regiontalk.training.captioner_config import CaptionerConfig
from regiontalk.training.captioner_net import read_captioner
from regiontalk.training.config import read_config
from regiontalk.training.losses import measure_retrieval
from regiontalk.training.region_stores import store_regions
from regiontalk.training.regions import CachedFeatures
from regiontalk.training.sentences import caption_words, encode_captions
from regiontalk.training.train_alignment import train_alignment
from regiontalk.training.train_captioner import train_captioner
from regiontalk.training.vision_graph import read_graph, read_settings

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ALIGNMENTS, CAPTIONERS = ("eq7", "single_words", "brnn"), ("rnn", "lstm")
BEAMS = (1, 7)
LONGEST = 20
RETRIEVAL_COLUMNS = [
    f"{way}_{name}"
    for way in ("image_to_text", "text_to_image")
    for name in ("r1", "r5", "r10", "median_rank")
]
CAPTION_COLUMNS = ["bleu1", "bleu2", "bleu3", "bleu4", "rouge_l", "cider"]
Numbers = dict[str, float]


class Tables:
    """One dataset, one vision network, and the runs on them.

    Args:
        options: of the command line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.data, self.vision, self.runs = options.data, options.vision, options.runs
        self.dataset = read_dataset(options.data, options.split)
        self.settings = read_settings(options.vision)
        self.store = self.regions(self.dataset)

    def regions(self, dataset: Dataset) -> RegionStore:
        folder = self.runs / "regions" / dataset.name / dataset.split
        return store_regions(read_graph(self.vision), self.settings, dataset, folder)

    def shared(self, row: str, seed: int) -> dict[str, Any]:
        """What a row's own file does not decide."""
        return {
            "vision": self.vision,
            "regions": self.runs / "regions",
            "output": self.runs / row / str(seed),
            "seed": seed,
        }

    def alignment(self, row: str, seed: int) -> dict[str, Numbers]:
        config = read_config(HERE / f"{row}.toml", AlignmentConfig)
        config = replace(
            config, data=((self.data, 1.0),), dev=(self.data,), **self.shared(row, seed)
        )
        train_alignment(config)
        vocabulary, net = read_alignment(config.output)
        sentences = encode_captions(caption_words(self.dataset), vocabulary, config.longest)
        return {
            row: measure_retrieval(
                net,
                CachedFeatures(self.store, "cpu"),
                sentences,
                config.score,
                "cpu",
                self.settings,
            )
        }

    def captioner(self, row: str, seed: int) -> dict[str, Numbers]:
        alignment = self.runs / "brnn" / "0"  # for its vocabulary
        config = read_config(HERE / f"{row}.toml", CaptionerConfig)
        config = replace(
            config, data=((self.data, 1.0),), dev=(self.data,), **self.shared(row, seed)
        )
        config = replace(config, alignment=alignment)
        train_captioner(config)
        vocabulary, _ = read_alignment(alignment)
        captioner = Captioner(read_captioner(config.output), config.cell)
        contexts = without_regions(np.asarray(self.store.features[:, 0], np.float32))
        found = {}
        for beam in BEAMS:
            best = [hypotheses[0] for hypotheses in captioner.beam(contexts, beam, LONGEST)]
            found[f"{row}, beam {beam}"] = self.score(
                [vocabulary.decode(each.ids) for each in best]
            )
        return found

    def nearest_neighbour(self) -> dict[str, Numbers]:
        """The first caption of the training photo whose features are the closest (L2)."""
        train_set = read_dataset(self.data, "train")
        queries, candidates = (
            np.asarray(s.features[:, 0]) for s in (self.store, self.regions(train_set))
        )
        rows = nearest(queries.astype(np.float32), candidates.astype(np.float32))
        return {
            "nearest neighbour": self.score(
                [tokenise(train_set.photos[row].captions[0]) for row in rows]
            )
        }

    def score(self, captions: list[list[str]]) -> Numbers:
        return caption_scores(captions, caption_words(self.dataset)).by_name()


def measure(options: argparse.Namespace) -> dict[str, list[Numbers]]:
    """Every row's numbers, one for each seed."""
    tables, results = Tables(options), dict[str, list[Numbers]]()
    file = options.runs / f"results_{options.split}.json"
    for seed in range(options.seeds):
        for row in options.rows:
            if row in ALIGNMENTS:
                found = tables.alignment(row, seed)
            elif row in CAPTIONERS:
                found = tables.captioner(row, seed)
            else:
                found = tables.nearest_neighbour() if seed == 0 else {}
            for name, numbers in found.items():
                results.setdefault(name, []).append(numbers)
            file.write_text(json.dumps(results, indent=1) + "\n")
    return results


def table(results: dict[str, list[Numbers]], columns: list[str]) -> str:
    """Mean ± standard deviation over the seeds, as Markdown.

    Rows without these columns are left out.
    """
    rows = [name for name, numbers in results.items() if columns[0] in numbers[0]]
    lines = ["| row | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in rows:
        values = np.array([[numbers[column] for column in columns] for numbers in results[name]])
        cells = [
            f"{mean:.1f} ± {spread:.1f}" if len(values) > 1 else f"{mean:.1f}"
            for mean, spread in zip(
                values.mean(0), values.std(0, ddof=min(1, len(values) - 1)), strict=True
            )
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) if rows else ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=ROOT / "data/flickr8k", help="as for `regiontalk evaluate`"
    )
    parser.add_argument("--vision", type=Path, default=ROOT / "runs/default/alignment")
    parser.add_argument(
        "--runs", type=Path, default=ROOT / "runs/paper_tables", help="where the runs lie"
    )
    parser.add_argument("--split", default="dev")
    parser.add_argument("--seeds", type=int, default=3)
    every = ["nearest", *ALIGNMENTS, *CAPTIONERS]
    parser.add_argument("--rows", nargs="+", choices=every, default=every)
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    results = measure(options)
    print(
        "\n\n".join(
            filter(None, (table(results, RETRIEVAL_COLUMNS), table(results, CAPTION_COLUMNS)))
        )
    )


if __name__ == "__main__":
    main()
