"""Results on photos with boxes for people: tables as plain text."""

from __future__ import annotations

from typing import Any

from regiontalk.cli.console import photo_count, printable
from regiontalk.cli.text import folded, signature_lines
from regiontalk.evaluation.grounding.metric import METHODS, METRICS

_TITLES = dict(zip(METRICS, ("pointing", "R@1", "R@5", "R@10"), strict=True))
_GROUNDING = {
    "words": "words, the first that the pack knows for each class",
    "difficult": "the difficult of these: small things in photos that hold another class",
    "synonyms": "all known synonyms of each class, averaged",
    "phrases": "phrases, any of their boxes",
    "phrases_merged": "phrases, the box around all their boxes",
}
_CAPTIONS = {
    "bleu1": "BLEU-1",
    "bleu2": "BLEU-2",
    "bleu3": "BLEU-3",
    "bleu4": "BLEU-4",
    "cider": "CIDEr",
    "cider_d": "CIDEr-D",
    "meteor": "METEOR",
    "rouge_l": "ROUGE-L",
}


def grounding_text(result: dict[str, Any]) -> str:
    """The model and the baselines, micro and macro; then each class."""
    lines: list[str] = []
    for key, title in _GROUNDING.items():
        if key in result:
            lines += [
                folded("", title),
                *_grounding_table(result[key]),
                *_spread(result.get("interval", {}).get(key)),
                "",
            ]
    main = result["words"] if "words" in result else result["phrases"]
    lines += [f"{'':>20} {'pointing':>9} {'R@1':>6}   {'whole photo':>11} {'R@1':>6}"]
    for label, table in main["by_class"].items():
        model, photo = table["model"], table["whole_photo"]
        numbers = (
            f"{model['pointing']:9.1f} {model['recall1']:6.1f}   {photo['pointing']:11.1f} {photo['recall1']:6.1f}"
        )
        row, asked = f"{printable(label):>20} {numbers}", _asked_with(result, label)
        lines.append(folded(f"{row}   ", asked) if asked else row)
    for label, photos in result.get("unknown_classes", {}).items():
        why = f"not asked for: the pack knows no word for it ({photo_count(photos)})"
        lines.append(folded(f"{printable(label):>20} ", why))
    for label, photos in result.get("rare_classes", {}).items():
        lines.append(folded(f"{printable(label):>20} ", f"not asked for: too rare ({photo_count(photos)})"))
    if "aligned_words" in result:
        lines.append(f"words by their alignment: pointing {result['aligned_words']['pointing']:.1f}")
    return "\n".join([*lines, *signature_lines(result["signature"])])


def search_text(result: dict[str, Any]) -> str:
    """R-precision of each class's name, and the mean over classes."""
    lines = [f"{'R-precision':>20} {'':>8} {'photos':>7}  searched for"]
    for label, found in result["by_class"].items():
        lines.append(f"{printable(label):>20} {found['r_precision']:8.2f} {found['photos']:7}  {found['word']}")
    for label, photos in result["unknown_classes"].items():
        why = f"not searched for: the pack knows no word for it ({photo_count(photos)})"
        lines.append(folded(f"{printable(label):>20} ", why))
    lines.append(f"{'mean of classes':>20} {result['r_precision']:8.2f}     by chance {result['chance']:.2f}")
    return "\n".join([*lines, *signature_lines(result["signature"])])


def naming_text(result: dict[str, Any]) -> str:
    """Shares of boxes whose caption names their class."""
    region, full = result["region"], result["full_frame_on_crop"]
    lines = [f"{'class named, %':>20} {'region':>8} {'full frame on crop':>19} {'boxes':>7}"]
    for label, boxes in result["boxes_by_class"].items():
        numbers = f"{region['by_class'][label]:8.1f} {full['by_class'][label]:19.1f} {boxes:7}"
        lines.append(f"{printable(label):>20} {numbers}")
    lines += [f"{f'all, {way}':>20} {region[way]:8.1f} {full[way]:19.1f}" for way in ("micro", "macro")]
    lines.append(f"{'named another only':>20} {region['another']:8.1f} {full['another']:19.1f}")
    if "times_full_frame" in result:
        lines.append(f"region / full frame: {result['times_full_frame']:.2f} (micro)")
    return "\n".join([*lines, *signature_lines(result["signature"])])


def region_captions_text(result: dict[str, Any]) -> str:
    """Scores of each captioner, as in the paper's Table 3."""
    systems = [name for name in ("region", "full_frame_on_crop", "nearest_neighbour", "human") if name in result]
    shown = {key: title for key, title in _CAPTIONS.items() if key in result["region"]}
    lines = [f"{'':>20} " + " ".join(f"{title:>8}" for title in shown.values())]
    for name in systems:
        lines.append(f"{name.replace('_', ' '):>20} " + " ".join(f"{result[name][key]:8.1f}" for key in shown))
    if "dense_captioning" in result:
        dense = result["dense_captioning"]
        lines.append(f"dense captioning: mAP {dense['map']:.2f}, boxes alone {dense['detection_map']:.2f}")
    return "\n".join([*lines, *signature_lines(result["signature"])])


def _grounding_table(numbers: dict[str, Any]) -> list[str]:
    lines = []
    for way in ("micro", "macro"):  # one below the other: side by side they would be wider than many terminals
        lines.append(f"{way:>16} " + " ".join(f"{title:>8}" for title in _TITLES.values()))
        for method in METHODS:
            cells = " ".join(f"{numbers[way][method][key]:8.1f}" for key in METRICS)
            lines.append(f"{method.replace('_', ' '):>16} {cells}")
    times = numbers["times_best_baseline"]
    shown = ", ".join(f"{way} {value:.2f}" for way, value in times.items())
    return [*lines, f"pointing / best baseline's: {shown or 'no baseline points right'}"]


def _spread(interval: dict[str, Any] | None) -> list[str]:
    """The model's intervals, and those of its multiple of the best baseline."""
    if interval is None:
        return []
    lines = ["the model's 95 % intervals"]
    for way in ("micro", "macro"):
        numbers = {title: interval[way]["model"][metric] for metric, title in _TITLES.items()}
        shown = [f"{title} [{low:.1f}, {high:.1f}]" for title, (low, high) in numbers.items()]
        if way in interval["times_best_baseline"]:
            low, high = interval["times_best_baseline"][way]
            shown.append(f"pointing / best baseline's [{low:.2f}, {high:.2f}]")
        lines.append(f"{way:>16}  {', '.join(shown)}")
    return lines


def _asked_with(result: dict[str, Any], label: str) -> str:
    known = result.get("classes", {}).get(label)
    return f"{known['word']} ({photo_count(known['photos'])})" if known else ""
