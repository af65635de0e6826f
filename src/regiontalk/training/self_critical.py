"""Self-critical training (Rennie et al., 2017).

Captions that the network draws itself, rewarded by CIDEr-D. Likelihood teaches the next word of a
human caption; what is measured is the caption that the network writes. Here it writes several for
each photo, and those that score above their siblings become likelier. The mean of the siblings is
the baseline (Luo, 2020): it costs nothing and varies less than the score of a greedy caption.

Axis names: K photos, S captions drawn for each, B = S * K captions, T words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from regiontalk.captioning.beam import Hypothesis
from regiontalk.evaluation.captions.ngrams import DocumentFrequencies, cider, count_both
from regiontalk.language import Vocabulary
from regiontalk.training.caption_sources import Names
from regiontalk.training.captioner_data import References

END = "END"
"""Stands after every finished caption, in capitals as no token is: without it in the n-grams,
captions that break off ("a dog runs through the") would score as well as whole ones."""


class CaptionReward:
    """CIDEr-D of captions of training photos, less what is named and not there.

    Document frequencies come from all of these photos.

    Args:
        references: every photo's captions, and what is present on it.
        vocabulary: decodes what was drawn.
        names: of things; None if none are counted.
        absent_weight: taken off for each thing that a caption names and that is not present.
    """

    def __init__(
        self,
        references: References,
        vocabulary: Vocabulary,
        names: Names | None = None,
        absent_weight: float = 0.0,
    ) -> None:
        self.references = [[[*words, END] for words in captions] for captions in references.words]
        self.frequencies = DocumentFrequencies.of(self.references)
        self.present, self.vocabulary = references.present, vocabulary
        self.names, self.absent_weight = names, absent_weight

    def __call__(self, drawn: Sequence[Hypothesis], photos: np.ndarray) -> np.ndarray:
        """The reward of each caption.  # (B,)

        Args:
            drawn: B captions.
            photos: (B,) which photo each is about.
        """
        captions = [self.vocabulary.decode(each.ids) + [END] * each.finished for each in drawn]
        references = [self.references[photo] for photo in photos]
        rewards = cider(references, *count_both(captions, references), self.frequencies).d
        if self.names is not None and self.absent_weight:
            rewards = rewards - self.absent_weight * self.absent(drawn, photos)
        return rewards

    def absent(self, drawn: Sequence[Hypothesis], photos: np.ndarray) -> np.ndarray:
        """How many things each caption names that are not on its photo.  # (B,)"""
        assert self.names is not None
        named = [{name for _, _, name in self.names.find(each.ids)} for each in drawn]
        return np.array(
            [len(own - self.present[photo]) for own, photo in zip(named, photos, strict=True)]
        )


def advantages(rewards: np.ndarray) -> np.ndarray:
    """Advantage of each caption over the leave-one-out mean of its siblings.

    Args:
        rewards: (S, K), S at least 2.

    Returns:
        (S, K); each column sums to 0.
    """
    samples = len(rewards)
    # Leave-one-out: a baseline that does not depend on the caption itself leaves the gradient
    # unbiased.
    siblings = (rewards.sum(0) - rewards) / (samples - 1)
    better: np.ndarray = rewards - siblings
    return better


def policy_loss(logits: Tensor, targets: Tensor, advantage: Tensor) -> Tensor:
    """REINFORCE loss: minus the mean over words of advantage times log-probability.

    Args:
        logits: (n, V); targets: (n,) words that were drawn, and END; advantage: (n,) of each word's
            caption.
    """
    return (advantage * F.cross_entropy(logits, targets, reduction="none")).mean()


def drawn_mask(drawn: Sequence[Hypothesis], mask: Tensor) -> Tensor:
    """The mask (B, T) of drawn captions without the END that unfinished ones never said."""
    said = mask.clone()
    for row, each in enumerate(drawn):
        if not each.finished:
            said[row, len(each.ids)] = False
    return said
