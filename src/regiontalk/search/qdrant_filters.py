"""Conditions of a search as those of a Qdrant server."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from regiontalk.errors import ConfigError
from regiontalk.search.filters import Where
from regiontalk.search.texts import keys_of_word

if TYPE_CHECKING:
    from qdrant_client import models


def conditions_of(where: Where, in_text: Sequence[str] = ()) -> models.Filter | None:
    """The conditions as Qdrant's.

    Args:
        in_text: words of which the photo's text must have one.

    Raises:
        ConfigError: if the path's pattern is not FOLDER/*, the only kind that Qdrant can look up.
    """
    from qdrant_client import models

    must: list[Any] = []
    if where.path is not None:
        folder = where.path.removesuffix("*")
        if not folder.endswith(("/", "\\")) or set(folder) & set("*?"):
            raise ConfigError(f"--path {where.path}: with Qdrant, expected a folder and /*, such as '/photos/2024/*'")
        names = {folder, *(unicodedata.normalize(form, folder) for form in ("NFC", "NFD"))}
        stored = [name.encode("utf-8", "surrogateescape").decode("latin-1") for name in sorted(names)]
        must.append(models.FieldCondition(key="folders", match=models.MatchAny(any=stored)))
    ranges: Sequence[tuple[str, int | None, int | None]] = (
        ("taken", *where.seconds()),
        ("width", *_side(where, 0)),
        ("height", *_side(where, 1)),
    )
    must += [_range(*each) for each in ranges if each[1:] != (None, None)]
    if in_text:
        keys = [[models.MatchValue(value=key) for key in keys_of_word(word)] for word in in_text]
        should: list[Any] = []
        for matches in keys:
            every: list[Any] = [models.FieldCondition(key="words", match=match) for match in matches]
            should.append(models.Filter(must=every))
        return models.Filter(must=must, should=should)
    return models.Filter(must=must) if must else None


def _side(where: Where, side: int) -> tuple[int | None, int | None]:
    least, most = (None if size is None else size[side] for size in (where.least, where.most))
    return least, most


def _range(key: str, least: int | None, most: int | None) -> models.FieldCondition:
    from qdrant_client import models

    return models.FieldCondition(key=key, range=models.Range(gte=least, lte=most))
