"""Evaluation results as plain-text tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from regiontalk.cli.console import photo_count, printable
from regiontalk.cli.text import columns, folded
from regiontalk.evaluation import titles
from regiontalk.evaluation.grounding.metric import METHODS, METRICS
from regiontalk.evaluation.objects.metric import NAMES
from regiontalk.evaluation.retrieval.metric import WAYS

if TYPE_CHECKING:
    from regiontalk.evaluation.captions.metric import CaptionResult
    from regiontalk.evaluation.certainty.run import CertaintyResult
    from regiontalk.evaluation.grounding.class_names import AskedClasses
    from regiontalk.evaluation.grounding.metric import GroundingIntervals, GroundingScores
    from regiontalk.evaluation.grounding.run import GroundingResult
    from regiontalk.evaluation.objects.metric import ClassScores, ObjectScores
    from regiontalk.evaluation.objects.run import ObjectResult
    from regiontalk.evaluation.regions.run import NamingResult, RegionCaptionResult
    from regiontalk.evaluation.retrieval.metric import RetrievalResult
    from regiontalk.evaluation.search import SearchResult

_OBJECT_COUNTS = ("photos", "captions", "mentions", "wrong")
_NONE = "-"


def retrieval_text(result: RetrievalResult) -> str:
    """Recalls as in the paper's tables, each with its interval if there is one."""
    rows = [["", *titles.RANKING.values()]]
    for way in WAYS:
        scores, edges = getattr(result.scores, way), getattr(result.interval, way, {})
        cells = [number_text(getattr(scores, name), edges.get(name)) for name in titles.RANKING]
        rows.append([way.replace("_", " "), *cells])
    rsum = number_text(result.scores.rsum, getattr(result.interval, "rsum", None))
    return "\n".join([*columns(rows), f"rsum {rsum}", *signature_lines(result.signature)])


def captions_text(result: CaptionResult) -> str:
    """The scores of captions, each with its interval if there is one."""
    scores = result.scores.by_name()
    rows = [
        [title, number_text(scores[name], result.interval.get(name))]
        for name, title in titles.CAPTIONS.items()
        if name in scores
    ]
    return "\n".join([*columns(rows), *signature_lines(result.signature)])


def grounding_text(result: GroundingResult) -> str:
    """The model and the baselines, micro and macro; then each class."""
    lines: list[str] = []
    for key, title in titles.QUERIES_IN_FULL.items():
        if key in result.scores:
            lines += [
                folded("", title),
                *_grounding_table(result.scores[key]),
                *_spread(result.interval.get(key)),
                "",
            ]
    main = result.scores["phrases" if result.asked is None else "words"]
    pointing, recall, *_ = titles.GROUNDING.values()
    lines += [f"{'':>20} {pointing:>9} {recall:>6}   {'whole photo':>11} {recall:>6}"]
    for label, table in main.by_class.items():
        model, photo = table.model, table.whole_photo
        numbers = (
            f"{model.pointing:9.1f} {model.recall1:6.1f}   {photo.pointing:11.1f} "
            f"{photo.recall1:6.1f}"
        )
        row = f"{printable(label):>20} {numbers}"
        if result.asked is not None:
            asked = result.asked.classes[label]
            row = folded(f"{row}   ", f"{asked.word} ({photo_count(asked.photos)})")
        lines.append(row)
    if result.asked is not None:
        lines += _not_asked(result.asked)
    if result.aligned_words is not None:
        lines.append(f"words by their alignment: pointing {result.aligned_words.pointing:.1f}")
    return "\n".join([*lines, *signature_lines(result.signature)])


def _not_asked(classes: AskedClasses) -> list[str]:
    """Classes that no photo was asked for, and why."""
    why = {
        "the pack knows no word for it": classes.unknown_classes,
        "too rare": classes.rare_classes,
    }
    return [
        folded(f"{printable(label):>20} ", f"not asked for: {reason} ({photo_count(photos)})")
        for reason, labels in why.items()
        for label, photos in labels.items()
    ]


def search_text(result: SearchResult) -> str:
    """R-precision of each class's name, and the mean over classes."""
    lines = [f"{'R-precision':>20} {'':>8} {'photos':>7}  searched for"]
    for label, found in result.by_class.items():
        lines.append(
            f"{printable(label):>20} {found.r_precision:8.2f} {found.photos:7}  {found.word}"
        )
    for label, photos in result.unknown_classes.items():
        why = f"not searched for: the pack knows no word for it ({photo_count(photos)})"
        lines.append(folded(f"{printable(label):>20} ", why))
    lines.append(
        f"{'mean of classes':>20} {result.r_precision:8.2f}     by chance {result.chance:.2f}"
    )
    return "\n".join([*lines, *signature_lines(result.signature)])


def certainty_text(result: CertaintyResult) -> str:
    """Accuracy, calibration error, and the reliability table."""
    scores = result.scores
    lines = [
        f"found or not found: {scores.accuracy:.1%} of {scores.questions} answers right; "
        f"{scores.accuracy_shown:.1%} for what is there, {scores.accuracy_absent:.1%} for what is "
        "not",
        f"expected calibration error {scores.calibration_error:.3f}",
        f"{'told':>10} {'questions':>9} {'mean told':>9} {'is there':>9}",
    ]
    for each in scores.bins:
        told = f"{each.low:.0%}-{each.high:.0%}"
        lines.append(f"{told:>10} {each.questions:9} {each.told:9.1%} {each.shown:9.1%}")
    return "\n".join([*lines, *signature_lines(result.signature)])


