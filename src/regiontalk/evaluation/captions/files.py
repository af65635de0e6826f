"""Evaluation of a caption file against reference captions, with a signature."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import regiontalk
from regiontalk.data.captions import Problems
from regiontalk.data.folder import files_of_captions
from regiontalk.data.predictions import Matched, match, read_references
from regiontalk.errors import ConfigError, DataError
from regiontalk.evaluation.captions.java import meteor, require_java, spice
from regiontalk.evaluation.captions.metric import CaptionResult, score_captions
from regiontalk.evaluation.captions.ngrams import DocumentFrequencies, Words, caution
from regiontalk.evaluation.captions.ptb import ptb_tokenise
from regiontalk.evaluation.results import Reporting, interval_words
from regiontalk.evaluation.signature import NORMALISATION, file_sha256, photo_counts
from regiontalk.files import sha256_hex, write_bytes
from regiontalk.language import tokenise

TOKENISERS: dict[str, tuple[Callable[[str], list[str]], str]] = {
    "ptb": (
        ptb_tokenise,
        "ptb: Penn Treebank tokens, lower case, punctuation removed, as coco-caption",
    ),
    "plain": (tokenise, f"plain: {NORMALISATION}"),
}
JAVA_METRICS: dict[
    str, Callable[[Sequence[Words], Sequence[Sequence[Words]]], tuple[float, np.ndarray]]
] = {
    "meteor": meteor,
    "spice": spice,
}
_CIDER = (
    "CIDEr-D, sigma 6, which coco-caption calls CIDEr; cider_plain: "
    "without clipping and length penalty"
)
_SPLIT_APART = frozenset({"s", "t"})


@dataclass(frozen=True)
class CaptionFiles:
    """Inputs and settings of an evaluation of caption files.

    Attributes:
        predictions, references, images, split: as in `regiontalk.data.predictions.match`.
        tokeniser: a name of `TOKENISERS`.
        frequencies: captions that CIDEr's document frequencies come from; None for the references.
        frequencies_split: of these.
        java_metrics: names of `JAVA_METRICS`, beside the others.
    """

    predictions: Path
    references: Path
    images: Path | None = None
    split: str = "test"
    tokeniser: str = "ptb"
    frequencies: Path | None = None
    frequencies_split: str = "train"
    java_metrics: tuple[str, ...] = ()


@dataclass(frozen=True)
class CaptionFileResult:
    """Scores of a file of captions.

    Attributes:
        result: scores of all together, with a signature.
        each: for each photo `{"image", "caption", and the scores in percent}`.
        notes: warnings about the numbers.
    """

    result: CaptionResult
    each: list[dict[str, Any]] = field(repr=False)
    notes: list[str]


def evaluate_caption_files(files: CaptionFiles, reporting: Reporting) -> CaptionFileResult:
    """Scores a file of captions against a file of references.

    Raises:
        DataError: if a file is damaged or they do not fit together.
        ConfigError: if the tokeniser or a metric is unknown, or what a metric needs is not
            installed.
    """
    split_words = _tokeniser(files.tokeniser)
    _require_metrics(files.java_metrics)
    matched = match(files.predictions, files.references, files.images, files.split)
    candidates, references = _tokenised(files.references, matched, split_words)
    frequencies = _frequencies(files, split_words)
    scores = score_captions(candidates, references, frequencies)
    each, java_metrics = scores.each(), dict[str, float]()
    for name in files.java_metrics:
        whole, single = JAVA_METRICS[name](candidates, references)
        java_metrics[name], each[name] = 100 * whole, 100 * single
    signature, intervals = _signature(files, matched, frequencies), dict[str, list[float]]()
    if reporting.samples:
        signature["interval"] = interval_words(reporting) + "; document frequencies stay the same"
        intervals = scores.intervals(reporting.samples, reporting.seed)
    corpus = replace(scores.corpus(), java_metrics=java_metrics)
    result = CaptionResult(corpus, intervals, signature)
    photos = len(matched.images) if frequencies is None else frequencies.photos
    notes = [
        note for note in (caution(photos), _stripped(files.tokeniser, matched.candidates)) if note
    ]
    return CaptionFileResult(result, _rows(matched, each), notes)


def write_each(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Writes a line of JSON for each photo, by atomic rename.

    Raises:
        DataError: if it cannot be written.
    """
    lines = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
    try:
        write_bytes(file, lines.encode())
    except OSError as error:
        raise DataError(f"{file}: cannot be written ({error.strerror})") from error


