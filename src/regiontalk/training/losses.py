"""The image-sentence score (Eq. 7, 8) and ranking losses over a batch of it (Eq. 9 and later ones), for training.

Axis names: K photos, L sentences, M regions, T words, h shared space.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

LOWEST = -1e9
"""Stands for minus infinity: its gradient is zero and never NaN."""


def score_batch(regions: Tensor, region_mask: Tensor, words: Tensor, word_mask: Tensor, kind: str) -> Tensor:
    """S_kl of every photo with every sentence.

    Args:
        regions: (K, M, h); region_mask: (K, M), True on regions.
        words: (L, T, h); word_mask: (L, T), True on words.
        kind: "max", Eq. 8: every word takes its best region; "sum", Eq. 7: all positive products count.

    Returns:
        (K, L).
    """
    photos, count, dim = regions.shape
    spoken = word_mask.flatten().nonzero()[:, 0]  # padding, near half of all positions, is never multiplied
    products = (words.reshape(-1, dim)[spoken] @ regions.reshape(-1, dim).T).view(-1, photos, count)  # (n, K, M)
    if kind == "max":
        per_word = products.masked_fill(~region_mask, LOWEST).max(-1).values  # lowest first: a maximum may be negative
    else:
        per_word = (products.clamp(min=0) * region_mask).sum(-1)
    sums = per_word.new_zeros(len(words), photos, dtype=torch.float32)
    return sums.index_add(0, spoken // words.shape[1], per_word.float()).T


def margin_loss(scores: Tensor, negative: Tensor) -> Tensor:
    """Eq. 9, per pair: every wrong sentence and every wrong photo should score 1 less than the right one.

    Args:
        scores: (K, K), the pair's own score on the diagonal.
        negative: (K, K), False on the diagonal and where a sentence describes the photo all the same.
    """
    own = scores.diagonal()
    sentences = (scores - own[:, None] + 1).clamp(min=0) * negative
    photos = (scores - own[None, :] + 1).clamp(min=0) * negative
    return (sentences.sum() + photos.sum()) / len(scores)


def hard_negative_loss(scores: Tensor, negative: Tensor) -> Tensor:
    """Eq. 9 with the worst offender only, in each direction (Faghri et al., 2018)."""
    own = scores.diagonal()
    offenders = scores.masked_fill(~negative, LOWEST)
    sentences = (offenders.amax(1) - own + 1).clamp(min=0)
    photos = (offenders.amax(0) - own + 1).clamp(min=0)
    return (sentences.sum() + photos.sum()) / len(scores)


def info_nce_loss(scores: Tensor, negative: Tensor) -> Tensor:
    """Cross-entropy of the right one among the batch, both directions, in nats (van den Oord et al., 2018)."""
    own = torch.arange(len(scores), device=scores.device)
    allowed = scores.masked_fill(~(negative | torch.eye(len(scores), dtype=torch.bool, device=scores.device)), LOWEST)
    return F.cross_entropy(allowed, own) + F.cross_entropy(allowed.T, own)


RANKING_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "margin": margin_loss,
    "hard_negative": hard_negative_loss,
    "info_nce": info_nce_loss,
}


def negatives(photo_of_pair: Tensor) -> Tensor:
    """Which sentences are wrong for which photo: those of other photos.  # (K,) → (K, K)"""
    return photo_of_pair[:, None] != photo_of_pair[None, :]
