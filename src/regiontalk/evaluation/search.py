"""R-precision of search by class names: of R photos that show a class, the share among the first R.

Axis names: C classes, N photos.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from regiontalk.data import BoxedDataset
from regiontalk.evaluation.grounding.class_names import around_name, class_names
from regiontalk.evaluation.grounding.run import look_at_photos
from regiontalk.evaluation.results import SILENT, Progress, printed
from regiontalk.evaluation.signature import TIES, box_signature
from regiontalk.model import Model

SENTENCE = "{}"
"""Query template: the bare name, as people type it."""


@dataclass(frozen=True, slots=True)
class SearchedClass:
    """A class that is searched for.

    Attributes:
        word: its name in the query.
        photos: R, those that show it.
        r_precision: in 0..1.
    """

    word: str
    photos: int
    r_precision: float


@dataclass(frozen=True, slots=True)
class SearchResult:
    """R-precision of searches for classes by name, with a signature.

    Attributes:
        r_precision: mean over classes, in 0..1.
        chance: that of a random order.
        by_class: by label.
        unknown_classes: label -> photos, of classes without a name in the pack's vocabulary.
        signature: settings and origin of the numbers.
    """

    r_precision: float
    chance: float
    by_class: Mapping[str, SearchedClass]
    unknown_classes: Mapping[str, int]
    signature: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As printed."""
        return printed(**asdict(self))


def r_precision(scores: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """R-precision: of each query's R relevant photos the share among its first R.

    Ties are broken pessimistically.

    Args:
        scores: (C, N), higher is better.
        relevant: (C, N) bool, at least one in each row.

    Returns:
        (C,) in 0..1.

    >>> scores = np.array([[0.9, 0.8, 0.8, 0.1]])
    >>> r_precision(scores, np.array([[True, True, False, False]])).tolist()  # the tie is lost
    [0.5]
    """
    found = []
    for row, right in zip(scores, relevant, strict=True):
        # By falling score, wrong photos before right ones of the same score
        order = np.lexsort((right, -row))
        found.append(right[order][: int(right.sum())].mean())
    return np.array(found)


def evaluate_search(
    model: Model,
    dataset: BoxedDataset,
    sentence: str = SENTENCE,
    selection: Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
    min_photos: int = 1,
) -> SearchResult:
    """Search all photos for each class by name, the first synonym in the pack's vocabulary.

    Args:
        model: whose `score` ranks the photos.
        dataset: photos with the names of classes on their boxes.
        sentence: query template, {} standing for the name.
        selection: how the photos were chosen, for the signature.
        min_photos: least number of photos of a class that is searched for.

    Raises:
        DataError: if the boxes have no classes, or the pack knows a word for none.
        ConfigError: if `sentence` has not one {}, or no class has `min_photos` photos.
        PhotoError: if a photo is broken.
    """
    before, after = around_name(sentence)
    shown = [photo.shown for photo in dataset.photos]
    counts, names = class_names(model, dataset, shown, min_photos)
    asked = {label: " ".join(found[0]) for label, found in names.items() if found}
    looked = list(look_at_photos(model, dataset.photos, progress))
    scores = model.score(looked, [f"{before}{word}{after}" for word in asked.values()]).T  # (C, N)
    relevant = np.array([[label in labels for labels in shown] for label in asked])  # (C, N)
    found = r_precision(scores, relevant)
    return SearchResult(
        r_precision=float(found.mean()),
        chance=float(relevant.mean()),
        by_class={
            label: SearchedClass(word, counts[label], float(share))
            for (label, word), share in zip(asked.items(), found, strict=True)
        },
        unknown_classes={label: counts[label] for label in names if label not in asked},
        signature={
            **box_signature(model, dataset, selection or {}, progress),
            "sentence": sentence,
            "min_photos": min_photos,
            "score": model.score_kind,
            "ties": TIES,
        },
    )
