"""What teaching gained: a pack before and after on held-out photos, and when it counts as worse.

Axis names: N held-out photos, L captions of them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from regiontalk.data import Dataset
from regiontalk.evaluation.captions.metric import score_captions
from regiontalk.evaluation.results import draw, interval
from regiontalk.evaluation.retrieval.ranks import MatrixScores, Ranks, rank
from regiontalk.language import tokenise
from regiontalk.model import Model
from regiontalk.training.sentences import caption_words

RECALL_AT = (1, 5)
DRAWS = 1000
"""Of the bootstrap."""


@dataclass(frozen=True)
class HeldOutScores:
    """A pack on held-out photos: all photos against all their captions, and what it writes against what people wrote.

    Attributes:
        ranks: of the captions and photos, L and N.
        cider: (N,) CIDEr of each photo's caption in percent, the document frequencies those of the held-out captions.
    """

    ranks: Ranks
    cider: np.ndarray

    def numbers(self) -> dict[str, float]:
        """Recalls in percent, their mean, and CIDEr."""
        once = np.ones(len(self.cider))
        return {**self.recalls(once), "mean_recall": self.mean_recall(once), "cider": self.mean_cider(once)}

    def recalls(self, weights: np.ndarray) -> dict[str, float]:
        """Recall at 1 and 5 both ways, photo k and its captions counted `weights[k]` times, (N,)."""
        ways = {
            "image_to_text": (self.ranks.photos, weights),
            "text_to_image": (self.ranks.sentences, weights[self.ranks.owners]),
        }
        return {
            f"{way}_r{k}": float(100 * (counted @ (ranks <= k)) / counted.sum())
            for way, (ranks, counted) in ways.items()
            for k in RECALL_AT
        }

    def mean_recall(self, weights: np.ndarray) -> float:
        """The mean of these four."""
        return float(np.mean(list(self.recalls(weights).values())))

    def mean_cider(self, weights: np.ndarray) -> float:
        """CIDEr of photos that count so many times each."""
        return float(weights @ self.cider / weights.sum())


def without_shared(scores: np.ndarray, owners: np.ndarray, captions: Sequence[Hashable]) -> np.ndarray:
    """Scores in which a caption that several photos have is wrong for none of them.

    People say the same of many photos. Whether such a photo finds its own line or another's of the same words says
    nothing, and to count it as a mistake would hide what was learnt.

    Args:
        scores: (N, L), photos by captions.
        owners: (L,) the photo of each caption.
        captions: L, what they say.

    Returns:
        The scores, those of a photo with others' captions that it has as well below all.

    >>> without_shared(np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]]), np.array([0, 1, 1]), ["a", "a", "b"]).tolist()
    [[3.0, 0.0, 1.0], [0.0, 2.0, 3.0]]
    """
    numbers: dict[Hashable, int] = {}
    said = np.array([numbers.setdefault(caption, len(numbers)) for caption in captions])
    has = np.zeros((len(scores), len(numbers)), bool)
    has[owners, said] = True
    shared = has[:, said] & (owners != np.arange(len(scores))[:, None])
    return np.where(shared, scores.min() - 1, scores)


def measure_pack(model: Model, photos: Dataset) -> HeldOutScores:
    """Measure a pack on captioned photos. A caption that several photos have is right for each of them.

    Raises:
        PhotoError: if a photo cannot be read.
    """
    regions = model.look(photos.files)
    captions = [caption for photo in photos.photos for caption in photo.captions]
    owners = np.repeat(np.arange(len(photos)), [len(photo.captions) for photo in photos.photos])
    words = [tuple(tokenise(caption)) for caption in captions]
    ranks = rank(MatrixScores(without_shared(model.score(regions, captions), owners, words), owners))
    written = [tokenise(caption.text) for caption in model.caption(regions)]
    return HeldOutScores(ranks, score_captions(written, caption_words(photos)).means["cider"])


def worsened(before: HeldOutScores, after: HeldOutScores) -> list[str]:
    """What is worse after than before, beyond noise; nothing if nothing is.

    Worse is the mean of the four recalls, or CIDEr, if the 95 % interval of its difference lies below 0 as a whole: by
    the bootstrap over the held-out photos, the same photos drawn for both.
    """
    measured: dict[str, Callable[[HeldOutScores, np.ndarray], float]] = {
        "the mean of the recalls": HeldOutScores.mean_recall,
        "CIDEr": HeldOutScores.mean_cider,
    }
    photos = len(before.cider)
    found = []
    for name, value in measured.items():
        generator = np.random.default_rng(0)
        draws = [draw(photos, generator).astype(np.float64) for _ in range(DRAWS)]
        low, high = interval([value(after, weights) - value(before, weights) for weights in draws])
        if high < 0:
            once = np.ones(photos)
            found.append(
                f"{name} falls from {value(before, once):.1f} to {value(after, once):.1f} "
                f"(95 % interval of the difference: {low:.1f} to {high:.1f})"
            )
    return found
