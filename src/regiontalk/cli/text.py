"""Results as plain text; a table's last column, of words, is wrapped to the terminal's width."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from regiontalk.cli.console import printable

if TYPE_CHECKING:
    import numpy as np

    from regiontalk.search.finder import FoundBox, FoundPhoto
    from regiontalk.structures import Alignment, Description, Phrase, Regions, Sentence

_NO_TERMINAL = 1 << 20
"""Width assumed without a terminal: nothing is wrapped in a pipe or a file."""
_LEAST_FOLD = 12
"""Least width of a wrapped column, in characters."""
_BOX = "{:>6} {:>6} {:>6} {:>6}"
_BOX_TITLES = _BOX.format("left", "top", "right", "bottom")
_OBJECTNESS = "objectness"
"""Title of a box's objectness, the network's own: no probability, so it is not titled "sure"."""


def regions_text(regions: Regions) -> str:
    """A line for each region but the whole photo."""
    found = zip(regions.boxes_xyxy[1:], regions.scores[1:], strict=True)
    lines = [f"{score:>{len(_OBJECTNESS)}.2f} {_box(box)}" for box, score in found]
    return _with_table(_photo_line(regions), f"{_OBJECTNESS} {_BOX_TITLES}", lines)


def description_text(description: Description) -> str:
    """The caption, then a line for each region."""
    regions = description.regions
    found = zip(
        regions.boxes_xyxy[1:], regions.scores[1:], description.region_captions, strict=True
    )
    lines = [
        folded(
            f"{_sure(score if caption.sure is None else caption.sure)} {_box(box)}  ", caption.text
        )
        for box, score, caption in found
    ]
    caption = description.caption
    # More likely wrong than right
    unsure = f"  (unsure, {caption.sure:.0%})" if caption.is_unsure else ""
    title = f"{_photo_line(regions)}\n{folded('  ', caption.text + unsure)}"
    return _with_table(title, f"{'sure':>6} {_BOX_TITLES}  region", lines)


def alignment_text(alignment: Alignment) -> str:
    """The certainty, or else the score, then a line for each phrase."""
    sentence = folded("  ", printable(alignment.sentence.text))
    total = (
        f"score {alignment.score:.2f}" if alignment.sure is None else f"sure {alignment.sure:.0%}"
    )
    title = f"{_photo_line(alignment.regions)}\n{sentence}\n  {total}"
    return _with_table(title, _phrase_titles(alignment), _phrase_lines(alignment))


def unknown_words_text(sentence: Sentence, in_texts: Collection[str] = ()) -> str:
    """Unknown words of a sentence, with spelling suggestions; "" if all are known.

    Args:
        in_texts: words to leave out, since photos' texts have them.
    """
    said = []
    for word in (each for each in sentence.unknown if each not in in_texts):
        meant = " or ".join(repr(near) for near in sentence.meant.get(word, ()))
        said.append(f"{printable(word)!r}" + (f" (did you mean {meant}?)" if meant else ""))
    return f"unknown: {', '.join(said)}" if said else ""


def ranked(rank: int, score: str, what: str) -> str:
    """A result on one line: rank, score or certainty, name."""
    return f"{rank:>3}. {score:>8}  {printable(what)}"


def result_line(found: FoundPhoto | FoundBox, digits: int = 2) -> str:
    """A retrieved photo on one line, with the words of the query that its own text has."""
    score = f"{found.score:.{digits}f}" if found.sure is None else f"{found.sure:.0%}"
    line = ranked(found.rank, score, _from_here(found.file))
    words = ", ".join(getattr(found, "text_words", ()))
    return folded(f"{line}  ", printable(f"(its text has {words})")) if words else line


def result_text(found: FoundPhoto | FoundBox) -> str:
    """A result of a text query: the photo, its own text, then each phrase and its box."""
    lines = [result_line(found)]
    if found.entry.text:
        lines.append(folded(" " * 15, "text: " + _on_one_line(found.entry.text)))
    if found.alignment is not None:  # else only the photo's text matched
        lines += [
            f"{'':6}{_phrase_titles(found.alignment)}",
            *_phrase_lines(found.alignment, indent=6),
        ]
    return "\n".join([*lines, ""])


def region_lengths_text(regions: Regions) -> str:
    """A line for each region and the whole photo, the one with the longest vector first."""
    from regiontalk.alignment.score import decimals, lengths_of, longest
    from regiontalk.structures import WHOLE_PHOTO

    found = lengths_of(regions.vectors)
    places = decimals(found)
    lines = []
    for row in longest(found):
        note = "  whole photo" if row == WHOLE_PHOTO else ""
        objectness = f"{regions.scores[row]:>{len(_OBJECTNESS)}.2f}"
        lines.append(
            f"{found[row]:>8.{places}f} {objectness} {_box(regions.boxes_xyxy[row])}{note}"
        )
    return _with_table(_photo_line(regions), f"{'length':>8} {_OBJECTNESS} {_BOX_TITLES}", lines)


def word_lengths_text(pack: str, words: Sequence[str], lengths: np.ndarray, k: int) -> str:
    """The k words with the longest vectors, and beside them the k with the shortest."""
    import numpy as np

    from regiontalk.alignment.score import decimals, longest, shortest

    places = decimals(lengths)
    shown = [f"{length:.{places}f}" for length in lengths]
    digits = max(map(len, shown))
    lists = [
        [f"{shown[row]:>{digits}}  {words[row]}" for row in rows(lengths, k)]
        for rows in (longest, shortest)
    ]
    width = max(map(len, (*lists[0], "longest"))) + 6
    pairs = [("longest", "shortest"), *zip(*lists, strict=True)]
    title = (
        f"{printable(pack)}: {len(words)} words, each read alone; "
        f"median length {np.median(lengths):.{places}f}"
    )
    return "\n".join([title, *(f"  {left:<{width}}{right}" for left, right in pairs)])


def columns(rows: list[list[str]]) -> list[str]:
    """Lines of a table with right-aligned cells."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]


