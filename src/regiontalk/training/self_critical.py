"""Self-critical training (Rennie et al., 2017): captions that the network draws itself, rewarded by CIDEr-D.

Likelihood teaches the next word of a human caption; what is measured is the caption that the network writes. Here it
writes several for each photo, and those that score above their siblings become likelier. The mean of the siblings is
the baseline (Luo, 2020): it costs nothing and varies less than the score of a greedy caption.

Axis names: K photos, S captions drawn for each, B = S * K captions, T words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from regiontalk.captioning.beam import Hypothesis
from regiontalk.evaluation.cider import DocumentFrequencies, cider
from regiontalk.evaluation.ngrams import count_both
from regiontalk.language import Vocabulary

END = "END"
"""Stands after every finished caption, in capitals as no token is: without it in the n-grams, captions that break off
("a dog runs through the") would score as well as whole ones."""


class CiderReward:
    """CIDEr-D of captions of training photos, document frequencies from all of these.

    Args:
        references: every photo's captions as tokens.
        vocabulary: decodes what was drawn.
    """

    def __init__(self, references: Sequence[Sequence[Sequence[str]]], vocabulary: Vocabulary) -> None:
        self.references = [[[*words, END] for words in captions] for captions in references]
        self.frequencies = DocumentFrequencies.of(self.references)
        self.vocabulary = vocabulary

    def __call__(self, drawn: Sequence[Hypothesis], photos: np.ndarray) -> np.ndarray:
        """The reward of each caption, 0..10.  # (B,)

        Args:
            drawn: B captions.
            photos: (B,) which photo each is about.
        """
        captions = [self.vocabulary.decode(each.ids) + [END] * each.finished for each in drawn]
        references = [self.references[photo] for photo in photos]
        return cider(references, *count_both(captions, references), self.frequencies).d


def advantages(rewards: np.ndarray) -> np.ndarray:
    """How much better each caption is than the mean of its siblings.

    Args:
        rewards: (S, K), S at least 2.

    Returns:
        (S, K); each column sums to 0.
    """
    samples = len(rewards)
    siblings = (rewards.sum(0) - rewards) / (samples - 1)
    better: np.ndarray = rewards - siblings
    return better


def policy_loss(logits: Tensor, targets: Tensor, mask: Tensor, advantage: Tensor) -> Tensor:
    """Minus the mean over words of advantage times log-probability: its gradient is that of the expected reward.

    Args:
        logits: (B, T, V); targets: (B, T) words that were drawn, and END; mask: (B, T), True where one stands.
        advantage: (B,).
    """
    log_probs = logits.log_softmax(-1).gather(-1, targets[..., None])[..., 0]  # (B, T)
    return -(advantage[:, None] * log_probs * mask).sum() / mask.sum()


def drawn_mask(drawn: Sequence[Hypothesis], mask: Tensor) -> Tensor:
    """The mask (B, T) of drawn captions without the END that unfinished ones never said."""
    said = mask.clone()
    for row, each in enumerate(drawn):
        if not each.finished:
            said[row, len(each.ids)] = False
    return said
