"""What captions name, for people: tables as plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from regiontalk.cli.console import printable
from regiontalk.cli.text import columns, number_text, signature_lines
from regiontalk.evaluation.objects.metric import NAMES

if TYPE_CHECKING:
    from regiontalk.evaluation.objects.metric import ClassScores, ObjectScores
    from regiontalk.evaluation.objects.run import ObjectResult

_TITLES = dict(zip(NAMES, ("CHAIRi", "CHAIRs", "main thing named", "recall"), strict=True))
_ROWS = {"captions": "captions", "boxes_or_people": "the same, against boxes and people", "human": "people"}
_COUNTS = ("photos", "captions", "mentions", "wrong")
_NONE = "-"


def objects_text(result: ObjectResult) -> str:
    """The scores, each with its interval if there is one; then each class, and the most frequent wrong words."""
    rows = [["percent", *_TITLES.values(), *_COUNTS]]
    for name, scores in result.rows().items():
        rows.append([_ROWS[name], *_cells(scores, result.interval.get(name, {}))])
    lines = [*columns(rows), "", *columns(_classes(result.by_class))]
    if result.traced is not None:
        lines += ["", *_traced(result.traced)]
    if result.wrong_words:
        lines += ["", "named most often where it is not:"]
        lines += columns([[str(each.captions), each.words, f"({each.label})"] for each in result.wrong_words])
    return "\n".join([*lines, "", *signature_lines(result.signature)])


def _traced(traced: Mapping[str, Any]) -> list[str]:
    """Of words for what is there, how many lie on its box; and how many would by rules that look at no word."""
    title = f"words traced into a box of what they name, of {traced['words']}:"
    if not traced["words"]:
        return [title + " none"]
    return [title, *columns([[f"{share:.1f}", method.replace("_", " ")] for method, share in traced["micro"].items()])]


def _cells(scores: ObjectScores, interval: Mapping[str, Sequence[float]]) -> list[str]:
    values = {name: getattr(scores, name) for name in NAMES}
    shown = [_NONE if value is None else number_text(value, interval.get(name)) for name, value in values.items()]
    return [*shown, *(str(getattr(scores, name)) for name in _COUNTS)]


def _classes(by_class: Mapping[str, ClassScores]) -> list[list[str]]:
    rows = [["class", "photos", "named", "mentions", "wrong"]]
    for label, each in by_class.items():
        named = _NONE if each.named is None else f"{each.named:.1f}"
        rows.append([printable(label), str(each.photos), named, str(each.mentions), str(each.wrong)])
    return rows
