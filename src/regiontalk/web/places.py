"""Places that are counted: requests that are worked on, and bodies on their way in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException

RETRY_SECONDS = 2
"""What a client that comes while too many wait is told to wait."""

_GRACE_SECONDS = 0.5
"""A body that has been coming in for less is not yet slow."""


class BusyError(HTTPException):
    """Too many wait: a 503 that says when to try again.

    Args:
        reason: a sentence.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(503, f"{reason} Try again in {RETRY_SECONDS} seconds.", {"retry-after": str(RETRY_SECONDS)})


class Gate:
    """Counts the requests that are worked on."""

    def __init__(self, limit: int) -> None:
        self._limit, self.inside = limit, 0

    @property
    def full(self) -> bool:
        """Whether the next one would be refused."""
        return self.inside >= self._limit

    def enter(self) -> None:
        """Takes one more on.

        Raises:
            BusyError: if there are too many.
        """
        if self.full:
            raise BusyError("Too many requests are waiting.")
        self.inside += 1

    def leave(self) -> None:
        """One is answered."""
        self.inside -= 1


@dataclass(eq=False)
class Upload:
    """A body on its way in.

    Attributes:
        give_way: called when its place goes to another one.
        began: when it began to come in, in seconds of the event loop's clock.
        received: bytes so far.
    """

    give_way: Callable[[], None]
    began: float
    received: int = field(default=0)


class Uploads:
    """Counts the bodies on their way in. When there is no place for a new one, the slowest one gives way.

    So clients that send slowly, or nothing, keep nobody out.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inside: set[Upload] = set()

    def enter(self, upload: Upload) -> None:
        """Takes one more on.

        Raises:
            BusyError: if there are too many, and none of them is slow.
        """
        if len(self._inside) >= self._limit:
            slowest = self._slowest(upload.began)
            if slowest is None:
                raise BusyError("Too many requests are coming in.")
            self.leave(slowest)
            slowest.give_way()
        self._inside.add(upload)

    def leave(self, upload: Upload) -> None:
        """One has come in, or is given up."""
        self._inside.discard(upload)

    def _slowest(self, now: float) -> Upload | None:
        """By bytes per second, of those that have had a moment."""
        slow = [each for each in self._inside if now - each.began > _GRACE_SECONDS]
        return min(slow, key=lambda each: each.received / (now - each.began), default=None)
