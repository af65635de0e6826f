"""What is wrong with a photo, in one shape: its name, what was expected, what was found, what to do."""

from __future__ import annotations

from regiontalk.errors import PhotoError

GET_IT_AGAIN = "Get it once more from where it came from."
_SMALLER = "Make it smaller"
_ALLOW_MORE = "or allow more if you trust it: --max-pixels, or max_pixels in Python and in a training's settings"


class TooManyPixelsError(PhotoError):
    """A photo has more pixels than the caller allows.

    Args:
        name, expected, found: as of `wrong`.

    Attributes:
        for_guests: the same for those who cannot allow more, such as a server's clients.
    """

    def __init__(self, name: str, expected: str, found: str) -> None:
        super().__init__(str(wrong(name, expected, found, f"{_SMALLER}, {_ALLOW_MORE}.")))
        self.for_guests = str(wrong(name, expected, found, f"{_SMALLER}."))


def wrong(name: str, expected: str, found: str, advice: str) -> PhotoError:
    """An error about one photo or folder."""
    return PhotoError(f"{escaped(name)}: expected {expected}, found {found}. {advice}")


def out_of_memory(name: str, what: str = "a photo") -> PhotoError:
    """There is too little memory for a photo.

    Args:
        what: the photo, as far as it is known.
    """
    return wrong(name, "a photo that can be decoded", f"{what} and too little memory for it", "Make it smaller.")


def reason(error: BaseException) -> str:
    """An error of a decoder's in a few words."""
    return escaped(str(error))[:120].rstrip(".") or type(error).__name__


def escaped(text: str) -> str:
    r"""Text with all that could steer a terminal or break a line escaped.

    >>> print(escaped("a\nb\x1b[31m.jpg"))
    a\nb\x1b[31m.jpg
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
