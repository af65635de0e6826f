"""How much the server takes on: bytes, pixels, time and requests at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What the server refuses, so that no request takes its memory or its time from the others.

    Attributes:
        body_bytes: of a request; found out while it comes in, before it is in memory.
        text_bytes: of a form's field that is no photo.
        export_bytes: of a request for a table or for sidecars.
        exported: photos of such a request.
        pixels: width times height of an uploaded photo; found out from its header, before it is decoded.
        sentence: characters of a sentence.
        results: of a search, on a page.
        start: results before a page.
        waiting: requests that are worked on at once; the next one is answered 503.
        crowd: requests that are worked on at once, above which clients whose body was refused hear of it later.
        uploads: bodies that come in at once; the slowest gives way to the next one.
        connections: at once; the one that has been idle for the longest gives way to the next one.
        slow_photos: that wait for being decoded slowly, or are; the next one is answered 503.
        address_share: of `waiting`, `uploads`, `connections` and `slow_photos` each, what one client address may hold
            while others have or want some; 1 for all of them, as behind a proxy, where all clients have one address.
        head_seconds: in which a request's head must have come in, from the connection's opening or the last answer.
        body_seconds: in which a request's body must have come in.
        idle_seconds: that a connection is kept without a byte of a next request.
        send_seconds: in which a client must have taken what was sent to it.
        quick_seconds: after which a photo that is decoded counts as slow, and others are no longer kept waiting.
        quick_copy_seconds: the same for a copy of a photo of the index, which is scaled and encoded too.
        decode_seconds: in which a slow photo must be decoded.
        refusal_seconds: that a refusal is held back in a crowd, so that who sends nothing of use comes less often.
    """

    body_bytes: int = 32 * 1024 * 1024
    text_bytes: int = 4096
    export_bytes: int = 4 * 1024 * 1024
    exported: int = 5_000
    pixels: int = 50_000_000
    sentence: int = 1_000
    results: int = 100
    start: int = 10_000
    waiting: int = 128
    crowd: int = 16
    uploads: int = 128
    connections: int = 1024
    slow_photos: int = 32
    address_share: float = 0.5
    head_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: float = 5.0
    send_seconds: float = 20.0
    quick_seconds: float = 0.25
    quick_copy_seconds: float = 1.0
    decode_seconds: float = 10.0
    refusal_seconds: float = 2.0


DEFAULTS = Limits()
"""`sentence`, `results`, `start` and `exported` stand in the API's own document, so all servers have these."""
