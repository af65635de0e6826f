"""Which of the captions that a search found says best what is seen.

A captioner prefers what is often said; the alignment tells how well a sentence fits these very regions, of which the
captioner saw no more than the whole photo. Together they choose better than either.
"""

from __future__ import annotations

from collections.abc import Sequence

from regiontalk.captioning.beam import Hypothesis


def best_fitting(
    found: Sequence[Hypothesis], scores: Sequence[float], weight: float, length_normalisation: float = 0.0
) -> Hypothesis:
    """The hypothesis with the largest log-probability / length ** α + weight · S_kl; unfinished ones come last.

    Args:
        found: what a search gave, at least one.
        scores: S_kl of each with the regions that it shall describe.
        weight: of S_kl, in nats for each unit of it.
        length_normalisation: α of the search.

    >>> likely, fitting = Hypothesis((5, 6), -1.0), Hypothesis((7,), -2.0)
    >>> best_fitting([likely, fitting], [0.5, 2.0], weight=0.5) == likely  # -1.0 + 0.25 against -2.0 + 1.0
    True
    >>> best_fitting([likely, fitting], [0.5, 2.0], weight=1.0) == fitting  # -1.0 + 0.5 against -2.0 + 2.0
    True
    """
    ranks = [each.rank(length_normalisation) + weight * score for each, score in zip(found, scores, strict=True)]
    return found[max(range(len(found)), key=lambda k: (found[k].finished, ranks[k]))]
