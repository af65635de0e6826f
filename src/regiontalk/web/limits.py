"""How much the server takes on: bytes, pixels, time and requests at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What the server refuses, so that no request takes its memory or its time from the others.

    Attributes:
        body_bytes: of a request; found out while it comes in, before it is in memory.
        pixels: width times height of an uploaded photo; found out from its header, before it is decoded.
        sentence: characters of a sentence.
        results: of a search.
        waiting: requests that are taken on at once; the next one is answered 503.
        body_seconds: in which a request must have come in.
    """

    body_bytes: int = 32 * 1024 * 1024
    pixels: int = 50_000_000
    sentence: int = 1_000
    results: int = 100
    waiting: int = 128
    body_seconds: float = 60.0


DEFAULTS = Limits()
"""`sentence` and `results` stand in the API's own document, so all servers have these two."""
