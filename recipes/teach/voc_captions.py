"""Captions in German and Korean from the boxes of Pascal VOC, to teach a pack that knows English.

    python recipes/teach/voc_captions.py data runs/teach

DATA holds ``voc`` (see recipes/default/README.md). OUTPUT receives ``german.csv`` and
``korean.csv``, lines of image,caption,split, and a link ``images`` to the photos. Two captions a
photo: what is on it, and where the largest thing is. Every sixth photo by name, which no recipe
trains on, is in the split "test"; of the others some are in "train", evenly spread over the names.

They are templates, and no substitute for what people write: they show whether new words find their
regions.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from regiontalk.data import BoxedPhoto, read_voc
from regiontalk.vision.boxes import area

HELD_OUT_EVERY = 6
PHOTOS = 500
KINDS = 3
"""Of things in a caption, those that take most of the photo."""
NEAR, FAR = 0.35, 0.05
"""Share of the photo from which the largest thing is near, and up to which it is far."""


class Names(NamedTuple):
    """Names of a class: German singular with article, and plural; Korean, and its counter word."""

    german: str
    germans: str
    korean: str
    counter: str


NAMES = {
    "aeroplane": Names("ein Flugzeug", "Flugzeuge", "비행기", "대"),
    "bicycle": Names("ein Fahrrad", "Fahrräder", "자전거", "대"),
    "bird": Names("ein Vogel", "Vögel", "새", "마리"),
    "boat": Names("ein Boot", "Boote", "배", "척"),
    "bottle": Names("eine Flasche", "Flaschen", "병", "개"),
    "bus": Names("ein Bus", "Busse", "버스", "대"),
    "car": Names("ein Auto", "Autos", "자동차", "대"),
    "cat": Names("eine Katze", "Katzen", "고양이", "마리"),
    "chair": Names("ein Stuhl", "Stühle", "의자", "개"),
    "cow": Names("eine Kuh", "Kühe", "소", "마리"),
    "diningtable": Names("ein Esstisch", "Esstische", "식탁", "개"),
    "dog": Names("ein Hund", "Hunde", "개", "마리"),
    "horse": Names("ein Pferd", "Pferde", "말", "마리"),
    "motorbike": Names("ein Motorrad", "Motorräder", "오토바이", "대"),
    "person": Names("ein Mensch", "Menschen", "사람", "명"),
    "pottedplant": Names("eine Topfpflanze", "Topfpflanzen", "화분", "개"),
    "sheep": Names("ein Schaf", "Schafe", "양", "마리"),
    "sofa": Names("ein Sofa", "Sofas", "소파", "개"),
    "train": Names("ein Zug", "Züge", "기차", "대"),
    "tvmonitor": Names("ein Fernseher", "Fernseher", "텔레비전", "대"),
}
GERMAN_NUMBERS, KOREAN_NUMBERS = ("zwei", "drei", "vier"), ("한", "두", "세", "네")
GERMAN_PLACES = ("links", "in der Mitte", "rechts")
KOREAN_PLACES = ("왼쪽에", "가운데에", "오른쪽에")


class Scene(NamedTuple):
    """What is on a photo.

    Attributes:
        things: classes with how many there are, those that take most of the photo first.
        place: of the largest thing: 0 left, 1 middle, 2 right.
        size: its share of the photo.
    """

    things: list[tuple[str, int]]
    place: int
    size: float


def scene_of(photo: BoxedPhoto) -> Scene:
    """What VOC's boxes say of a photo."""
    sizes = area(photo.boxes_xyxy) / (photo.width * photo.height)
    labels = [texts[0] for texts in photo.texts]
    taken = {
        label: sum(s for s, own in zip(sizes, labels, strict=True) if own == label)
        for label in set(labels)
    }
    kinds = sorted(taken, key=lambda label: (-taken[label], label))[:KINDS]
    largest = max(
        (row for row in range(len(labels)) if labels[row] == kinds[0]), key=lambda row: sizes[row]
    )
    left, _, right, _ = photo.boxes_xyxy[largest]
    place = min(2, int(3 * (left + right) / 2 / photo.width))
    return Scene([(kind, labels.count(kind)) for kind in kinds], place, float(sizes[largest]))


