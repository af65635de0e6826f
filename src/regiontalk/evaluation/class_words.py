"""Class names and synonyms (`class_words.json`), and detection of class mentions in captions.

The file has COCO's 80 classes, with Pascal VOC's 20 among them. Of each class it has

- `asked`: query terms in order of preference, fixed there and not chosen by results; the first one
  in a pack's vocabulary is used. Only VOC's classes have such a list, all others are queried by
  their own name.
- `words`: other names in captions, in the singular. `unsure`: ambiguous names, which mean the class
  among other things ("plant"), and `unsure_in_voc`: those that are ambiguous only where VOC's rules
  for annotators are narrower than COCO's.
- `kind`: animal, vehicle or person, for the rules of compounds.

In a caption the longest match of singular and plural names wins: "hot dog" is no dog, "teddy bear"
no bear, and "train track" no class at all. The file's other lists:

- `either`: words for one of several classes ("bike"): for the one that the photo shows, for the
  first if it shows none.
- `nothing`: compounds that hold a class word and name no class.
- `modifiers`: words that name nothing themselves before an animal ("baby zebra") or a vehicle
  ("passenger train").
- `like_animals`: words for people that are unsure in a caption that names an animal ("an elephant
  and her baby").
- `not_there`: negations before a class word ("no", "without a").
- `unsure_before`, `unsure_after`: contexts that make a class word unsure ("toy train", "statue of a
  horse", "dog bowl").
- `plurals`: irregular plurals of single words.

A class word is *sure* unless it is ambiguous by itself or in its context, or may mean a class that
is not counted. Only a sure word can be wrong; for the use of unsure ones see
`regiontalk.evaluation.objects.metric`.

Hypernyms ("animal", "vehicle", "food") name no class.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from regiontalk.json_files import read_json
from regiontalk.language import tokenise

Words = tuple[str, ...]


@dataclass(frozen=True)
class ClassWords:
    """A class and its names.

    Attributes:
        name: COCO's.
        voc: Pascal VOC's; "" if VOC does not have it.
        kind: "animal", "vehicle", "person" or "".
        asked: query terms in order; none for its own name.
        words, unsure, unsure_in_voc: names in captions.
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
"""The parsed file."""


def as_words(texts: Iterable[str]) -> tuple[Words, ...]:
    """Tokenises names.

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
"""Tokenised query terms of each of Pascal VOC's 20 classes; "dining table" is two words."""


def synonyms(label: str) -> tuple[Words, ...]:
    """Query terms of a class in order of preference: listed synonyms, else its own name.

    Letter case is ignored: other datasets write "Dog".

    >>> synonyms("sofa")
    (('sofa',), ('couch',), ('couches',))
    >>> synonyms("traffic light")
    (('traffic', 'light'),)
    """
    lower = label.lower()
    found = BY_NAME.get(lower)
    return found.asked if found is not None and found.asked else as_words([lower])


def known(names: Iterable[Words], vocabulary: Container[str]) -> tuple[Words, ...]:
    """The names whose words are all in the vocabulary, in order."""
    return tuple(name for name in names if name and all(word in vocabulary for word in name))


def names_class(words: Sequence[str], label: str) -> bool:
    """Whether a caption holds a synonym of the class as consecutive words.

    >>> names_class(["a", "dining", "table"], "diningtable"), names_class(["a", "dog"], "cat")
    (True, False)
    """
    return any(
        tuple(words[start : start + len(name)]) == name
        for name in synonyms(label)
        for start in range(len(words) - len(name) + 1)
    )


_ARTICLES = frozenset({"a", "an", "the"})
_ANIMAL = "animal"


@dataclass(frozen=True)
class Mention:
    """A mention of a class in a caption.

    Attributes:
        start, end: its words, end exclusive, which lead to its region where words are traced.
        labels: the class; or all that the words may mean, the likeliest first.
        sure: whether they name it and nothing else.
    """

    start: int
    end: int
    labels: tuple[str, ...]
    sure: bool

    def label(self, shown: frozenset[str]) -> str:
        """The class that is meant on a photo of these classes."""
        return next((label for label in self.labels if label in shown), self.labels[0])


