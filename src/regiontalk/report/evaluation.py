"""HTML report of an evaluation: metrics with their signatures, and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from regiontalk.data import Dataset
from regiontalk.evaluation import titles
from regiontalk.evaluation.captions.run import Written
from regiontalk.evaluation.grounding.metric import METHODS, GroundingTable
from regiontalk.evaluation.grounding.run import GroundingResult
from regiontalk.evaluation.retrieval.metric import WAYS, RetrievalResult
from regiontalk.evaluation.retrieval.run import Retrieved
from regiontalk.evaluation.signature import training_warning
from regiontalk.report.examples import (
    Album,
    Found,
    Pointed,
    QueryLog,
    Question,
    best_to_worst,
    photos_ask,
    right_and_wrong,
    sentences_ask,
)
from regiontalk.report.figures import FOUND, TRUTH, Mark
from regiontalk.report.page import page
from regiontalk.report.recall_curve import recall_curve


@dataclass(frozen=True)
class Evaluated:
    """Results of an evaluation.

    Attributes:
        dataset: the evaluated one.
        retrieved, written: retrieval and captions.
        grounded: grounding metrics, and the log of their queries; None without boxes.
    """

    dataset: Dataset
    retrieved: Retrieved
    written: Written
    grounded: tuple[GroundingResult, QueryLog] | None = None


def pictures_shown(examples: int) -> int:
    """Upper bound on the photos of a page with so many examples of each kind."""
    # Two lists of photos, two of sentences with up to six photos each, one of captions, two of
    # boxes; each has so many examples
    return examples * (2 + 2 * 6 + 1 + 2)


def evaluation_page(title: str, found: Evaluated, album: Album, examples: int, foot: str) -> bytes:
    """Renders the report as an HTML document.

    Args:
        title: plain text.
        found: the results.
        album: renders the photos.
        examples: maximum number of each kind.
        foot: plain text, for the page's end.
    """
    sections = [
        *_retrieval(found, album, examples),
        *_captions(found, album, examples),
        *(_grounding(*found.grounded, album, examples) if found.grounded else []),
    ]
    signatures = [
        found.retrieved.result.signature,
        *([found.grounded[0].signature] if found.grounded else []),
    ]
    warnings = dict.fromkeys(filter(None, map(training_warning, signatures)))
    lead = "".join(f'<p class="wrong" role="alert">{escape(warning)}</p>' for warning in warnings)
    return page(title, "\n".join(sections), lead=lead, foot=f"<p>{escape(foot)}</p>")


def _retrieval(found: Evaluated, album: Album, most: int) -> list[str]:
    retrieved, (ranks,) = found.retrieved, found.retrieved.ranks
    result = retrieved.result
    rows = [[titles.WAYS[way], *_ranking_cells(result, way)] for way in WAYS]
    curves = {
        titles.WAYS[way]: each
        for way, each in zip(WAYS, (ranks.photos, ranks.sentences), strict=True)
    }
    photo_hits, photo_misses = right_and_wrong(ranks.photos, most)
    sentence_hits, sentence_misses = right_and_wrong(ranks.sentences, most)

    def photos(title: str, note: str, chosen: list[int]) -> str:
        return _examples(
            title, note, [_photo_asks(found, each, album) for each in photos_ask(retrieved, chosen)]
        )

    def sentences(title: str, note: str, chosen: list[int]) -> str:
        return _examples(
            title,
            note,
            [_sentence_asks(found, each, album) for each in sentences_ask(retrieved, chosen)],
        )

    leads = (
        "One of its own sentences stands first. Evenly spaced among {} of {} photos for which "
        "that is so."
    )
    misses = "Another's sentence stands first: from near misses to the furthest, evenly spaced."
    return [
        "<h2>Photos find their sentences, sentences their photo</h2>",
        _table(["", *titles.RANKING.values()], rows),
        (
            f"<p>rsum {_number(result.scores.rsum, getattr(result.interval, 'rsum', None))}: "
            "the sum of the six recalls.</p>"
        ),
        f"<figure>{recall_curve(curves, len(found.dataset))}</figure>",
        _signature(result.signature),
        photos("Photos that find a sentence", leads.format(*_share(ranks.photos)), photo_hits),
        photos("Photos that do not", misses, photo_misses),
        sentences(
            "Sentences that find their photo",
            "Evenly spaced among {} of {} sentences whose photo stands first.".format(
                *_share(ranks.sentences)
            ),
            sentence_hits,
        ),
        sentences(
            "Sentences that do not",
            "Another photo stands first: from near misses to the furthest, evenly spaced.",
            sentence_misses,
        ),
    ]


def _ranking_cells(result: RetrievalResult, way: str) -> list[str]:
    scores, edges = getattr(result.scores, way), getattr(result.interval, way, {})
    return [_number(getattr(scores, name), edges.get(name)) for name in titles.RANKING]


def _captions(found: Evaluated, album: Album, most: int) -> list[str]:
    result, scores = found.written.result, found.written.scores.each()
    numbers = result.scores.by_name()
    shown = {name: title for name, title in titles.CAPTIONS.items() if name in numbers}
    row = [_number(numbers[name], result.interval.get(name)) for name in shown]
    items = []
    for place in best_to_worst(scores["cider_d"], most):
        photo = found.dataset.photos[place]
        truths = "".join(f"<li>{escape(caption)}</li>" for caption in photo.captions)
        caption = found.written.captions[place] or "(no words)"
        items.append(
            album.show(photo.file, f"Photo {photo.file.name}")
            + f'<p class="said">{escape(caption)}</p>'
            + f"<p>{titles.CAPTIONS['cider_d']} <b>{scores['cider_d'][place]:.1f}</b>, "
            f"{titles.CAPTIONS['bleu4']} {scores['bleu4'][place]:.1f}</p>"
            + "<details open><summary>what people wrote</summary><ul "
            f'class="faint">{truths}</ul></details>'
        )
    note = (
        f"{len(items)} of {len(found.dataset)} captions by {titles.CAPTIONS['cider_d']}, from the "
        "best to the worst, evenly spaced."
    )
    return [
        "<h2>Captions</h2>",
        _table(list(shown.values()), [row]),
        _signature(result.signature),
        _examples("From the best caption to the worst", note, items),
    ]


def _grounding(result: GroundingResult, queries: QueryLog, album: Album, most: int) -> list[str]:
    tables = [
        f"<div><h3>{escape(title)}, {average} average</h3>"
        + _grounding_table(
            getattr(result.scores[kind], average),
            getattr(result.interval.get(kind), average, {}),
        )
        + "</div>"
        for kind, title in titles.QUERIES.items()
        if kind in result.scores
        for average in ("micro", "macro")
    ]
    right, wrong = queries.right_and_wrong(most)
    note = (
        "The solid box is the region with the highest score; dashed boxes are the true ones. "
        "Evenly spaced."
    )
    return [
        "<h2>Words find their boxes</h2>",
        f'<div class="tables">{"".join(tables)}</div>',
        _signature(result.signature),
        _examples(
            "The best region's centre lies in a true box",
            note,
            [_pointed(each, album) for each in right],
        ),
        _examples("It does not", note, [_pointed(each, album) for each in wrong]),
    ]


def _grounding_table(
    table: GroundingTable, intervals: Mapping[str, Mapping[str, Sequence[float]]]
) -> str:
    rows = [
        [
            method.replace("_", " "),
            *(
                _number(
                    getattr(getattr(table, method), metric), intervals.get(method, {}).get(metric)
                )
                for metric in titles.GROUNDING
            ),
        ]
        for method in METHODS
    ]
    return _table(["percent", *titles.GROUNDING.values()], rows)


def _photo_asks(found: Evaluated, question: Question, album: Album) -> str:
    items = "".join(
        f'<li value="{each.place}">{_verdict(each)} '
        f"{escape(found.retrieved.captions[each.number])} <span "
        f'class="faint">{each.score:.2f}</span></li>'
        for each in question.first
    )
    file = found.dataset.photos[question.number].file
    return f"{album.show(file, f'Photo {file.name}')}{_rank(question)}<ol>{items}</ol>"


def _sentence_asks(found: Evaluated, question: Question, album: Album) -> str:
    items = "".join(
        f"<li{' class=framed' if each.right else ''}>"
        f"{album.show(_file(found, each.number), f'Photo {_file(found, each.number).name}')}"
        f"{each.place}. {_verdict(each)} {each.score:.2f}</li>"
        for each in question.first
    )
    sentence = escape(found.retrieved.captions[question.number])
    return f'<p class="said">{sentence}</p>{_rank(question)}<ol class="strip">{items}</ol>'


def _pointed(each: Pointed, album: Album) -> str:
    best = each.query.regions[int(each.query.scores.argmax())]
    marks = [
        Mark(best, each.asked, FOUND),
        *(Mark(box, "", TRUTH, dashed=True) for box in each.query.truth),
    ]
    verdict = "right" if each.right else "wrong"
    drawn = album.show(
        each.photo.file, f"Photo {each.photo.file.name} with the box found for {each.asked}", marks
    )
    return (
        f'{drawn}<p class="said">{escape(each.asked)} <span class="{verdict}">{verdict}</span></p>'
    )


def _file(found: Evaluated, number: int) -> Path:
    return found.dataset.photos[number].file


def _rank(question: Question) -> str:
    verdict = "right" if question.rank == 1 else "wrong"
    return (
        f'<p><span class="{verdict}">{verdict}</span>: the closest right one has rank '
        f"<b>{question.rank}</b></p>"
    )


def _verdict(each: Found) -> str:
    word, sign = ("right", "✓") if each.right else ("wrong", "✗")
    return f'<span class="{word}" role="img" aria-label="{word}">{sign}</span>'


def _examples(title: str, note: str, items: Sequence[str]) -> str:
    if not items:
        return f'<h3>{escape(title)}</h3><p class="faint">None.</p>'
    shown = "\n".join(f'<li class="example">{item}</li>' for item in items)
    return (
        f'<h3>{escape(title)}</h3><p class="faint">{escape(note)}</p><ul class="examples">\n'
        f"{shown}\n</ul>"
    )


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """HTML table; the heading and a first column of names are escaped, other cells are HTML."""
    head = "".join(
        f'<th scope="col">{escape(each)}</th>' if each else "<td></td>" for each in heading
    )
    named = not heading[0] or heading[0] == "percent"
    body = "".join(
        "<tr>"
        + "".join(
            f'<th scope="row">{escape(cell)}</th>' if named and not column else f"<td>{cell}</td>"
            for column, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    table = f'<table class="numbers"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="scroll" tabindex="0" role="group" aria-label="Table">{table}</div>'


def _number(value: float, interval: Sequence[float] | None) -> str:
    if interval is None:
        return f"{value:.1f}"
    return f"{value:.1f} <small>{interval[0]:.1f} to {interval[1]:.1f}</small>"


def _signature(signature: Mapping[str, Any]) -> str:
    items = "".join(
        f"<dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd>"
        for name, value in signature.items()
    )
    return (
        "<details><summary>How these numbers came about</summary><dl "
        f'class="signature">{items}</dl></details>'
    )


def _share(ranks: np.ndarray) -> tuple[int, int]:
    return int((ranks == 1).sum()), len(ranks)