def german(scene: Scene) -> list[str]:
    """Two captions.

    >>> german(Scene([("dog", 1), ("cat", 2)], 0, 0.5))
    ['Auf dem Foto sind ein Hund und zwei Katzen.', 'Links ist ganz nah ein Hund.']
    """

    def counted(kind: str, count: int) -> str:
        many = GERMAN_NUMBERS[count - 2] if count - 2 < len(GERMAN_NUMBERS) else "viele"
        return NAMES[kind].german if count == 1 else f"{many} {NAMES[kind].germans}"

    things = [counted(*each) for each in scene.things]
    listed = " und ".join([", ".join(things[:-1]), things[-1]] if len(things) > 1 else things)
    verb = "ist" if len(things) == 1 and scene.things[0][1] == 1 else "sind"
    how = " ganz nah" if scene.size >= NEAR else " weit weg" if scene.size <= FAR else ""
    place = GERMAN_PLACES[scene.place]
    return [
        f"Auf dem Foto {verb} {listed}.",
        f"{place[0].upper()}{place[1:]} ist{how} {NAMES[scene.things[0][0]].german}.",
    ]


def korean(scene: Scene) -> list[str]:
    """Two captions.

    >>> korean(Scene([("dog", 1), ("person", 2)], 0, 0.5))
    ['사진에 개 한 마리와 사람 두 명이 있다.', '왼쪽에 개 한 마리가 가까이 있다.']
    """

    def counted(kind: str, count: int) -> str:
        many = KOREAN_NUMBERS[count - 1] if count - 1 < len(KOREAN_NUMBERS) else "여러"
        return f"{NAMES[kind].korean} {many} {NAMES[kind].counter}"

    things = [counted(*each) for each in scene.things]
    listed = " ".join(
        [
            *(with_particle(each, "과", "와") for each in things[:-1]),
            with_particle(things[-1], "이", "가"),
        ]
    )
    how = "가까이 " if scene.size >= NEAR else "멀리 " if scene.size <= FAR else ""
    largest = with_particle(counted(scene.things[0][0], 1), "이", "가")
    return [f"사진에 {listed} 있다.", f"{KOREAN_PLACES[scene.place]} {largest} {how}있다."]


def with_particle(text: str, after_consonant: str, after_vowel: str) -> str:
    """A Korean word with its particle: which one, its last syllable says.

    >>> with_particle("한 명", "이", "가"), with_particle("한 마리", "이", "가")
    ('한 명이', '한 마리가')
    """
    # A syllable's number counts its last consonant, 0 for none
    closed = (ord(text[-1]) - ord("가")) % 28
    return text + (after_consonant if closed else after_vowel)


def chosen(photos: Sequence[BoxedPhoto], count: int) -> list[tuple[BoxedPhoto, str]]:
    """So many training photos and all that are held out, with their splits."""
    train = [photo for row, photo in enumerate(photos) if row % HELD_OUT_EVERY]
    count = min(count, len(train))
    some = [train[row * len(train) // count] for row in range(count)]
    return [(photo, "train") for photo in some] + [
        (photo, "test") for photo in photos[::HELD_OUT_EVERY]
    ]


def write(
    file: Path, photos: Sequence[tuple[BoxedPhoto, str]], say: Callable[[Scene], list[str]]
) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["image", "caption", "split"])
        for photo, split in photos:
            writer.writerows([photo.file.name, caption, split] for caption in say(scene_of(photo)))


def main() -> None:
    """Write both files and say how many photos they hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument(
        "--photos", type=int, default=PHOTOS, help=f"to train on, {PHOTOS} by default"
    )
    options = parser.parse_args()
    photos = sorted(read_voc(options.data / "voc").photos, key=lambda photo: photo.file.name)
    some = chosen(photos, max(1, options.photos))
    options.output.mkdir(parents=True, exist_ok=True)
    folder = options.output / "images"
    if not folder.is_symlink():
        folder.symlink_to((options.data / "voc" / "images").resolve(), target_is_directory=True)
    for name, say in (("german", german), ("korean", korean)):
        write(options.output / f"{name}.csv", some, say)
    train = sum(split == "train" for _, split in some)
    print(f"{train} photos in train, {len(some) - train} in test")


if __name__ == "__main__":
    main()
