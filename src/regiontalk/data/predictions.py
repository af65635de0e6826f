"""Matching of a system's captions with reference captions by photo; photos need not exist."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from regiontalk.data.caption_formats import FORMATS, parser_of
from regiontalk.data.captions import ALL, Captions, Problems, repeated
from regiontalk.data.folder import read_captions, read_names
from regiontalk.errors import DataError
from regiontalk.files import read_text

Pairs = list[tuple[str, str]]
"""(photo, caption), in the file's order."""


@dataclass(frozen=True)
class References:
    """Reference captions of photos.

    Attributes:
        captions: by photo's name, at least one each.
        split: theirs; None if the data was taken whole.
        everything: all captions of the file or folder, other splits too.
    """

    captions: dict[str, list[str]]
    split: str | None
    everything: Captions = field(repr=False)


@dataclass(frozen=True)
class Matched:
    """Predictions and references by photo, in the order of the references or of the list."""

    images: list[str]
    candidates: list[str]
    references: list[list[str]]
    split: str | None


def match(
    predictions: Path, references: Path, images: Path | None = None, split: str = "test"
) -> Matched:
    """Reads predictions and references and joins them; any mismatch is an error.

    Args:
        predictions: captions, one a photo: see `read_predictions`.
        references: see `read_references`.
        images: a list of names, one a line, to restrict the photos and set their order.
        split: of references that have splits.

    Raises:
        DataError: if a file is damaged, a prediction has no reference or a photo no prediction, a
            photo has two predictions, or a name is ambiguous. It names the first few and counts
            all.
    """
    listed = None if images is None else _read_list(images)
    truths = read_references(references, split)
    known, everything = truths.captions, truths.everything
    photos = PhotoNames(everything.source, everything.captions, everything.aliases)
    named = [
        (photos.named(name), caption) for name, caption in read_predictions(predictions, listed)
    ]
    wanted = list(known) if listed is None else [photos.named(name) for name in listed]
    problems = Problems(predictions)
    problems.add(f"names that fit several photos of {references}", photos.ambiguous)
    problems.raise_if_any("or name these photos as the references do")
    _require_fitting(problems, references, [name for name, _ in named], wanted, known)
    captions = dict(named)
    return Matched(
        wanted, [captions[name] for name in wanted], [known[name] for name in wanted], truths.split
    )


def read_predictions(file: Path, listed: Sequence[str] | None = None) -> Pairs:
    """The captions of a system, in the file's order.

    Args:
        file: in any format of captions, such as COCO results (a JSON list of `{"image_id",
            "caption"}`), JSON Lines of `{"image", "caption"}` or what `regiontalk describe --json`
            prints; or plain text, a caption a line. Or a folder of captioned photos.
        listed: the photos of the lines of plain text.

    Raises:
        DataError: if the file is damaged, or plain text does not fit the list.
    """
    if file.is_dir():
        return [
            (name, caption)
            for name, texts in read_captions(file).captions.items()
            for caption in texts
        ]
    text = read_text(file)
    parser = parser_of(file, text)
    if parser is not None:
        return [(row.name, caption) for row in parser(file, text) for caption in row.captions]
    lines = text.removesuffix("\n").split("\n")
    if listed is None:
        raise DataError(
            f"{file}: plain text does not say which photos it is about; "
            f"name them with --images LIST, or give {FORMATS}"
        )
    if len(lines) != len(listed):
        raise DataError(
            f"{file}: {len(lines)} lines, but the list names {len(listed)} photos; "
            "give a caption for each"
        )
    return list(zip(listed, lines, strict=True))


def read_references(path: Path, split: str = "test") -> References:
    """Reads reference captions from a file or folder.

    Args:
        path: a file of captions or a folder of captioned photos, see
            `regiontalk.data.folder.read_captions`.
        split: of data with splits; "all" for every photo. Captions without splits are taken whole.

    Raises:
        DataError: if it is none of these or damaged, lacks the split, or a photo has an empty
            caption.
    """
    found = read_captions(path)
    whole = split == ALL or not found.states_splits
    names = found.names(ALL if whole else split)
    captions = {name: found.captions.get(name, []) for name in names}
    problems = Problems(path)
    problems.add("photos listed twice", repeated(names))
    problems.add(
        "photos without a caption", [name for name, texts in captions.items() if not texts]
    )
    empty = [name for name, texts in captions.items() if not all(text.strip() for text in texts)]
    problems.add("photos with an empty caption", empty)
    problems.raise_if_any()
    if not captions:
        raise DataError(f"{path}: holds no caption")
    return References(captions, None if whole else split, found)


class PhotoNames:
    """Resolves the names by which another file refers to photos.

    A name resolves to the photo of this name; to the one with this alias, such as COCO's id; to the
    file at this path in the data's folder; or to the only photo with the path's bare file name, or
    with its folders too.

    Args:
        source: the file or folder of the data, such as the references.
        names: of its photos.
        aliases: the photos that each alias stands for.

    Attributes:
        ambiguous: names that were looked up and match several photos.
    """

    def __init__(
        self, source: Path, names: Iterable[str], aliases: Mapping[str, list[str]]
    ) -> None:
        self.ambiguous: list[str] = []
        self._names, self._aliases = dict.fromkeys(names), aliases
        absolute = os.path.abspath(source)
        folder = absolute if source.is_dir() else os.path.dirname(absolute)
        self._folders = [os.path.join(folder, "images"), folder]
        self._with_bare_name: dict[str, list[str]] = {}
        for name in self._names:
            self._with_bare_name.setdefault(PurePath(name).name, []).append(name)

    def named(self, given: str) -> str:
        """The photo's name in the data; the given name if none or several match."""
        found = self._meant(given)
        if len(found) > 1:
            self.ambiguous.append(given)
        return found[0] if len(found) == 1 else given

    def _meant(self, given: str) -> list[str]:
        known = self._names
        if given in known:
            return [given]
        if given in self._aliases:
            return self._aliases[given]
        path = os.path.abspath(given)
        inside = [
            PurePath(path).relative_to(folder).as_posix()
            for folder in self._folders
            if _is_below(path, folder)
        ]
        found = [name for name in inside if name in known]
        return found[:1] or self._of_bare_name(PurePath(os.path.normpath(given)))

    def _of_bare_name(self, path: PurePath) -> list[str]:
        """The photos with a path's bare name, or only the one whose folders match too, if any."""
        found = self._with_bare_name.get(path.name, [])
        ends = [
            name for name in found if "/" in name and f"/{path.as_posix()}".endswith(f"/{name}")
        ]
        return [max(ends, key=len)] if ends else found


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def _require_fitting(
    problems: Problems,
    references: Path,
    named: list[str],
    wanted: list[str],
    known: dict[str, list[str]],
) -> None:
    problems.add("photos with two predictions", repeated(named))
    problems.add("photos listed twice", repeated(wanted))
    problems.add(f"predictions of photos that {references} does not have", _missing(named, known))
    problems.add(f"listed photos that {references} does not have", _missing(wanted, known))
    problems.add(
        "predictions of photos that are not listed",
        _missing([n for n in named if n in known], set(wanted)),
    )
    problems.add("photos without a prediction", _missing(wanted, set(named)))
    problems.raise_if_any()


def _missing(names: Iterable[str], there: Iterable[str]) -> list[str]:
    there = there if isinstance(there, set | dict) else set(there)
    return [name for name in dict.fromkeys(names) if name not in there]


def _read_list(file: Path) -> list[str]:
    names = read_names(file)
    if not names:
        raise DataError(f"{file}: names no photo; expected a name on each line")
    return names
