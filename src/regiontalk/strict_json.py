"""What all readers of JSON files share: a key that occurs twice in an object is an error, not the loss of a value."""

from __future__ import annotations

from collections import Counter
from typing import Any

from regiontalk.settings import shown


class RepeatedKeyError(ValueError):
    """A key occurs twice in one JSON object."""


def no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object as a dict, for the `object_pairs_hook` of `json.loads`, which keeps a key's last value only.

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
