"""Self-critical training (Rennie et al., 2017): policy gradient on CIDEr-D of sampled captions.

Likelihood trains the next word of a human caption, while evaluation scores generated captions.
Here several captions are sampled for each photo, and those with a higher reward than their siblings
become likelier. The mean of the siblings is the baseline (Luo, 2020): it costs nothing and varies
less than the score of a greedy caption.

Axis names: K photos, S captions sampled for each, B = S * K captions, T words.
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
"""End token of finished captions, in capitals as no word is: without it in the n-grams, truncated
captions ("a dog runs through the") would score as well as complete ones."""


class CaptionReward:
    """CIDEr-D of captions of training photos, less a penalty for objects that are absent.

    Document frequencies are those of all training photos.

    Args:
        references: every photo's captions, and the names of objects present on it.
        vocabulary: decodes sampled captions.
        names: finds object names; None for no penalty.
        absent_weight: penalty for each object that a caption names and that is not present.
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
            drawn: B sampled captions.
            photos: (B,) the photo of each.
        """
        captions = [self.vocabulary.decode(each.ids) + [END] * each.finished for each in drawn]
        references = [self.references[photo] for photo in photos]
        rewards = cider(references, *count_both(captions, references), self.frequencies).d
        if self.names is not None and self.absent_weight:
            rewards = rewards - self.absent_weight * self.absent(drawn, photos)
        return rewards

    def absent(self, drawn: Sequence[Hypothesis], photos: np.ndarray) -> np.ndarray:
        """Number of absent objects that each caption names.  # (B,)"""
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
        logits: (n, V); targets: (n,) sampled words and END; advantage: (n,) of each word's caption.
    """
    return (advantage * F.cross_entropy(logits, targets, reduction="none")).mean()


def drawn_mask(drawn: Sequence[Hypothesis], mask: Tensor) -> Tensor:
    """The mask (B, T) of sampled captions, False at the missing END of unfinished ones."""
    said = mask.clone()
    for row, each in enumerate(drawn):
        if not each.finished:
            said[row, len(each.ids)] = False
    return said
