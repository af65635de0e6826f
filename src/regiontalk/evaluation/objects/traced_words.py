"""Where a captioner looked as it named things: of the class words for what is there, how many lie on its box.

A word is traced to a region (`Caption.word_regions`); it is right if that region's centre lies inside a box of its
class, as in the pointing game of `regiontalk.evaluation.grounding.metric`, whose baselines stand beside. A word for
which the captioner looked at nothing is wrong.

Axis names: M regions, T words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from regiontalk.evaluation.grounding.metric import Query, grounding, times_best_baseline
from regiontalk.evaluation.objects.mentions import Mention
from regiontalk.structures import Caption, Regions


@dataclass(frozen=True, eq=False)
class TracedCaption:
    """A caption's words with their regions.

    Attributes:
        word_regions: T rows of `boxes`; None for words that name nothing.
        boxes: (M, 4) xyxy in pixels, the whole photo first.
        scores: (M,) how sure the network is of each.
    """

    word_regions: tuple[int | None, ...]
    boxes: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(cls, caption: Caption, regions: Regions) -> TracedCaption:
        """A caption of a photo with these regions."""
        return cls(caption.word_regions, regions.boxes_xyxy, regions.scores)

    def query(self, mention: Mention, label: str, truth: np.ndarray, photo: int) -> Query:
        """Whether a mention's last word, the noun, lies on one of the true boxes (B, 4)."""
        scores, region = np.zeros(len(self.boxes)), self.word_regions[mention.end - 1]
        if region is not None:  # else all are alike, and ties count against
            scores[region] = 1.0
        return Query(label, truth, self.boxes, scores, self.scores, photo=photo)


def traced_scores(queries: Sequence[Query]) -> dict[str, Any]:
    """Pointing accuracy of the words and of baselines, in percent.

    Returns:
        `{"words", "micro": {method: percent}, "macro": {method: percent}, "times_best_baseline"}`, the latter of micro;
        only `words`, 0, if there is no query.
    """
    if not queries:
        return {"words": 0}
    found = grounding(queries)
    tables = {
        way: {method: numbers["pointing"] for method, numbers in found[way].items()} for way in ("micro", "macro")
    }
    return {"words": len(queries), **tables, "times_best_baseline": times_best_baseline(found["micro"])}
