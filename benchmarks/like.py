"""Photos by photo: how much alike the captions are of photos that several scores hold to be alike.

python benchmarks/like.py data/flickr8k # 1,000 dev photos, each against the others python
benchmarks/like.py data/flickr8k --photos 300

Every photo is asked for, and the others are ranked by each score. What is found is good if its
captions are like the query's: CIDEr-D of each found caption against the query's, with document
frequencies of all these photos. Each score is compared with the one of `regiontalk search --like`,
query by query, with a 95 % interval. The last column tells how many of the queries find the photo
that is found most often: the more, the less it matters what is asked for.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np
from measuring import arguments, at_least_one, print_table

import regiontalk
from regiontalk.data import read_dataset
from regiontalk.evaluation.captions.ngrams import DocumentFrequencies, cider, count_both
from regiontalk.language.tokenise import tokenise
from regiontalk.search.scoring import cosines, photo_scores
from regiontalk.structures import WHOLE_PHOTO

BEST = 10
NONE = np.empty(0, np.float32)

Score = Callable[[int], np.ndarray]
"""All photos' scores, (N,), for the photo of that number."""


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("dataset", metavar="FOLDER", help="photos with captions")
    parser.add_argument("--split", default="dev", help="which of its photos (default: dev)")
    parser.add_argument(
        "--photos", type=at_least_one, default=1000, help="so many, the first (default: 1000)"
    )
    compare(parser.parse_args())


def compare(options: argparse.Namespace) -> None:
    """A row for each score."""
    model = regiontalk.load(options.pack)
    photos = read_dataset(options.dataset, options.split).photos[: options.photos]
    if len(photos) <= BEST:
        raise SystemExit(
            f"{len(photos)} photos: nothing was measured, which takes more than {BEST}."
        )
    captions = [[tokenise(caption) for caption in each.captions] for each in photos]
    frequencies = DocumentFrequencies.of(captions)
    rows, first = [], None
    for name, score in scores(
        [each.vectors for each in model.look(each.file for each in photos)]
    ).items():
        # found: (N, BEST)
        found = np.stack([best_others(score(photo), photo) for photo in range(len(photos))])
        likeness = caption_likeness(captions, found, frequencies)
        first = likeness if first is None else first
        more = (likeness - first).mean(axis=1)  # (N,)
        beyond = (
            f"{more.mean():+.4f} ± {1.96 * more.std() / np.sqrt(len(more)):.4f}"
            if more.any()
            else ""
        )
        most = np.bincount(found.ravel()).max()
        rows.append(
            [name, f"{likeness[:, 0].mean():.4f}", f"{likeness.mean():.4f}", beyond, f"{most}"]
        )
    title = (
        f"{len(photos)} {options.split} photos, pack {model.pack.settings.name} "
        f"{model.pack.checksum[:12]}"
    )
    print_table(
        title, ["", "CIDEr-D@1", f"CIDEr-D@{BEST}", "beyond the first row's", "most often"], rows
    )


def scores(vectors: Sequence[np.ndarray]) -> dict[str, Score]:
    """Ways to score photos by photo from their regions' vectors, (M, h) each.

    The first is the program's.
    """
    ends = np.cumsum([len(each) for each in vectors])
    raw = np.concatenate(vectors)
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    pooled = np.stack([each.mean(axis=0) for each in vectors])
    whole = np.stack([each[WHOLE_PHOTO] for each in vectors])
    rng = np.random.default_rng(0)

    def rows(photo: int) -> slice:
        return slice(int(ends[photo]) - len(vectors[photo]), int(ends[photo]))

    return {
        "search --like: cosine of means": lambda photo: cosines(pooled, pooled[photo]),
        "dot product of means": lambda photo: pooled @ pooled[photo],
        "cosine of whole photos": lambda photo: cosines(whole, whole[photo]),
        "MaxSim of cosines": lambda photo: photo_scores(unit, NONE, ends, unit[rows(photo)]),
        "MaxSim of dot products": lambda photo: photo_scores(raw, NONE, ends, raw[rows(photo)]),
        "chance": lambda photo: rng.random(len(vectors)),
    }


def best_others(found: np.ndarray, photo: int) -> np.ndarray:
    """The places of the greatest scores, (BEST,), the photo itself left out."""
    order = np.argsort(-found, kind="stable")
    others: np.ndarray = order[order != photo][:BEST]
    return others


def caption_likeness(
    captions: Sequence[Sequence[Sequence[str]]], found: np.ndarray, frequencies: DocumentFrequencies
) -> np.ndarray:
    """CIDEr-D of each found photo's captions against the query's, averaged: (N, BEST)."""
    likeness = np.empty(found.shape)
    for query, places in enumerate(found):
        candidates = [caption for place in places for caption in captions[place]]
        references = [captions[query]] * len(candidates)
        measured = cider(references, *count_both(candidates, references), frequencies).d
        starts = np.cumsum([0, *(len(captions[place]) for place in places[:-1])])
        likeness[query] = np.add.reduceat(measured, starts) / [
            len(captions[place]) for place in places
        ]
    return likeness


if __name__ == "__main__":
    main()
