"""Flickr30k Entities (Plummer et al. 2015): sentences whose phrases are linked to boxes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from regiontalk.data.boxes import (
    EVERYTHING,
    BoxedDataset,
    BoxedPhoto,
    RawBox,
    RawPhoto,
    Selection,
    boxed_photos,
    photo_folders,
    refuse_repeated,
)
from regiontalk.data.captions import ALL, Problems, exists, name_in_data, refuse_split, safe_names
from regiontalk.data.xml_files import box_in, read_xml, size_in
from regiontalk.errors import DataError
from regiontalk.files import read_text
from regiontalk.language import tokenise

_MARKUP = re.compile(r"\[/EN#(\d+)((?:/[^\s/\[\]]+)+) ([^\[\]]+)\]")
_SUFFIX = ".jpg"
NOT_VISIBLE = "0"
"""Entity id of phrases that name nothing visible."""


@dataclass(frozen=True)
class EntityPhrase:
    """A phrase of a sentence: its words [start, end), its entity and its types ("people")."""

    start: int
    end: int
    entity: str
    types: tuple[str, ...]


@dataclass(frozen=True)
class EntitySentence:
    """A sentence's words, as `tokenise` splits it, and its phrases whose entities have boxes."""

    words: tuple[str, ...]
    phrases: tuple[EntityPhrase, ...]


@dataclass(frozen=True)
class Entities:
    """Flickr30k Entities, or a part of it.

    Attributes:
        boxes: the photos; a box's texts are the ids of its entities.
        sentences: of each photo, in the same order.
    """

    boxes: BoxedDataset
    sentences: tuple[tuple[EntitySentence, ...], ...]


def is_entities(folder: Path) -> bool:
    """Whether a folder is laid out like Flickr30k Entities, by its names alone."""
    return (folder / "Sentences").is_dir() and (folder / "Annotations").is_dir()


def read_entities(
    folder: str | Path,
    split: str = ALL,
    image_folder: str | Path | None = None,
    selection: Selection = EVERYTHING,
) -> Entities:
    """Reads Flickr30k Entities.

    `Sentences/ID.txt` has a sentence on each line, with phrases marked as
    `[/EN#17/people A young girl]`; `Annotations/ID.xml` has the photo's size and objects, each with
    its entity ids and a box, or with `nobndbox` or `scene` instead of one. Phrases without a box
    are left out and counted.

    Args:
        folder: where both lie, and `train.txt`, `val.txt`, `test.txt` with an id on each line.
        split: "all", "train", "dev" (or "val"), "test".
        image_folder: where `ID.jpg` lie; None for `images`, `flickr30k-images` or
            `flickr30k_images` in the folder or beside it.
        selection: photo selection and the handling of invalid entries; their names are ID.jpg.

    Raises:
        DataError: if a file is missing or damaged, a photo is listed twice or in two splits, a
            phrase's markup is damaged, or its id is none of the annotation's.
    """
    folder = Path(folder)
    if not is_entities(folder):
        raise DataError(
            f"{folder}: expected the folders Sentences and Annotations of Flickr30k Entities"
        )
    problems, raw = Problems(folder), dict[str, RawPhoto]()
    boxless: dict[str, set[str]] = {}
    names, refused = _names(folder, split, problems)
    for name in selection.choose(safe_names(names, problems), problems, refused):
        annotation = folder / "Annotations" / f"{name.removesuffix(_SUFFIX)}.xml"
        if exists(annotation):
            raw[name], boxless[name] = _read_annotation(annotation, problems)
        else:
            problems.add("photos without an annotation", [name])
    candidates = ("images", "flickr30k-images", "flickr30k_images")
    places = (base / name for base in (folder, folder.parent) for name in candidates)
    folders = photo_folders(image_folder, *places, folder)
    photos, remarks = boxed_photos(raw, folders, EVERYTHING, problems), dict[str, int]()
    sentences = tuple(
        _sentences(folder, photo, boxless[photo.name], problems, remarks) for photo in photos
    )
    boxes = BoxedDataset(
        folder.resolve().name, split, "entities", photos, selection.settle(problems), remarks
    )
    return Entities(boxes, sentences)