def folded(cells: str, words: str) -> str:
    """A row of a table whose last column, words, is wrapped to the terminal's width or COLUMNS.

    Its lines are indented to the column; where too little width is left, they start below the row.

    >>> print(folded("  1.50  ", "a black dog"))
      1.50  a black dog
    """
    columns = shutil.get_terminal_size((_NO_TERMINAL, 24)).columns
    if len(cells) + len(words) <= columns:
        return cells + words
    if columns - len(cells) < _LEAST_FOLD:
        return "\n    ".join([cells.rstrip(), *textwrap.wrap(words, max(columns - 4, _LEAST_FOLD))])
    return cells + f"\n{'':{len(cells)}}".join(textwrap.wrap(words, columns - len(cells)))


def _on_one_line(text: str) -> str:
    return printable(text.replace("\n", " / "))


def _phrase_titles(alignment: Alignment) -> str:
    return f"{'sure' if alignment.word_sure else 'score':>7} {_BOX_TITLES}  words"


def _phrase_lines(alignment: Alignment, indent: int = 0) -> list[str]:
    return [
        folded(
            f"{'':{indent}}{_certainty(each, bool(alignment.word_sure))} {_place(each)}  ",
            _words(each, alignment),
        )
        for each in alignment.phrases
    ]


def _words(phrase: Phrase, alignment: Alignment) -> str:
    """A phrase's words; if it was found, with those of its words that were not."""
    places = range(phrase.start, phrase.end) if phrase.found and alignment.word_sure else ()
    absent = [alignment.sentence.words[j] for j in places if not alignment.shown[j]]
    return printable(phrase.text) + (f"  (not found: {', '.join(absent)})" if absent else "")


def _certainty(phrase: Phrase, in_percent: bool) -> str:
    if not in_percent:
        return f"{phrase.score:>7.2f}"
    return f"{'' if phrase.sure is None else f'{phrase.sure:.0%}':>7}"


def _place(phrase: Phrase) -> str:
    """The box of a phrase, or "not found"; blank for phrases without a certainty."""
    if phrase.found:
        return _box(phrase.box_xyxy)
    return f"{'' if phrase.sure is None else 'not found':>{len(_BOX_TITLES)}}"


def _from_here(path: str) -> str:
    """A path, relative to the working directory if it lies below."""
    try:
        here = os.path.join(os.getcwd(), "")
    except OSError:  # the working folder is gone
        return path
    return path.removeprefix(here)


def _photo_line(regions: Regions) -> str:
    return f"{printable(regions.file)} ({regions.width} x {regions.height})"


def _with_table(title: str, heading: str, lines: list[str]) -> str:
    if not lines:
        return f"{title}\n  no region found\n"
    return "\n".join([title, heading, *lines, ""])


def _sure(score: float) -> str:
    return f"{score:>6.0%}"


def _box(box: Iterable[float]) -> str:
    return _BOX.format(*(round(float(value)) for value in box))
