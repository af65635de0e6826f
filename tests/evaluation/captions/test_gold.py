"""Scores and tokenisers against published numbers.

13 systems on Flickr8k's test photos, scored by coco-caption.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from pathlib import Path

import pytest

from regiontalk.data.caption_formats import read_rows
from regiontalk.evaluation.captions.metric import caption_scores
from regiontalk.evaluation.captions.ptb import ptb_tokenise
from regiontalk.language import tokenise

DATA = Path(os.environ.get("REGIONTALK_DATA") or Path(__file__).parents[4] / "shared" / "data")
GOLD = DATA / "gold" / "flickr8k"
CAPTIONS = DATA / "flickr8k" / "captions.csv"
SYSTEMS = [
    "human_1",
    *(f"{kind}_{n}" for kind in ("init", "pre", "par", "merge") for n in (1, 2, 3)),
]

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(
        not (GOLD.is_dir() and CAPTIONS.is_file()),
        reason="needs gold/flickr8k and flickr8k/captions.csv below ../shared/data or "
        "$REGIONTALK_DATA",
    ),
]


@pytest.fixture(scope="module")
def human() -> list[list[list[str]]]:
    """The five human captions of each test photo, as the published scores had them.

    They are the raw captions under the paper's rule, but that the one "&" and the one "#" stayed as
    words: BLEU's and ROUGE-L's reference lengths show it. Then coco-caption tokenised what was
    left, where "cannot" is two words.
    """
    captions = defaultdict(list)
    for row in read_rows(CAPTIONS):
        pieces = re.split("([&#])", row.captions[0])
        words = [
            word
            for piece in pieces
            for word in ([piece] if piece in ("&", "#") else tokenise(piece))
        ]
        captions[row.name].append(ptb_tokenise(" ".join(words)))
    return [captions[name] for name in (GOLD / "images.txt").read_text().split()]


@pytest.fixture(scope="module")
def published() -> dict[str, dict[str, float]]:
    return json.loads((GOLD / "published_scores.json").read_text())


def captions_of(system: str) -> list[str]:
    return (GOLD / f"{system}.txt").read_text().splitlines()


def test_all_published_systems_are_checked(published: dict[str, dict[str, float]]) -> None:
    assert sorted(published) == sorted(SYSTEMS)


@pytest.mark.parametrize("system", SYSTEMS)
def test_scores_are_what_was_published(
    system: str, human: list[list[list[str]]], published: dict[str, dict[str, float]]
) -> None:
    scores = caption_scores([caption.split() for caption in captions_of(system)], human)
    for order in range(1, 5):
        assert getattr(scores, f"bleu{order}") / 100 == pytest.approx(
            published[system][f"Bleu_{order}"], abs=1e-11
        )
    assert scores.rouge_l / 100 == pytest.approx(published[system]["ROUGE_L"], abs=1e-11)
    # A word or two of the references is still other than it was, where no system had it right: see
    # the docs.
    assert scores.cider / 100 == pytest.approx(published[system]["CIDEr"], abs=3e-5)
    assert scores.cider_plain / 100 > published[system]["CIDEr"] + 0.05


@pytest.mark.parametrize("system", SYSTEMS)
def test_published_captions_are_tokenised_already(system: str) -> None:
    for caption in captions_of(system):
        assert tokenise(caption) == caption.split()


@pytest.mark.parametrize("system", SYSTEMS)
def test_published_captions_are_tokenised_already_for_coco_caption_too(system: str) -> None:
    for caption in captions_of(system):
        assert ptb_tokenise(caption) == caption.split()


def test_every_human_caption_is_one_of_the_five_word_for_word(human: list[list[list[str]]]) -> None:
    for caption, five in zip(captions_of("human_1"), human, strict=True):
        assert caption.split() in five
