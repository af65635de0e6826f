"""Whether a pack was trained on the photos that it is measured on: by the photos themselves, else by what it says.

A pack that lists fingerprints of its training photos is asked for each photo. Another can only be asked for names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regiontalk.fingerprints import fingerprint_files, recognised

if TYPE_CHECKING:
    from regiontalk.evaluation.looking import Progress
    from regiontalk.pack import Pack

_ALL = "all"
NEVER_SEEN = "never_seen"
_UNKNOWN = "unknown: the pack does not say what it was trained on"


def training_signature(
    pack: Pack, name: str, split: str, files: Sequence[Path], progress: Progress, max_pixels: int | None = None
) -> dict[str, Any]:
    """What a signature says about photos that were learnt.

    Args:
        pack: that is measured.
        name, split: of the dataset; they are only asked for if the pack has no list of its training photos.
        files: the photos.
        progress: is told how far it is.
        max_pixels: of the photos, see `open_photo`.

    Returns:
        `{"seen_in_training": "yes: ...", "no: ..." or "unknown: ..."}`, and `"photos_seen_in_training"`, how many of
        `files` were recognised, if the pack has a list.

    Raises:
        PhotoError: if a photo is broken.
    """
    if pack.training_photos is None:
        return {"seen_in_training": named_in_training(pack.settings.trained_on, name, split)}
    progress.expect(len(files), "photos compared with the pack's training photos")
    asked = fingerprint_files(files, progress.advance, max_pixels)
    seen = int(recognised(asked, pack.training_photos).sum())
    those = f"the {len(pack.training_photos):,} photos that the pack was trained on"
    said = f"yes: {seen:,} of {len(files):,} photos ({seen / len(files):.1%}) are" if seen else "no: no photo is"
    return {"seen_in_training": f"{said} among {those}", "photos_seen_in_training": seen}


def training_warning(signature: Mapping[str, Any]) -> str | None:
    """What must be said loudly beside the numbers of a pack that learnt these photos; None if nothing says it did."""
    seen = str(signature["seen_in_training"])
    if not seen.startswith("yes"):
        return None
    counted = "photos_seen_in_training" in signature
    never = "" if counted else f" It never saw: {signature.get(NEVER_SEEN, 'the pack does not say')}."
    return (
        f"WARNING: the pack {signature['pack']} was trained on photos that it is measured on "
        f"({seen.removeprefix('yes: ')}).{never} The numbers show what it remembers, not how well it does on new "
        "photos: do not compare or publish them."
    )


def named_in_training(trained_on: Mapping[str, Any], name: str, split: str) -> str:
    """Whether a pack says that it was trained on a split of a dataset.

    Looked for are objects `{"dataset": name, "split": split}` anywhere in what the pack says, and texts that name the
    dataset and right after it the split ("Flickr8k train: 6,000 photos"). Letter case and punctuation do not matter.
    What stands under "never_seen" does not count. Names are compared, not photos: the same photos under another name
    are not recognised.

    Args:
        trained_on: from `pack.json`.
        name: of the dataset.
        split: several joined by "+", or "all", ask for each of them.

    Returns:
        "yes: ..." with the pack's words, "no: ..." or "unknown: ..."; for people, beside the numbers.

    >>> named_in_training({"captions": "Flickr8k train: 6,000 photos"}, "flickr8k", "train")
    'yes: "Flickr8k train: 6,000 photos"'
    >>> named_in_training({"captions": "Flickr8k train: 6,000 photos"}, "flickr8k", "test")[:3]
    'no:'
    """
    if not trained_on:
        return _UNKNOWN
    for part in split.split("+"):
        for claim in _claims(trained_on, _words(name), [] if part == _ALL else _words(part)):
            return f'yes: "{claim}"'
    return "no: the pack names no training on this dataset's split"


def _claims(value: Any, name: list[str], split: list[str]) -> Iterator[str]:
    """What names a dataset and its split, wherever it stands; an empty split is any."""
    if isinstance(value, str):
        said, wanted = _words(value), name + split
        if any(said[start : start + len(wanted)] == wanted for start in range(len(said) - len(wanted) + 1)):
            yield value
    elif isinstance(value, list):
        for each in value:
            yield from _claims(each, name, split)
    elif isinstance(value, Mapping) and isinstance(value.get("dataset"), str) and isinstance(value.get("split"), str):
        splits = [_words(part) for part in value["split"].split("+")]
        if _words(value["dataset"]) == name and (not split or split in splits):
            yield f"{value['dataset']} {value['split']}"
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if key != NEVER_SEEN:
                yield from _claims(each, name, split)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())