@dataclass(frozen=True)
class _Meaning:
    """The classes that words may name; none if they name no class."""

    classes: tuple[str, ...]
    sure: bool = True
    plural: bool = False

    @property
    def kinds(self) -> set[str]:
        return {BY_NAME[name].kind for name in self.classes if name in BY_NAME}


class ClassNamer:
    """Detects mentions of the classes that count.

    Args:
        labels: the classes, by COCO's names, VOC's or any other. Letter case is ignored. Of two
            names of one class the first stands for both; an unlisted class has its own name and no
            synonym.

    Attributes:
        labels: the classes that count, in the order given, each once.
    """

    def __init__(self, labels: Iterable[str]) -> None:
        self._label_of: dict[str, str] = {}
        for label in labels:
            self._label_of.setdefault(_key(label), label)
        self.labels = tuple(self._label_of.values())
        self._meanings = _meanings(self._label_of)
        self._sizes: dict[str, list[int]] = {}
        for size, first in sorted(
            {(len(words), words[0]) for words in self._meanings}, reverse=True
        ):
            self._sizes.setdefault(first, []).append(size)  # by the first word, the longest first

    def counted(self, label: str) -> str | None:
        """The label under which a box's label counts; None if it does not.

        >>> ClassNamer(["sofa"]).counted("Couch")
        'sofa'
        """
        return self._label_of.get(_key(label))

    def mentions(self, words: Sequence[str]) -> list[Mention]:
        """The classes that a caption names, in the order of its words.

        Args:
            words: as `tokenise` makes them.

        >>> words = "a hot dog in a dog bowl".split()
        >>> [(each.labels, each.sure) for each in ClassNamer(["dog", "bowl"]).mentions(words)]
        [(('dog',), False), (('bowl',), True)]
        """
        words = tuple(words)
        found = list(self._found(words))
        with_animal = any(_ANIMAL in meaning.kinds for _, _, meaning in found)
        mentions = []
        for start, end, meaning in found:
            labels = tuple(
                self._label_of[name] for name in meaning.classes if name in self._label_of
            )
            if labels and not _follows(words, start, _NOT_THERE):
                certain = (
                    meaning.sure
                    and len(labels) == len(meaning.classes)
                    and _is_plain(words, start, end, meaning)
                )
                perhaps_animal = with_animal and words[end - 1] in _LIKE_ANIMALS
                mentions.append(Mention(start, end, labels, certain and not perhaps_animal))
        return mentions

    def _found(self, words: Words) -> Iterator[tuple[int, int, _Meaning]]:
        """Longest matches from left to right, none of them overlapping."""
        start = 0
        while start < len(words):
            end, meaning = self._longest(words, start)
            if meaning is not None and not self._modifies(words, start, end):
                yield start, end, meaning
            start = end

    def _longest(self, words: Words, start: int) -> tuple[int, _Meaning | None]:
        """End and meaning of the longest match that starts here; the next position without one."""
        for size in self._sizes.get(words[start], ()) if start < len(words) else ():
            end = start + size
            meaning = self._meanings.get(words[start:end]) if end <= len(words) else None
            if meaning is not None:
                return end, meaning
        return start + 1, None

    def _modifies(self, words: Words, start: int, end: int) -> bool:
        """Whether a class word only modifies the class that follows it, as in "baby zebra"."""
        kinds = _MODIFIERS.get(words[start]) if end == start + 1 else None
        if not kinds:
            return False
        following = self._longest(words, end)[1]
        return following is not None and bool(kinds & following.kinds)


def plural(word: str) -> str:
    """The plural of an English noun.

    >>> [plural(word) for word in ("dog", "bus", "pony", "fisherman", "mouse")]
    ['dogs', 'buses', 'ponies', 'fishermen', 'mice']
    """
    if word in _PLURALS:
        return _PLURALS[word]
    if word.endswith("man"):
        return word.removesuffix("man") + "men"
    if word.endswith("y") and word[-2:-1] not in ("a", "e", "i", "o", "u", ""):
        return word.removesuffix("y") + "ies"
    return word + ("es" if word.endswith(("s", "x", "z", "ch", "sh")) else "s")


