"""Numbers as they leave an evaluation: averaged over folds, with intervals, rounded, signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from regiontalk.errors import ConfigError
from regiontalk.evaluation.bootstrap import CONFIDENCE
from regiontalk.evaluation.retrieval.metric import bootstrap, cut_folds, numbers, rsum
from regiontalk.evaluation.retrieval.ranks import Ranks
from regiontalk.evaluation.signature import TIES

_DIGITS = 4


class Progress(Protocol):
    """Is told how far an evaluation is."""

    def expect(self, total: int, what: str) -> None:
        """So many are to be done."""

    def advance(self, done: int) -> None:
        """That many more are done."""


class Silent:
    """Progress that nobody watches."""

    def expect(self, total: int, what: str) -> None:
        """Says nothing."""

    def advance(self, done: int) -> None:
        """Says nothing."""


@dataclass(frozen=True)
class Reporting:
    """How an evaluation's results become numbers.

    Attributes:
        folds: of a retrieval: the photos are cut, in their order, into so many of equal size, and the numbers averaged.
        samples: of the bootstrap, for 95 % intervals; 0 for none.
        seed: of the bootstrap.
    """

    folds: int = 1
    samples: int = 0
    seed: int = 0


def retrieval_result(folds: Sequence[Ranks], signature: dict[str, Any], reporting: Reporting) -> dict[str, Any]:
    """The numbers of a retrieval with all that belongs to them.

    Args:
        folds: the ranks in each fold, or in the whole set alone.
        signature: of what was ranked, and by what.
        reporting: the bootstrap; the folds are done.

    Returns:
        `{"image_to_text": {"r1", "r5", "r10", "median_rank", "mean_rank"}, "text_to_image": {...}, "rsum",
        "signature": {...}}`, recalls in percent; with a bootstrap also `"interval"`: for each number its `[low, high]`.
    """
    found = numbers(folds)
    size = len(folds[0].photos)
    how = {
        "ties": TIES,
        "folds": "1" if len(folds) == 1 else f"average of {len(folds)} of {size} photos each, in order",
    }
    result: dict[str, Any] = {**found, "rsum": rsum(found)}
    if reporting.samples:
        result["interval"] = bootstrap(folds, reporting.samples, reporting.seed)
        how["interval"] = interval_words(reporting)
    return {**rounded(result), "signature": signature | how}


def interval_words(reporting: Reporting) -> str:
    """What the intervals are, for the signature."""
    return f"{CONFIDENCE} %, percentiles of {reporting.samples} bootstrap samples of photos, seed {reporting.seed}"


def equal_folds(owners: np.ndarray, photos: int, folds: int) -> list[tuple[slice, np.ndarray, np.ndarray]]:
    """As `cut_folds`.

    Raises:
        ConfigError: if `folds` does not divide the number of photos.
    """
    try:
        return list(cut_folds(owners, photos, folds))
    except ValueError as error:
        raise ConfigError(f"--folds {folds}: {error}; give a number that divides {photos}") from None


def rounded(value: Any) -> Any:
    """Numbers, also those inside of dictionaries and lists, to the digits that are printed."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return round(value, _DIGITS)
