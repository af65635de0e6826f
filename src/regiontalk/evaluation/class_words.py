"""How people name a class, from `class_words.json` beside this file: COCO's 80, with Pascal VOC's 20 among them.

Of each class the file says

- `asked`: what the class is asked for with, in that order, fixed there and not chosen by results; the first is taken
  that a pack knows. Only VOC's classes have such a list, all others are asked for by their own name.
- `words`: what else captions call it, in the singular. `unsure`: words that mean it among other things ("plant"), and
  `unsure_in_voc`: those that do so only where VOC's rules for annotators are narrower than COCO's.
- `kind`: animal, vehicle or person, for the rules of double words, which stand behind the classes in the file; see
  `regiontalk.evaluation.objects.mentions`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regiontalk.files import read_json
from regiontalk.language import tokenise

Words = tuple[str, ...]


@dataclass(frozen=True)
class ClassWords:
    """A class and what it is called.

    Attributes:
        name: COCO's.
        voc: Pascal VOC's name of it; "" if VOC does not have it.
        kind: "animal", "vehicle", "person" or "".
        asked: what it is asked for with, in order; none for its own name.
        words, unsure, unsure_in_voc: what captions call it.
    """

    name: str
    voc: str
    kind: str
    asked: tuple[Words, ...]
    words: tuple[Words, ...]
    unsure: tuple[Words, ...]
    unsure_in_voc: tuple[Words, ...]


FILE = Path(__file__).with_name("class_words.json")

CONTENT: Mapping[str, Any] = read_json(FILE)
"""The file as it is."""


def as_words(texts: Iterable[str]) -> tuple[Words, ...]:
    """Names as words.

    >>> as_words(["dining table", "desk"])
    (('dining', 'table'), ('desk',))
    """
    return tuple(tuple(tokenise(text)) for text in texts)


def _class_words(name: str, entry: Mapping[str, Any]) -> ClassWords:
    lists = [as_words(entry.get(key, ())) for key in ("asked", "words", "unsure", "unsure_in_voc")]
    return ClassWords(name, entry.get("voc", ""), entry.get("kind", ""), *lists)


CLASSES = tuple(_class_words(name, entry) for name, entry in CONTENT["classes"].items())
"""In COCO's order."""

BY_NAME = {name: each for each in CLASSES for name in (each.name, each.voc) if name}
"""The classes by their names in COCO and in VOC."""

SYNONYMS = {each.voc: each.asked for each in CLASSES if each.voc}
"""For each of Pascal VOC's 20 classes its synonyms, each as words; "dining table" has two."""


def synonyms(label: str) -> tuple[Words, ...]:
    """What a class is asked for with, the first choice first: the listed synonyms, or the class's own name.

    Letter case does not matter: other datasets write "Dog".

    >>> synonyms("sofa")
    (('sofa',), ('couch',), ('couches',))
    >>> synonyms("traffic light")
    (('traffic', 'light'),)
    """
    lower = label.lower()
    found = BY_NAME.get(lower)
    return found.asked if found is not None and found.asked else as_words([lower])


def known(names: Iterable[Words], vocabulary: Container[str]) -> tuple[Words, ...]:
    """Those of some names of which every word is known, in order."""
    return tuple(name for name in names if name and all(word in vocabulary for word in name))


def names_class(words: Sequence[str], label: str) -> bool:
    """Whether a caption's words hold a synonym of the class, its words in a row.

    >>> names_class(["a", "dining", "table"], "diningtable"), names_class(["a", "dog"], "cat")
    (True, False)
    """
    return any(
        tuple(words[start : start + len(name)]) == name
        for name in synonyms(label)
        for start in range(len(words) - len(name) + 1)
    )