def _tokeniser(name: str) -> Callable[[str], list[str]]:
    if name not in TOKENISERS:
        raise ConfigError(f"--tokenise {name}: expected {' or '.join(TOKENISERS)}")
    return TOKENISERS[name][0]


def _require_metrics(names: Sequence[str]) -> None:
    for name in names:
        if name not in JAVA_METRICS:
            raise ConfigError(
                f"--metrics {name}: expected {' or '.join(JAVA_METRICS)}; "
                "BLEU, ROUGE-L and CIDEr come by themselves"
            )
        require_java(name)


def _tokenised(
    source: Path, matched: Matched, split_words: Callable[[str], list[str]]
) -> tuple[list[list[str]], list[list[list[str]]]]:
    candidates = [split_words(caption) for caption in matched.candidates]
    references = [[split_words(caption) for caption in captions] for captions in matched.references]
    problems = Problems(source)
    wordless = [
        name for name, truths in zip(matched.images, references, strict=True) if not all(truths)
    ]
    problems.add("photos with a caption that holds no word", wordless)
    problems.raise_if_any()
    return candidates, references


def _frequencies(
    files: CaptionFiles, split_words: Callable[[str], list[str]]
) -> DocumentFrequencies | None:
    if files.frequencies is None:
        return None
    captions = read_references(files.frequencies, files.frequencies_split).captions
    return DocumentFrequencies.of(
        [[split_words(text) for text in texts] for texts in captions.values()]
    )


def _signature(
    files: CaptionFiles, matched: Matched, frequencies: DocumentFrequencies | None
) -> dict[str, Any]:
    """Settings, checksums and counts, to reproduce the numbers."""
    signature: dict[str, Any] = {
        "regiontalk": regiontalk.__version__,
        "predictions": files.predictions.name,
        "predictions_sha256": captions_sha256(files.predictions),
        "references": files.references.name,
        "references_sha256": captions_sha256(files.references),
        **({} if files.images is None else {"images_sha256": file_sha256(files.images)}),
        "split": matched.split or "none: taken whole",
        **photo_counts(np.array([len(captions) for captions in matched.references])),
        "tokeniser": TOKENISERS[files.tokeniser][1],
        "bleu": "of the corpus, closest reference length, as coco-caption",
        "rouge_l": "beta 1.2, as coco-caption",
        "cider": _CIDER,
        "document_frequencies": "of the references",
    }
    if files.frequencies is not None and frequencies is not None:
        signature["document_frequencies"] = (
            f"of {frequencies.photos} photos of {files.frequencies.name}"
        )
        signature["document_frequencies_split"] = files.frequencies_split
        signature["document_frequencies_sha256"] = captions_sha256(files.frequencies)
    for name in files.java_metrics:
        signature[name] = (
            f"{'1.5, ' if name == 'meteor' else ''}Java, "
            f"by pycocoevalcap {_installed('pycocoevalcap')}"
        )
    return signature


def captions_sha256(captions: Path) -> str:
    """SHA-256 of the file that holds the captions; of several, that of their checksums in order."""
    checksums = [file_sha256(file) for file in files_of_captions(captions)]
    return checksums[0] if len(checksums) == 1 else sha256_hex("\n".join(checksums).encode())


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of unknown version"


def _stripped(tokeniser: str, captions: Sequence[str]) -> str | None:
    """A warning if the captions lost apostrophes and hyphens that the references still have."""
    if tokeniser != "ptb" or any(caption.split() != tokenise(caption) for caption in captions):
        return None
    words = {word for caption in captions for word in caption.split()}
    if not words & _SPLIT_APART:
        return None
    return (
        "the predictions have 's' or 't' as words, as if \"dog's\" and \"t-shirt\" had been split "
        "at what is neither letter nor digit; the references are not. Compare like with like: "
        "--tokenise plain"
    )


def _rows(matched: Matched, each: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    columns = {name: values.tolist() for name, values in each.items()}
    return [
        {
            "image": image,
            "caption": caption,
            **{name: round(values[row], 4) for name, values in columns.items()},
        }
        for row, (image, caption) in enumerate(zip(matched.images, matched.candidates, strict=True))
    ]
