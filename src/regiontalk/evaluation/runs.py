"""A model measured on a dataset: the numbers, with a signature that says how they came about.

Axis names: N photos, L sentences, M regions, h dimensions of the shared space.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, cast

import numpy as np

import regiontalk
from regiontalk.alignment.score import Kind, pad, score_matrix
from regiontalk.data import Dataset
from regiontalk.evaluation.captions import bleu
from regiontalk.evaluation.retrieval import retrieval
from regiontalk.language import tokenise
from regiontalk.model import Model
from regiontalk.structures import Regions
from regiontalk.vision.session import BATCH

NORMALISATION = "lower case, words are runs of letters and digits, all else dropped"

_SENTENCES = 256
"""Sentences read and scored at a time."""
_DIGITS = 4

Advance = Callable[[int], None]


def evaluate_retrieval(model: Model, dataset: Dataset, advance: Advance = lambda photos: None) -> dict[str, Any]:
    """Rank all sentences of a dataset for each photo, and all photos for each sentence.

    Args:
        model: scores them (Eq. 8, or Eq. 7 if its pack says so).
        dataset: every photo and every caption of it takes part.
        advance: called with the number of photos done since the last call.

    Returns:
        `{"image_to_text": {"r1", "r5", "r10", "median_rank"}, "text_to_image": {...}, "signature": {...}}`, recalls in
        percent.

    Raises:
        PhotoError: if a photo is broken. None is left out: the numbers would be of another dataset.
    """
    vectors, counts = pad([each.vectors for batch in _look(model, dataset, advance) for each in batch])
    # vectors (N, M, h), counts (N,)
    captions = [caption for photo in dataset.photos for caption in photo.captions]  # L
    owners = np.repeat(np.arange(len(dataset)), [len(photo.captions) for photo in dataset.photos])  # (L,)
    kind = cast(Kind, model.pack.settings.alignment.score)
    scores = np.empty((len(dataset), len(captions)), np.float32)
    for start in range(0, len(captions), _SENTENCES):
        part = slice(start, start + _SENTENCES)
        words, word_counts = pad([sentence.vectors for sentence in model.read(captions[part])])
        scores[:, part] = score_matrix(vectors, counts, words, word_counts, kind)
    numbers = {way: _rounded(row) for way, row in retrieval(scores, owners).items()}
    how = {"score": f"{kind} (Eq. {8 if kind == 'max' else 7})", "ties": "count against the system"}
    return {**numbers, "signature": _signature(model, dataset) | how}


def evaluate_captions(
    model: Model, dataset: Dataset, beam: int | None = None, advance: Advance = lambda photos: None
) -> dict[str, Any]:
    """Caption every photo of a dataset and compare with what people wrote.

    Args:
        model: writes the captions.
        dataset: its captions are the references, normalised as the captions are.
        beam: hypotheses kept in the search; None for the pack's.
        advance: called with the number of photos done since the last call.

    Returns:
        `{"bleu1", ..., "bleu4", "signature": {...}}`, in percent.

    Raises:
        PhotoError: if a photo is broken. None is left out: the numbers would be of another dataset.
    """
    captions = [caption for batch in _look(model, dataset, advance) for caption in model.caption(batch, beam)]
    candidates = [tokenise(caption.text) for caption in captions]
    references = [[tokenise(caption) for caption in photo.captions] for photo in dataset.photos]
    search = asdict(model.pack.settings.photo_captioner)
    how: dict[str, Any] = {name: search[name] for name in ("beam", "max_words", "length_normalisation")}
    if beam is not None:
        how["beam"] = beam
    how["bleu"] = "corpus, closest reference length, as coco-caption"
    return {**_rounded(bleu(candidates, references)), "signature": _signature(model, dataset) | how}


def _look(model: Model, dataset: Dataset, advance: Advance) -> Iterator[list[Regions]]:
    """The regions of the photos, in order, in batches."""
    for start in range(0, len(dataset), BATCH):
        files = [photo.file for photo in dataset.photos[start : start + BATCH]]
        yield model.look(files)
        advance(len(files))


def _signature(model: Model, dataset: Dataset) -> dict[str, Any]:
    """What must be known to get a number again."""
    per_photo = [len(photo.captions) for photo in dataset.photos]
    return {
        "regiontalk": regiontalk.__version__,
        "pack": model.pack.settings.name,
        "pack_sha256": model.pack.checksum,
        "dataset": dataset.name,
        "split": dataset.split,
        "photos": len(dataset),
        "captions": sum(per_photo),
        "captions_per_photo": _span(per_photo),
        "normalisation": NORMALISATION,
    }


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(value, _DIGITS) for name, value in numbers.items()}