def _key(label: str) -> str:
    """COCO's name of a class, else its own in lower case."""
    lower = label.lower()
    return BY_NAME[lower].name if lower in BY_NAME else lower


def _meanings(label_of: dict[str, str]) -> dict[Words, _Meaning]:
    """Meanings of words, given the classes that count: keys as of `_key`."""
    found: dict[Words, _Meaning] = {}
    unlisted = [key for key in label_of if key not in BY_NAME]
    for key, words in zip(unlisted, as_words(unlisted), strict=True):
        found.setdefault(words, _Meaning((key,)))
    for words in as_words(CONTENT["nothing"]):
        found.setdefault(words, _Meaning(()))
    for each in CONTENT["either"]:
        for words in as_words(each["words"]):
            found.setdefault(words, _Meaning(tuple(each["classes"]), not each.get("unsure", False)))
    for words, meaning in _unsure(label_of).items():
        found.setdefault(words, meaning)
    for entry in CLASSES:
        for words in (*as_words([entry.name]), *entry.asked, *entry.words):
            found.setdefault(words, _Meaning((entry.name,)))
    return _with_plurals({words: meaning for words, meaning in found.items() if words})


def _unsure(label_of: dict[str, str]) -> dict[Words, _Meaning]:
    """Ambiguous words, some of them for several classes."""
    found: dict[Words, _Meaning] = {}
    for each in CLASSES:
        # Counted under VOC's name, so that VOC's narrower rules apply
        narrow = label_of.get(each.name, "").lower() == each.voc != each.name
        for words in (*each.unsure, *(each.unsure_in_voc if narrow else ())):
            others = found[words].classes if words in found else ()
            found[words] = _Meaning((*others, each.name), sure=False)
    return found


def _with_plurals(singular: dict[Words, _Meaning]) -> dict[Words, _Meaning]:
    """The same words and their plurals; a plural that is listed itself takes precedence."""
    forms = {words: (*words[:-1], plural(words[-1])) for words in singular}
    plurals = {
        forms[words]: replace(each, plural=True)
        for words, each in singular.items()
        if forms[words] != words
    }
    listed = {words: replace(each, plural=words in plurals) for words, each in singular.items()}
    return plurals | listed


def _is_plain(words: Words, start: int, end: int, meaning: _Meaning) -> bool:
    """Whether a class word's context leaves it unambiguous.

    A plural is followed by a verb ("dogs house"), not by the head of a compound.
    """
    headed = not meaning.plural and end < len(words) and words[end] in _UNSURE_AFTER
    return not headed and not _follows(words, start, _UNSURE_BEFORE)


def _follows(words: Words, start: int, phrases: frozenset[Words]) -> bool:
    """Whether one of some phrases precedes a word, or its article."""
    ends = [start, start - 1] if start and words[start - 1] in _ARTICLES else [start]
    return any(
        words[max(end - size, 0) : end] in phrases for end in ends for size in (1, 2) if end >= size
    )


def _modifier_kinds() -> dict[str, set[str]]:
    kinds: dict[str, set[str]] = {}
    for kind, names in CONTENT["modifiers"].items():
        for word in names:
            kinds.setdefault(word, set()).add(kind)
    return kinds


_PLURALS: dict[str, str] = CONTENT["plurals"]
_MODIFIERS = _modifier_kinds()
_LIKE_ANIMALS = frozenset(form for word in CONTENT["like_animals"] for form in (word, plural(word)))
_NOT_THERE = frozenset(as_words(CONTENT["not_there"]))
_UNSURE_BEFORE = frozenset(as_words(CONTENT["unsure_before"]))
_UNSURE_AFTER = frozenset(CONTENT["unsure_after"])