def parse_sentence(line: str) -> tuple[list[str], list[EntityPhrase]] | None:
    """Parses a sentence with markup into words and phrases; None if the markup is damaged.

    >>> parse_sentence("[/EN#1/people A girl] in [/EN#2/clothing a T-shirt] smiles .")[1][1]
    EntityPhrase(start=3, end=6, entity='2', types=('clothing',))
    """
    words: list[str] = []
    phrases: list[EntityPhrase] = []
    at = 0
    for found in _MARKUP.finditer(line):
        words += tokenise(line[at : found.start()])
        inside = tokenise(found[3])
        if not inside:
            return None
        types = tuple(found[2].strip("/").split("/"))
        phrases.append(EntityPhrase(len(words), len(words) + len(inside), found[1], types))
        words += inside
        at = found.end()
    words += tokenise(line[at:])
    rest = _MARKUP.sub("", line)
    return None if "[/EN" in rest or not words else (words, phrases)


def _names(folder: Path, split: str, problems: Problems) -> tuple[list[str], set[str]]:
    """Names of a split's photos, and those of them that are listed twice or in two splits.

    From the split's list; of all photos from the sentences.
    """
    if split == ALL:
        return sorted(
            f"{path.stem}{_SUFFIX}" for path in (folder / "Sentences").glob("*.txt")
        ), set()
    lists = {
        name: folder / f"{name}.txt"
        for name in ("train", "val", "test")
        if (folder / f"{name}.txt").is_file()
    }
    wanted = name_in_data(split)
    if wanted not in lists:
        refuse_split(folder, split, [*lists, ALL])
    found = {name: _listed(file) for name, file in lists.items()}
    twice = refuse_repeated(problems, "photos listed twice", found[wanted])
    others = {photo for name, photos in found.items() if name != wanted for photo in photos}
    in_two = others & set(found[wanted])
    problems.add("photos in two splits", sorted(in_two))
    return list(dict.fromkeys(found[wanted])), twice | in_two


def _listed(file: Path) -> list[str]:
    """Photo names from a list of ids, with or without suffix."""
    return [f"{each.removesuffix(_SUFFIX)}{_SUFFIX}" for each in read_text(file).split()]


def _read_annotation(file: Path, problems: Problems) -> tuple[RawPhoto, set[str]]:
    """The boxes, and the ids of entities without one."""
    root, boxless = read_xml(file), set[str]()
    photo = RawPhoto(size_in(root))
    for row, each in enumerate(root.findall("object")):
        ids = tuple((name.text or "").strip() for name in each.findall("name"))
        xyxy = box_in(each)
        if not ids or not all(ids):
            problems.add("objects without an id", [f"{file.name}, object {row}"])
        elif xyxy is not None:
            photo.boxes.append(RawBox(f"object {row}", xyxy, ids))
        elif "1" in (each.findtext("nobndbox", "").strip(), each.findtext("scene", "").strip()):
            boxless.update(ids)
        else:
            problems.add("objects with neither a box nor a reason", [f"{file.name}, object {row}"])
    return photo, boxless


def _sentences(
    folder: Path, photo: BoxedPhoto, boxless: set[str], problems: Problems, remarks: dict[str, int]
) -> tuple[EntitySentence, ...]:
    file = folder / "Sentences" / f"{photo.name.removesuffix(_SUFFIX)}.txt"
    if not exists(file):
        problems.add("photos without sentences", [photo.name])
        return ()
    boxed = {entity for texts in photo.texts for entity in texts}
    boxless = (boxless | {NOT_VISIBLE}) - boxed
    sentences: list[EntitySentence] = []
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        parsed = parse_sentence(line) if line.strip() else ([], [])
        if parsed is None:
            problems.add("sentences with damaged markup", [f"{file.name}, line {number}"])
            continue
        words, phrases = parsed
        unknown = [p.entity for p in phrases if p.entity not in boxed and p.entity not in boxless]
        problems.add(
            "ids that the annotation lacks",
            [f"{file.name}, line {number}: EN#{each}" for each in unknown],
        )
        without = sum(phrase.entity in boxless for phrase in phrases)
        remarks["phrases without a box"] = remarks.get("phrases without a box", 0) + without
        if words:
            sentences.append(
                EntitySentence(tuple(words), tuple(p for p in phrases if p.entity in boxed))
            )
    return tuple(sentences)
