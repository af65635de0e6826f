"""`regiontalk inspect`: words and regions by the lengths (norms) of their vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from regiontalk.cli.console import Report, ending
from regiontalk.cli.options import refuse
from regiontalk.cli.photos import PhotoOptions, for_each_photo

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from regiontalk.language.vocabulary import Vocabulary
    from regiontalk.photos import Photo
    from regiontalk.structures import Regions

WORDS = 20
"""Default number of words in each of the two lists."""


def inspect(
    photos: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PHOTO_OR_FOLDER",
            help="Photos, and folders that are searched for photos; "
            "without any, the pack's words are listed.",
            show_default=False,
        ),
    ] = None,
    words: Annotated[
        int | None,
        typer.Option(
            "-k",
            "--words",
            min=1,
            max=1_000_000,
            metavar="N",
            help=f"Words in either list, {WORDS} by default.",
        ),
    ] = None,
    *,
    options: PhotoOptions,
) -> None:
    """Show what counts: the lengths of word and region vectors.

    Without a photo: the words of the pack's vocabulary with the longest and the shortest vectors,
    each word read alone. With photos: their regions, the one with the longest vector first; --draw
    colours them by length.

    What a length means: a score adds dot products of word and region vectors that are never
    normalised. So a word with a long vector, something that can be seen, moves the score; a word
    with a short one hardly counts, whatever the photo. The same holds for regions. Lengths compare
    within a pack, not between packs.

    Examples:

    \b
      regiontalk inspect -k 40
      regiontalk inspect photo.jpg --draw lengths.png
    """
    if photos:
        _inspect_photos(photos, words, options)
    else:
        _inspect_words(words, options)


def _inspect_words(k: int | None, options: PhotoOptions) -> None:
    with ending() as report:
        of_photos = {
            "--draw": options.draw,
            "--threads": options.model.threads,
            "--exclude": options.exclude,
        }
        refuse({**of_photos, "--max-pixels": options.model.max_pixels}, "without a photo")
        import numpy as np

        from regiontalk.alignment.score import lengths_of
        from regiontalk.cli.text import word_lengths_text

        model = options.model.load()
        vocabulary = model.pack.vocabulary
        # vectors: (V - 2, h)
        vectors = np.concatenate([word.vectors for word in model.read(vocabulary.words)])
        lengths, shown = lengths_of(vectors), WORDS if k is None else k
        if options.as_json:
            _print_json(vocabulary, lengths, shown, report)
        else:
            report.result(
                word_lengths_text(model.pack.settings.name, vocabulary.words, lengths, shown)
            )


def _print_json(vocabulary: Vocabulary, lengths: np.ndarray, k: int, report: Report) -> None:
    """A line for each word of either list."""
    from regiontalk.alignment.score import longest, shortest

    counts = vocabulary.counts[vocabulary.encode(vocabulary.words)]  # (V - 2,)
    for name, rows in (("longest", longest(lengths, k)), ("shortest", shortest(lengths, k))):
        for rank, row in enumerate(rows, start=1):
            value = {
                "word": vocabulary.words[row],
                "length": float(lengths[row]),
                "count": int(counts[row]),
            }
            report.json({"list": name, "rank": rank, **value})


def _inspect_photos(photos: list[str], k: int | None, options: PhotoOptions) -> None:
    from regiontalk.cli.text import region_lengths_text

    if k is not None:
        with ending():
            refuse({"--words": k}, "beside photos")
    for_each_photo(
        photos, options, lambda _, looked: looked, region_lengths_text, _draw, _regions_to_json
    )


def _regions_to_json(found: Regions) -> dict[str, Any]:
    """Regions by descending vector length, numbered as in `regions --json`, 0 the whole photo."""
    from regiontalk.alignment.score import lengths_of, longest
    from regiontalk.structures import regions_to_json

    lengths, boxes = lengths_of(found.vectors), regions_to_json(found)
    regions = [
        {"region": int(row), **boxes[row], "length": float(lengths[row])}
        for row in longest(lengths)
    ]
    return {"file": found.file, "width": found.width, "height": found.height, "regions": regions}


def _draw(photo: Photo, found: Regions) -> Image.Image:
    from regiontalk.drawing import draw_magnitudes

    return draw_magnitudes(photo, found)
