"""Class queries: selection of classes, their names in the vocabulary, and the prompt template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from regiontalk.data import BoxedDataset
from regiontalk.errors import ConfigError, DataError
from regiontalk.evaluation.class_words import Words, known, synonyms
from regiontalk.evaluation.looking import no_classes
from regiontalk.language import tokenise
from regiontalk.model import Model

SENTENCE = "a {}"
"""Default prompt template for class names: a neutral sentence."""
_PLACE = "{}"


@dataclass(frozen=True, slots=True)
class AskedClass:
    """A class that is queried.

    Attributes:
        word: the first of `synonyms`.
        synonyms: its names in the pack's vocabulary.
        photos: that show it.
    """

    word: str
    synonyms: tuple[str, ...]
    photos: int


@dataclass(frozen=True, slots=True)
class AskedClasses:
    """The classes queried, and those left out.

    Attributes:
        classes: by label.
        unknown_classes: label -> photos, without a name in the pack's vocabulary.
        rare_classes: label -> photos, too few of them.
    """

    classes: Mapping[str, AskedClass]
    unknown_classes: Mapping[str, int]
    rare_classes: Mapping[str, int]


def class_names(
    model: Model, dataset: BoxedDataset, labels: Sequence[Collection[str]], min_photos: int
) -> tuple[Counter[str], dict[str, tuple[Words, ...]]]:
    """Number of photos of each class, and names of the classes to query.

    Args:
        labels: the classes of each photo.
        min_photos: least number of photos of a class that is queried.

    Returns:
        Photos per class; for each class with enough of them its names in the pack's vocabulary, by
        preference.

    Raises:
        DataError: if the boxes have no classes, or none to query has a name in the vocabulary.
        ConfigError: if no class has `min_photos` photos.
    """
    if dataset.kind != "labels":
        raise no_classes(dataset)
    photos_of = Counter(label for each in labels for label in each)
    common = sorted(label for label, photos in photos_of.items() if photos >= min_photos)
    if photos_of and not common:
        most = max(photos_of.values())
        raise ConfigError(
            f"--min-photos {min_photos}: no class of {dataset.name} has so many; "
            f"give {most} or less"
        )
    names = {label: known(synonyms(label), model.pack.vocabulary) for label in common}
    if not any(names.values()):
        raise DataError(
            f"{dataset.name}: the pack knows a word for none of its classes "
            f"{', '.join(names) or '(none)'}"
        )
    return photos_of, names


def classes_asked(
    photos_of: Mapping[str, int], names: Mapping[str, Sequence[Words]]
) -> AskedClasses:
    """Report of the classes queried, with their names, and of those left out."""
    return AskedClasses(
        {
            label: AskedClass(" ".join(found[0]), tuple(map(" ".join, found)), photos_of[label])
            for label, found in names.items()
            if found
        },
        {label: photos_of[label] for label, found in names.items() if not found},
        {label: photos_of[label] for label in sorted(photos_of.keys() - names.keys())},
    )


def around_name(sentence: str) -> tuple[str, str]:
    """Split a prompt template at {} into the texts before and after the class name.

    Raises:
        ConfigError: if it has no {} or two, or other braces.
    """
    before, _, after = sentence.partition(_PLACE)
    if sentence.count(_PLACE) != 1 or "{" in before + after or "}" in before + after:
        raise ConfigError(
            f"--sentence {sentence!r}: expected one {_PLACE} where the class's name goes, "
            f"as in {SENTENCE!r}"
        )
    return before, after


def read_names(model: Model, names: set[Words], sentence: str) -> dict[Words, np.ndarray]:
    """Class names -> word vectors (T, h) of the name alone, encoded within the template."""
    before, after = around_name(sentence)
    start, order = len(tokenise(before)), sorted(names)
    read = model.read([f"{before} {' '.join(name)} {after}" for name in order])
    return {
        name: each.vectors[start : start + len(name)]
        for name, each in zip(order, read, strict=True)
    }
