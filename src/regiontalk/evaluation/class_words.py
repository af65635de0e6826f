"""How people name a class: synonyms, of which a pack may know some.

The first is what the class is asked for with, if the pack knows it; the order is fixed here and not chosen by results.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from regiontalk.language import tokenise

_SYNONYMS = """
aeroplane: aeroplane, airplane, plane, airplanes, planes, aircraft, jet
bicycle: bicycle, bike, bicycles, bikes
bird: bird, birds
boat: boat, boats, ship, canoe, kayak, sailboat
bottle: bottle, bottles
bus: bus, buses
car: car, cars
cat: cat, cats, kitten, kittens
chair: chair, chairs
cow: cow, cows, cattle, bull, calf
diningtable: dining table, table, tables
dog: dog, dogs, puppy, puppies
horse: horse, horses, pony
motorbike: motorbike, motorcycle, motorbikes, motorcycles, scooter
person: person, man, woman, boy, girl, people, child, men, women, boys, girls, children, kid, kids, baby, lady, guy, toddler
pottedplant: potted plant, plant, plants, flowerpot
sheep: sheep, lamb, lambs
sofa: sofa, couch, couches
train: train, trains
tvmonitor: tv, television, monitor, screen, tvs, televisions, monitors, screens
"""  # noqa: E501

_OTHER_NAMES = {
    "airplane": "aeroplane",
    "couch": "sofa",
    "dining table": "diningtable",
    "motorcycle": "motorbike",
    "potted plant": "pottedplant",
    "tv": "tvmonitor",
}
"""COCO's names of classes that Pascal VOC has too."""

Words = tuple[str, ...]


def _parse(lines: str) -> dict[str, tuple[Words, ...]]:
    pairs = (line.split(":") for line in lines.strip().splitlines())
    return {name: tuple(tuple(tokenise(each)) for each in names.split(",")) for name, names in pairs}


SYNONYMS = _parse(_SYNONYMS)
"""For each of Pascal VOC's 20 classes its synonyms, each as words; "dining table" has two."""


def synonyms(label: str) -> tuple[Words, ...]:
    """What a class is called, the first choice first: the listed synonyms, or the class's own name.

    Letter case does not matter: other datasets write "Dog".

    >>> synonyms("sofa")
    (('sofa',), ('couch',), ('couches',))
    >>> synonyms("traffic light")
    (('traffic', 'light'),)
    """
    lower = label.lower()
    found = SYNONYMS.get(_OTHER_NAMES.get(lower, lower))
    return (tuple(tokenise(lower)),) if found is None else found


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
