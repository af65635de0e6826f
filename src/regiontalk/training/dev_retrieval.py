"""Retrieval on held-out photos while the alignment is trained, with the runtime's own score."""

from __future__ import annotations

import numpy as np
import torch

from regiontalk.alignment.score import pad, score_matrix
from regiontalk.evaluation.retrieval.metric import Numbers, retrieval
from regiontalk.settings import VisionSettings
from regiontalk.training.alignment_net import AlignmentNet
from regiontalk.training.regions import FeatureSource
from regiontalk.training.sentences import Sentences, pad_ids


def measure_retrieval(
    net: AlignmentNet,
    source: FeatureSource,
    sentences: Sentences,
    score: str,
    device: str,
    settings: VisionSettings,
    chunk: int = 100,
) -> dict[str, float]:
    """Recalls in percent and median ranks of all photos against all sentences, with the runtime's own score."""
    return named_numbers(retrieval(*score_pairs(net, source, sentences, score, device, settings, chunk)))


def named_numbers(result: Numbers) -> dict[str, float]:
    """What `retrieval` gives, as "image_to_text_r1" and so on."""
    return {f"{way}_{name}": value for way, numbers in result.items() for name, value in numbers.items()}


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
    photos, owners = np.unique(sentences.photos, return_inverse=True)  # those that have a sentence
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
    return scores, owners
