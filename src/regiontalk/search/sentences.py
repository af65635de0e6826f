"""Sentences by photo: the sum of Eq. 8 runs over each stored sentence's own words, which engines for MaxSim, whose sums
run over the query's, do not compute. So it is done here, exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from regiontalk.alignment.hubness import ranking_regions, ranking_words
from regiontalk.alignment.score import Kind, pad, score_matrix
from regiontalk.search.scoring import top
from regiontalk.structures import Regions, Sentence


def rank_sentences(
    regions: Regions, sentences: Sequence[Sentence], k: int, kind: Kind = "max"
) -> list[tuple[int, float]]:
    """The sentences that fit a photo best.

    Args:
        regions: the photo's, v_i (M, h).
        sentences: each with its words s_t (T, h); read by the same pack.
        k: at least 1.
        kind: "max" for Eq. 8, "sum" for Eq. 7, "mean" for Eq. 8 / words.

    Returns:
        Place and score of the k best, the best first; of equals the first. A score is S_kl less the hubness of both.
    """
    if not sentences:
        return []
    region_vectors, region_counts = pad([ranking_regions(regions)])
    word_vectors, word_counts = pad([ranking_words(each) for each in sentences])
    scores = score_matrix(region_vectors, region_counts, word_vectors, word_counts, kind)[0]  # (L,)
    return [(int(place), float(scores[place])) for place in top(np.asarray(scores), k)]