def naming_text(result: NamingResult) -> str:
    """Shares of boxes whose caption names their class."""
    region, full = result.region, result.full_frame_on_crop
    lines = [f"{'class named, %':>20} {'region':>8} {'full frame on crop':>19} {'boxes':>7}"]
    for label, boxes in result.boxes_by_class.items():
        numbers = f"{region.by_class[label]:8.1f} {full.by_class[label]:19.1f} {boxes:7}"
        lines.append(f"{printable(label):>20} {numbers}")
    lines += [
        f"{'all, micro':>20} {region.micro:8.1f} {full.micro:19.1f}",
        f"{'all, macro':>20} {region.macro:8.1f} {full.macro:19.1f}",
        f"{'named another only':>20} {region.another:8.1f} {full.another:19.1f}",
        f"{'different words':>20} {region.distinct_words:8} {full.distinct_words:19}",
        f"{'words a caption':>20} {region.mean_words:8.1f} {full.mean_words:19.1f}",
    ]
    if result.times_full_frame is not None:
        lines.append(f"region / full frame: {result.times_full_frame:.2f} (micro)")
    return "\n".join([*lines, *signature_lines(result.signature)])


def region_captions_text(result: RegionCaptionResult) -> str:
    """Scores of each captioner, as in the paper's Table 3."""
    systems = {name: scores.by_name() for name, scores in result.systems().items()}
    shown = {
        key: title for key, title in titles.REGION_CAPTIONS.items() if key in systems["region"]
    }
    lines = [f"{'':>20} " + " ".join(f"{title:>8}" for title in shown.values())]
    for name, scores in systems.items():
        cells = " ".join(f"{scores[key]:8.1f}" for key in shown)
        lines.append(f"{name.replace('_', ' '):>20} {cells}")
    dense = result.dense_captioning
    if dense is not None:
        lines.append(
            f"dense captioning: mAP {dense.map:.2f}, boxes alone {dense.detection_map:.2f}"
        )
    return "\n".join([*lines, *signature_lines(result.signature)])


def _grounding_table(scores: GroundingScores) -> list[str]:
    lines = []
    # One below the other: side by side they would be wider than many terminals
    for way, table in (("micro", scores.micro), ("macro", scores.macro)):
        lines.append(f"{way:>16} " + " ".join(f"{title:>8}" for title in titles.GROUNDING.values()))
        for method in METHODS:
            row = getattr(table, method)
            cells = " ".join(f"{getattr(row, key):8.1f}" for key in METRICS)
            lines.append(f"{method.replace('_', ' '):>16} {cells}")
    shown = ", ".join(f"{way} {value:.2f}" for way, value in scores.times_best_baseline.items())
    return [*lines, f"pointing / best baseline's: {shown or 'no baseline points right'}"]


def _spread(interval: GroundingIntervals | None) -> list[str]:
    """The model's intervals, and those of its ratio to the best baseline."""
    if interval is None:
        return []
    lines = ["the model's 95 % intervals"]
    for way, table in (("micro", interval.micro), ("macro", interval.macro)):
        numbers = {title: table["model"][metric] for metric, title in titles.GROUNDING.items()}
        shown = [f"{title} [{low:.1f}, {high:.1f}]" for title, (low, high) in numbers.items()]
        if way in interval.times_best_baseline:
            low, high = interval.times_best_baseline[way]
            shown.append(f"pointing / best baseline's [{low:.2f}, {high:.2f}]")
        lines.append(f"{way:>16}  {', '.join(shown)}")
    return lines


def objects_text(result: ObjectResult) -> str:
    """Scores, with intervals if there are any, then classes and the most frequent wrong words."""
    rows = [["percent", *titles.OBJECTS.values(), *_OBJECT_COUNTS]]
    for name, scores in result.rows().items():
        rows.append([titles.CAPTIONS_BY[name], *_cells(scores, result.interval.get(name, {}))])
    lines = [*columns(rows), "", *columns(_classes(result.by_class))]
    if result.traced is not None:
        lines += ["", *_traced(result.traced)]
    if result.wrong_words:
        lines += ["", "named most often where it is not:"]
        lines += columns(
            [[str(each.captions), each.words, f"({each.label})"] for each in result.wrong_words]
        )
    return "\n".join([*lines, "", *signature_lines(result.signature)])


def _traced(traced: Mapping[str, Any]) -> list[str]:
    """Share of correct object words that are traced into the object's box, beside baselines."""
    title = f"words traced into a box of what they name, of {traced['words']}:"
    if not traced["words"]:
        return [title + " none"]
    return [
        title,
        *columns(
            [
                [f"{share:.1f}", method.replace("_", " ")]
                for method, share in traced["micro"].items()
            ]
        ),
    ]


def _cells(scores: ObjectScores, interval: Mapping[str, Sequence[float]]) -> list[str]:
    values = {name: getattr(scores, name) for name in NAMES}
    shown = [
        _NONE if value is None else number_text(value, interval.get(name))
        for name, value in values.items()
    ]
    return [*shown, *(str(getattr(scores, name)) for name in _OBJECT_COUNTS)]


def _classes(by_class: Mapping[str, ClassScores]) -> list[list[str]]:
    rows = [["class", "photos", "named", "mentions", "wrong"]]
    for label, each in by_class.items():
        named = _NONE if each.named is None else f"{each.named:.1f}"
        rows.append(
            [printable(label), str(each.photos), named, str(each.mentions), str(each.wrong)]
        )
    return rows


def signature_lines(signature: Mapping[str, Any]) -> list[str]:
    """A line for each entry of a signature."""
    return [f"  {name}: {printable(str(value))}" for name, value in signature.items()]


def number_text(value: float, interval: Sequence[float] | None) -> str:
    """A number, with its interval if there is one."""
    return (
        f"{value:.1f}"
        if interval is None
        else f"{value:.1f} [{interval[0]:.1f}, {interval[1]:.1f}]"
    )
