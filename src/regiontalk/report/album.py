"""Small photos for a page that shows some of them several times: each is in the file once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from regiontalk.errors import PhotoError
from regiontalk.photos import open_photo
from regiontalk.report.figures import Mark, Picture, picture
from regiontalk.report.pictures import data_url


class Album:
    """Opens photos and draws on them.

    Args:
        side: pixels on a photo's long side.
        most: characters a photo may take in the page.
        failed: is told of photos that cannot be opened; they are drawn as empty frames.
        max_pixels: see `open_photo`.
    """

    def __init__(self, side: int, most: int, failed: Callable[[str, str], None], max_pixels: int | None = None) -> None:
        self._side, self._most, self._failed, self._max_pixels = side, most, failed, max_pixels
        self._known: dict[Path, tuple[int, int, Picture | None]] = {}

    def show(self, file: Path, says: str, marks: Iterable[Mark] = ()) -> str:
        """A photo as an SVG element.

        Args:
            file: the photo.
            says: what it shows, for those who cannot see it.
            marks: boxes on it, in pixels of the upright original.
        """
        if file not in self._known:
            self._known[file] = self._open(file)
            width, height, image = self._known[file]
        else:
            width, height, before = self._known[file]
            image = before and Picture("", before.name, again=True)
        return picture(width, height, marks, image, says)

    def _open(self, file: Path) -> tuple[int, int, Picture | None]:
        try:
            photo = open_photo(file, max_pixels=self._max_pixels, min_side=self._side)
        except PhotoError as error:  # it was fine a moment ago, so somebody changed it
            self._failed(str(file), str(error))
            return 4, 3, None
        name = f"photo-{len(self._known) + 1}-image"
        return photo.width, photo.height, Picture(data_url(photo, self._side, self._most), name)
