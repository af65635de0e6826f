"""Searches by sentence where photos have texts of their own.

How often the photo that is meant is the first. python benchmarks/own_texts.py data/flickr8k # 1,000
dev photos python benchmarks/own_texts.py data/flickr8k --photos 500 python benchmarks/own_texts.py
data/flickr8k --photos 500 --generated

A photo's text is its first caption, or with --generated the pack's, its question the second one, or
three words of that. Texts are given to all photos, to half of them, or to a tenth, chosen at
random; R@1 is told of all questions, and of those whose photo has no text, which others' texts may
push down. Each is compared with content alone.
"""

from __future__ import annotations

import argparse
import random

import numpy as np
from measuring import arguments, at_least_one, print_table

import regiontalk
from regiontalk.data import read_dataset
from regiontalk.data.captions import CaptionedPhoto
from regiontalk.language.vocabulary import Vocabulary
from regiontalk.search.texts import TextQuery, Texts

SHARES = {"all": 1.0, "half": 0.5, "a tenth": 0.1}
WORDS = 3


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("dataset", metavar="FOLDER", help="photos with two captions at least")
    parser.add_argument("--split", default="dev", help="which of its photos (default: dev)")
    parser.add_argument(
        "--photos", type=at_least_one, default=1000, help="so many, the first (default: 1000)"
    )
    parser.add_argument(
        "--generated",
        action="store_true",
        help="texts are the pack's captions, corrected by nobody",
    )
    compare(parser.parse_args())


def compare(options: argparse.Namespace) -> None:
    """A row for each kind of question and each share of photos with texts."""
    model, rng = regiontalk.load(options.pack), np.random.default_rng(0)
    photos = read_dataset(options.dataset, options.split).photos[: options.photos]
    vocabulary, looked, rows = model.pack.vocabulary, model.look(each.file for each in photos), []
    written = (each.captions[0] for each in photos)
    own = (
        [model.describe(each).caption.text for each in looked]
        if options.generated
        else list(written)
    )
    chosen = {name: rng.random(len(photos)) < share for name, share in SHARES.items()}
    for kind, questions in asked(photos, vocabulary).items():
        content = model.score(looked, questions).T  # (Q, P), the question of photo q in row q
        for name, having in chosen.items():
            texts = Texts(((p, own[p]) for p in np.flatnonzero(having).tolist()), len(photos))
            found = with_texts(
                content, texts, [TextQuery.of(each, vocabulary) for each in questions]
            )
            everything, others = np.ones(len(photos), bool), ~having
            rows.append(
                [
                    kind,
                    name,
                    *(
                        first(each, part)
                        for part in (everything, others)
                        for each in (content, found)
                    ),
                ]
            )
    title = (
        f"{len(photos)} {options.split} photos, pack {model.pack.settings.name} "
        f"{model.pack.checksum[:12]}"
    )
    print_table(
        title,
        ["asked by", "photos with texts", "R@1", "with texts", "R@1 of the others", "with texts"],
        rows,
    )


def asked(photos: tuple[CaptionedPhoto, ...], vocabulary: Vocabulary) -> dict[str, list[str]]:
    """The questions of each kind, one for each photo."""
    rng, captions = random.Random(0), [each.captions[1] for each in photos]
    words = [TextQuery.of(each, vocabulary).words or ("photo",) for each in captions]
    return {
        "a caption": captions,
        "three words": [
            " ".join(sorted(rng.sample(each, min(WORDS, len(each))), key=each.index))
            for each in words
        ],
    }


def with_texts(content: np.ndarray, texts: Texts, queries: list[TextQuery]) -> np.ndarray:
    """What photos are ranked by, (Q, P)."""
    matches = [texts.match(each) for each in queries]
    rows = zip(matches, content, strict=True)
    return np.stack([row if match is None else match.lifted(row) for match, row in rows])


def first(scores: np.ndarray, part: np.ndarray) -> str:
    """Of some questions (Q,) the share whose own photo is the first, in per cent.

    Ties count against it.
    """
    ranks = (scores >= scores.diagonal()[:, None]).sum(axis=1)
    return f"{100 * (ranks[part] == 1).mean():.1f}" if part.any() else ""


if __name__ == "__main__":
    main()
