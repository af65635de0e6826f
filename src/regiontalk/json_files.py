"""Strict JSON, JSON Lines and TOML: no duplicate keys, finite numbers only, bounded nesting."""

from __future__ import annotations

import json
import math
import os
import tomllib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from regiontalk.errors import ConfigError, DataError
from regiontalk.files import MAX_CONFIG_BYTES, read_text
from regiontalk.settings import shown


class RepeatedKeyError(ValueError):
    """A key occurs twice in one JSON object."""


def no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """`object_pairs_hook` of `json.loads` that rejects duplicate keys.

    Without it, `json.loads` silently keeps a key's last value.

    Raises:
        RepeatedKeyError: if a key occurs twice; it names the key.

    >>> no_key_twice([("a.jpg", 1), ("b.jpg", 2)])
    {'a.jpg': 1, 'b.jpg': 2}
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise RepeatedKeyError(f"a key that occurs twice: {shown(key)}")
    return found


def parse_json(text: str | bytes) -> Any:
    """Parse strict JSON: no duplicate keys, no NaN, no number too large for a float.

    Raises:
        RepeatedKeyError: if an object has a key twice.
        ValueError: if it is not JSON, has a number that is not finite, or is nested too deep.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=no_key_twice,
            parse_constant=_finite,
            parse_float=_finite,
            parse_int=_whole,
        )
    except RecursionError:
        raise ValueError("nested too deep") from None


def read_json(
    path: str | os.PathLike[str], text: str | None = None, line: int | None = None
) -> Any:
    """The JSON of a file, or of text that was read from it.

    Args:
        text: None to read the file.
        line: line number of the text, for messages.

    Raises:
        DataError: if the file cannot be read, is not JSON, or an object in it has a key twice.
    """
    text = read_text(path) if text is None else text
    place = os.fsdecode(path) + (f", line {line}" if line else "")
    try:
        return parse_json(text)
    except RepeatedKeyError as error:
        raise DataError(
            f"{place}: found {error}, expected each key once; join the two or remove one"
        ) from None
    except ValueError as error:
        raise DataError(f"{place}: not JSON ({error})") from error


def json_lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, Any]]:
    """Line number, from 1, and JSON value of each line that is not blank.

    Raises:
        DataError: if the file cannot be read, or a line is not JSON.
    """
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            yield number, read_json(path, line, number)


def read_toml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The TOML of a file.

    Raises:
        ConfigError: if the file cannot be read or is not TOML.
    """
    text = read_text(path, MAX_CONFIG_BYTES, ConfigError)
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as failure:
        raise ConfigError(f"{os.fsdecode(path)}: not a TOML file ({failure})") from failure


def _whole(text: str) -> int:
    _finite(text)  # 400 digits are whole, but no float
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"a number that is not finite: {shown(text)}")
    return value
