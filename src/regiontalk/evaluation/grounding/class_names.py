"""The classes that photos are asked for: which, by which names, and in which sentence."""

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
"""What a class is asked for with: a word in a sentence that says nothing else."""
_PLACE = "{}"


@dataclass(frozen=True, slots=True)
class AskedClass:
    """A class that photos are asked for.

    Attributes:
        word: its name, the first choice.
        synonyms: all names that the pack knows.
        photos: that show it.
    """

    word: str
    synonyms: tuple[str, ...]
    photos: int


@dataclass(frozen=True, slots=True)
class AskedClasses:
    """The classes that photos are asked for, and those that they are not.

    Attributes:
        classes: by label.
        unknown_classes: label -> photos of classes that the pack has no word for.
        rare_classes: label -> photos of classes with too few of them.
    """

    classes: Mapping[str, AskedClass]
    unknown_classes: Mapping[str, int]
    rare_classes: Mapping[str, int]


def class_names(
    model: Model, dataset: BoxedDataset, labels: Sequence[Collection[str]], min_photos: int
) -> tuple[Counter[str], dict[str, tuple[Words, ...]]]:
    """The classes that photos are asked for, by what the pack knows of their names.

    Args:
        labels: the classes of each photo.
        min_photos: photos that a class needs to be asked for.

    Returns:
        How many photos each class has, and for each with enough of them its known names, the first
        choice first.

    Raises:
        DataError: if the boxes have no classes, or the pack knows a word for none.
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
    """Which classes are asked for and with what, of the values that `class_names` returns."""
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
    """What stands before and after the name of a class in a sentence with {} in its place.

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
    """Names of classes -> their words' vectors, (T, h), each read in the neutral sentence."""
    before, after = around_name(sentence)
    start, order = len(tokenise(before)), sorted(names)
    read = model.read([f"{before} {' '.join(name)} {after}" for name in order])
    return {
        name: each.vectors[start : start + len(name)]
        for name, each in zip(order, read, strict=True)
    }
