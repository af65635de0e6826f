"""Losses of the alignment on batches of image-sentence scores (Eq. 7 to 9), and recalls on dev.

Axis names: K photos, L sentences, M regions, T words, h shared space. A pair is a sentence with its
own photo: there are L. A batch with one sentence a photo is the paper's; more of them give each
pair more negative sentences.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from regiontalk.alignment.score import pad, score_matrix
from regiontalk.evaluation.retrieval.metric import NAMES, WAYS, RetrievalScores, retrieval
from regiontalk.settings import VisionSettings
from regiontalk.training.alignment_net import AlignmentNet
from regiontalk.training.loop import autocast
from regiontalk.training.regions import FeatureSource
from regiontalk.training.sentences import Sentences, pad_ids

SHOWS, APART = 0.5, 0.3
"""A region is a positive of a box from this IoU on, and a negative below the second."""
LOWEST = -1e9
"""Stands for minus infinity: its gradient is zero and never NaN."""


def score_batch(
    regions: Tensor, region_mask: Tensor, words: Tensor, word_mask: Tensor, kind: str
) -> Tensor:
    """S_kl of every photo with every sentence.

    Args:
        regions: (K, M, h); region_mask: (K, M), True on regions.
        words: (L, T, h); word_mask: (L, T), True on words.
        kind: "max", Eq. 8: every word takes its best region; "sum", Eq. 7: all positive products
            count; "mean", Eq. 8 divided by the sentence's number of words.

    Returns:
        (K, L).
    """
    photos, count, dim = regions.shape
    # Padding, near half of all positions, is never multiplied
    spoken = word_mask.flatten().nonzero()[:, 0]
    # products: (n, K, M)
    products = (words.reshape(-1, dim)[spoken] @ regions.reshape(-1, dim).T).view(-1, photos, count)
    if kind == "sum":
        per_word = (products.clamp(min=0) * region_mask).sum(-1)
    else:
        # Lowest first: a maximum may be negative
        per_word = products.masked_fill(~region_mask, LOWEST).max(-1).values
    # Words lie flat without padding: index_add sums them by sentence, in float32, as bfloat16 would
    # lose small ones.
    sums = per_word.new_zeros(len(words), photos, dtype=torch.float32)
    scores = sums.index_add(0, spoken // words.shape[1], per_word.float()).T  # (K, L)
    return scores / word_mask.sum(1).clamp(min=1) if kind == "mean" else scores


@dataclass(frozen=True)
class Pairs:
    """Positive and negative scores of every matching pair in a batch.

    Attributes:
        positives: (L,) scores of the pairs.
        sentences: (L, L) scores of pair l's photo with all sentences; photos: (L, K) of its
            sentence with all photos.
        wrong_sentences, wrong_photos: True where a sentence, or photo, is a negative of the pair.
    """

    positives: Tensor
    sentences: Tensor
    photos: Tensor
    wrong_sentences: Tensor
    wrong_photos: Tensor

    @classmethod
    def of(cls, scores: Tensor, photos: Tensor, about: Tensor) -> Pairs:
        """Scores (K, L) of photos with identities (K,) and sentences of photo rows `about` (L,)."""
        every = torch.arange(len(about), device=scores.device)
        # By identity: the other captions of a pair's photo are no negatives of it.
        wrong_photos = photos[about][:, None] != photos[None, :]
        wrong_sentences = photos[about][:, None] != photos[about][None, :]
        return cls(scores[about, every], scores[about], scores.T, wrong_sentences, wrong_photos)


def margin_loss(pairs: Pairs) -> Tensor:
    """Eq. 9, mean over pairs: hinge loss with margin 1 over all negatives, both ways."""
    sentences = (pairs.sentences - pairs.positives[:, None] + 1).clamp(
        min=0
    ) * pairs.wrong_sentences
    photos = (pairs.photos - pairs.positives[:, None] + 1).clamp(min=0) * pairs.wrong_photos
    return (sentences.sum() + photos.sum()) / len(pairs.positives)


def hard_negative_loss(pairs: Pairs) -> Tensor:
    """Eq. 9 with the hardest negative only, in each direction (VSE++, Faghri et al., 2018)."""
    # LOWEST: no gradient, never NaN
    sentence = pairs.sentences.masked_fill(~pairs.wrong_sentences, LOWEST).amax(1)
    photo = pairs.photos.masked_fill(~pairs.wrong_photos, LOWEST).amax(1)
    return (
        (sentence - pairs.positives + 1).clamp(min=0) + (photo - pairs.positives + 1).clamp(min=0)
    ).mean()


def info_nce_loss(pairs: Pairs) -> Tensor:
    """InfoNCE: cross-entropy of the positive among its negatives, both ways, in nats.

    van den Oord et al., 2018.
    """
    return right_one(pairs.positives, pairs.sentences, pairs.wrong_sentences) + right_one(
        pairs.positives, pairs.photos, pairs.wrong_photos
    )


def naming_loss(scores: Tensor, present: Tensor, overlap: Tensor) -> Tensor:
    """Contrastive loss of class names and regions that show them, both directions, in nats.

    Each region is classified among all names; each name is retrieved in each photo, with the
    regions of all photos that do not show it, as far as boxes are labelled, as negatives. Any of
    several positives will do. Regions that partly overlap a box (IoU between `APART` and `SHOWS`)
    are neither positive nor negative.

    Args:
        scores: (B, M, N) of the regions of B photos with N names.
        present: (B, M), True on regions.
        overlap: (B, M, N), the largest IoU of each region with a box of each name.
    """
    # The dead zone between APART and SHOWS is in neither mask, so partial overlaps give no
    # gradient.
    right = scores.masked_fill((overlap < SHOWS) | ~present[..., None], LOWEST)
    wrong = scores.masked_fill((overlap >= APART) | ~present[..., None], LOWEST)
    # -log(Σ right / (Σ right + Σ wrong)) as a softplus of two logsumexps: stable, and any positive
    # will do.
    of_regions = F.softplus(wrong.logsumexp(2) - right.logsumexp(2))  # (B, M)
    of_names = F.softplus(wrong.flatten(0, 1).logsumexp(0) - right.logsumexp(1))  # (B, N)
    shown = (overlap >= SHOWS) & present[..., None]
    named, asked = shown.any(2), shown.any(1)
    return mean_where(of_regions, named) + mean_where(of_names, asked)


def mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """The mean of the chosen values; 0 where none is."""
    return values[chosen].sum() / chosen.sum().clamp(min=1)


def right_one(positives: Tensor, others: Tensor, wrong: Tensor) -> Tensor:
    """Mean cross-entropy, in nats, of each positive among its negatives."""
    choices = torch.cat([positives[:, None], others.masked_fill(~wrong, LOWEST)], 1)
    return (choices.logsumexp(1) - positives).mean()


RANKING_LOSSES: dict[str, Callable[[Pairs], Tensor]] = {
    "margin": margin_loss,
    "hard_negative": hard_negative_loss,
    "info_nce": info_nce_loss,
}


def ranking_loss(
    net: AlignmentNet,
    regions: Tensor,
    present: Tensor,
    sentences: tuple[Tensor, Tensor],
    photos: Tensor,
    score: str,
    loss: str,
) -> Tensor:
    """The ranking loss over all pairs of a photo with one of its sentences.

    Args:
        regions, present: v_i (K, M, h) of K photos, and a mask (K, M).
        sentences: ids and mask (C * K, T); the sentences of photo k are rows k, K + k and so on.
        photos: (K,) identities; equal ones are no negatives of each other.
        score: see `score_batch`; loss: one of `RANKING_LOSSES`.
    """
    (ids, mask), size, device = sentences, len(photos), regions.device.type
    with autocast(device):
        words = net.words(ids, mask)
        # In C parts, as the products of all words and regions at once take much memory
        some = zip(words.split(size), mask.split(size), strict=True)
        scores = torch.cat([score_batch(regions, present, s, m, score) for s, m in some], 1)
    if loss == "info_nce":
        scores = scores * net.log_scale.exp()  # a learnt temperature (CLIP); margins need none
    about = torch.arange(size, device=scores.device).repeat(len(ids) // size)
    return RANKING_LOSSES[loss](Pairs.of(scores, photos, about))


def measure_retrieval(
    net: AlignmentNet,
    source: FeatureSource,
    sentences: Sentences,
    score: str,
    device: str,
    settings: VisionSettings,
    chunk: int = 100,
) -> dict[str, float]:
    """Recalls in percent, median and mean ranks, by the runtime's own score.

    Of all photos that have a sentence against all sentences, both ways.

    Args:
        net, score, device: the network, its score, and where it runs.
        source: of N photos' regions; sentences: about them.
        settings: of the vision network.
        chunk: photos, and sentences, in a forward pass.
    """
    return named_numbers(
        retrieval(*score_pairs(net, source, sentences, score, device, settings, chunk))
    )


def named_numbers(result: RetrievalScores) -> dict[str, float]:
    """Flatten the result of `retrieval`: "image_to_text_r1" and so on."""
    return {f"{way}_{name}": getattr(getattr(result, way), name) for way in WAYS for name in NAMES}


@torch.no_grad()
def score_pairs(
    net: AlignmentNet,
    source: FeatureSource,
    sentences: Sentences,
    score: str,
    device: str,
    settings: VisionSettings,
    chunk: int = 100,
) -> tuple[np.ndarray, np.ndarray]:
    """The runtime's own score of N photos, those that have a sentence, with L sentences.

    Returns:
        (N, L), and the photo of each sentence, (L,).
    """
    photos, photo_of_sentence = np.unique(sentences.photos, return_inverse=True)
    regions, counts, words = [], [], []
    for rows in np.array_split(photos, -(-len(photos) // chunk)):
        features, present = source.features(source.load(rows, None, settings))
        regions.append(net.regions(features).cpu().numpy())
        counts.append(present.sum(1).cpu().numpy())
    for start in range(0, len(sentences), chunk):
        ids, mask = pad_ids(sentences.ids[start : start + chunk])
        vectors = net.words(ids.to(device), mask.to(device)).cpu().numpy()
        words += [v[: int(n)] for v, n in zip(vectors, mask.sum(1), strict=True)]
    scores = score_matrix(np.concatenate(regions), np.concatenate(counts), *pad(words), kind=score)  # type: ignore[arg-type]
    return scores, photo_of_sentence
