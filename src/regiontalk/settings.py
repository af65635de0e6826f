"""The numbers a pack states about itself, as typed, frozen dataclasses: `pack.json` in Python.

Every field has a rule (its type and range), checked whenever a settings object is made, whether
from a file or by a training run. Ranges are generous for any sensible network and small enough that
no file can ask for absurd memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Annotated, Any, Self, get_origin, get_type_hints

_DEEPEST = 20
"""Objects and lists within each other in what a pack says for people."""

Rule = Callable[[Any], Any]
"""Takes a value, returns it (a whole number perhaps as float), or raises ValueError saying what was
expected."""


def whole(low: int, high: int) -> Rule:
    """A whole number in low..high."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return check


def number(low: float, high: float) -> Rule:
    """A finite number in low..high."""

    def check(value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high or not math.isfinite(value):
            raise ValueError(f"a number from {low:g} to {high:g}")
        return float(value)

    return check


def choice(*allowed: str) -> Rule:
    """One of a few words."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise ValueError("one of " + ", ".join(allowed))
        return value

    return check


def line(longest: int) -> Rule:
    """A printable line of text, neither empty nor longer than `longest` characters."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or not 1 <= len(value) <= longest or not value.isprintable():
            raise ValueError(f"a line of 1 to {longest} printable characters")
        return value

    return check


def free_form(value: Any) -> dict[str, Any]:
    """Any JSON object that does not nest absurdly deep."""
    if not isinstance(value, dict):
        raise ValueError("an object")
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        inside = (outer.values() if isinstance(outer, dict) else outer for outer in level)
        level = [each for some in inside for each in some if isinstance(each, dict | list)]
        if not level:
            return value
    raise ValueError(f"an object, nested at most {_DEEPEST} deep")


@dataclass(frozen=True)
class Section:
    """A group of settings. A field is `Annotated` with its rule, or is a section of its own.

    Raises:
        ValueError: naming the field, what was expected and what was found.
    """

    def __post_init__(self) -> None:
        for name, rule in _rules(type(self)).items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, rule(value))
            except ValueError as error:
                raise ValueError(f"{name}: expected {error}, found {shown(value)}") from None

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Build from a parsed JSON object with this section's fields and no other.

        A field with a default may be missing: files older than the field lack it. All others must
        be there.

        Raises:
            ValueError: if `data` is not an object, lacks one of those, has a foreign one, or breaks
                a rule.
        """
        if not isinstance(data, dict):
            raise ValueError(f"expected an object, found {shown(data)}")
        names = [each.name for each in fields(cls)]
        missing = [
            each.name for each in fields(cls) if each.name not in data and each.default is MISSING
        ]
        foreign = [name for name in data if name not in names]
        if missing or foreign:
            raise ValueError(
                f"expected the fields {', '.join(names)}; "
                f"missing {missing}, foreign {shown(foreign)}"
            )
        sections = {name: kind for name, kind in _sections(cls).items() if name in data}
        return cls(
            **data | {name: _read(name, kind, data[name]) for name, kind in sections.items()}
        )

    def to_json(self) -> dict[str, Any]:
        """The object that `from_json` reads.

        A field that holds its default is left out, so that versions older than the field read the
        rest.
        """
        content = asdict(self)
        for each in fields(self):
            value = getattr(self, each.name)
            if value == each.default:
                del content[each.name]
            elif isinstance(value, Section):
                content[each.name] = value.to_json()
        return content


def checksum(value: Any) -> str:
    """A rule: a sha256 in hexadecimal."""
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError("a sha256, 64 hexadecimal digits")
    return value


def shown(value: Any, longest: int = 80) -> str:
    """A value from a file as it may appear in a message: escaped, and cut if long."""
    try:
        text = (
            ascii(value) if not isinstance(value, int) or abs(value) < 10**30 else "a huge number"
        )
    except RecursionError:
        text = "something nested too deep"
    return text if len(text) <= longest else text[:longest] + "..."


def _rules(kind: type[Section]) -> dict[str, Rule]:
    hints = get_type_hints(kind, include_extras=True)
    rules = {
        name: hint.__metadata__[0] for name, hint in hints.items() if get_origin(hint) is Annotated
    }
    return rules | {name: _is_a(section) for name, section in _sections(kind).items()}


def _sections(kind: type[Section]) -> dict[str, type[Section]]:
    hints = get_type_hints(kind)
    return {
        name: hint
        for name, hint in hints.items()
        if isinstance(hint, type) and issubclass(hint, Section)
    }


def _is_a(kind: type[Section]) -> Rule:
    def check(value: Any) -> Section:
        if not isinstance(value, kind):
            raise ValueError(f"a {kind.__name__}")
        return value

    return check


def _read(name: str, kind: type[Section], value: Any) -> Section:
    try:
        return kind.from_json(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


LARGEST_PHOTO = 2048
"""Pixels a side that a vision network may see."""


@dataclass(frozen=True)
class VisionSettings(Section):
    """What goes into the vision graph and how its proposals become regions.

    Attributes:
        size: S, pixels on each side of the square that a photo is squashed to.
        side: s, cells on each side of the feature map.
        feature_dim: D, the map's channels.
        proposals: the most boxes kept beside the whole photo (the paper: 19).
        nms_iou: a box that overlaps a better one by more than this IoU is dropped.
        min_objectness: a box less certain than this, in 0..1, is dropped.
    """

    size: Annotated[int, whole(8, LARGEST_PHOTO)]
    side: Annotated[int, whole(1, 256)]
    feature_dim: Annotated[int, whole(1, 16384)]
    proposals: Annotated[int, whole(0, 500)]
    nms_iou: Annotated[float, number(0, 1)]
    min_objectness: Annotated[float, number(0, 1)]


@dataclass(frozen=True)
class SpaceSettings(Section):
    """The space that regions and words share: `dim` is h."""

    dim: Annotated[int, whole(1, 16384)]


@dataclass(frozen=True)
class WordsSettings(Section):
    """The words network (Eq. 2 to 6).

    Attributes:
        hidden, embedding: H and d.
        cell: "rnn" (the paper's) or "gru".
        vector_dim: dimensions of the vectors that place words which no caption taught; 0 if there
            are no such words.
    """

    hidden: Annotated[int, whole(1, 16384)]
    embedding: Annotated[int, whole(1, 16384)]
    cell: Annotated[str, choice("rnn", "gru")] = "rnn"
    vector_dim: Annotated[int, whole(0, 16384)] = 0


MOST_BETA = 1e6
"""Of Eq. 12: far more than keeps any sentence on one region, and so little that scores do not
vanish beside it."""


@dataclass(frozen=True)
class AlignmentSettings(Section):
    """How sentences are scored and tied to regions.

    Attributes:
        score: "max" (Eq. 8), "sum" (Eq. 7) or "mean" (Eq. 8 / words).
        beta: β of Eq. 12.
        extra_proposals: boxes beyond `VisionSettings.proposals` that only words of a sentence
            choose from: they may name smaller things than a photo is found and described by.
        objectness: its weight in ψ_U, see `regiontalk.alignment.mrf.unary_potentials`; the paper's
            is 0.
    """

    score: Annotated[str, choice("max", "sum", "mean")]
    beta: Annotated[float, number(0, MOST_BETA)]
    extra_proposals: Annotated[int, whole(0, 500)] = 0
    objectness: Annotated[float, number(0, 1e6)] = 0.0


@dataclass(frozen=True)
class BankSettings(Section):
    """Query bank: sizes, temperature and weight of hubness (`regiontalk.alignment.hubness`).

    Attributes:
        photos, regions: N of the bank, with R regions together; without photos there is no bank.
        sentences, words: L of the bank, with P words together.
        temperature: τ, in units of S_kl.
        weight: λ; 0 takes nothing off.
    """

    photos: Annotated[int, whole(0, 100_000)] = 0
    regions: Annotated[int, whole(0, 10_000_000)] = 0
    sentences: Annotated[int, whole(0, 100_000)] = 0
    words: Annotated[int, whole(0, 10_000_000)] = 0
    temperature: Annotated[float, number(1e-3, 1e6)] = 1.0
    weight: Annotated[float, number(0, 10)] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.photos <= self.regions and self.sentences <= self.words):
            raise ValueError(
                "expected at least a region for each photo and a word for each sentence"
            )
        if (
            len({bool(count) for count in (self.photos, self.regions, self.sentences, self.words)})
            > 1
        ):
            raise ValueError("expected photos and sentences, or neither")
        if not self.photos and (self.temperature, self.weight) != (1.0, 0.0):
            raise ValueError("expected no temperature and weight without photos")


@dataclass(frozen=True)
class CertaintySettings(Section):
    """How evidence becomes a probability, fitted on held-out photos: see `alignment.certainty`.

    Attributes:
        slope: nats for each unit of v_i·s_t; 0 if the pack tells no probabilities.
        offset: nats.
        caption_slope, caption_offset: of captions of photos, from their log-probability; slope 0 if
            the pack does not tell how sure it is of a caption.
        region_slope, region_offset: of captions of regions, from the log-odds of their surest
            words.
    """

    slope: Annotated[float, number(0, 1e6)] = 0.0
    offset: Annotated[float, number(-1e6, 1e6)] = 0.0
    caption_slope: Annotated[float, number(0, 1e6)] = 0.0
    caption_offset: Annotated[float, number(-1e6, 1e6)] = 0.0
    region_slope: Annotated[float, number(0, 1e6)] = 0.0
    region_offset: Annotated[float, number(-1e6, 1e6)] = 0.0


HEADS = 8
"""Of a captioner's attention, side by side."""


@dataclass(frozen=True)
class CaptionerSettings(Section):
    """A captioner (Eq. 13 to 15): its cell, H and d, and how its beam search ends and ranks.

    Attributes:
        beam: hypotheses kept for each caption.
        max_words: the longest caption.
        length_normalisation: α; hypotheses are ranked by log-probability / length ** α.
        rerank_weight: of S_kl beside that rank, among the beam's captions; 0 for no reranking.
        say_once: 1 if a caption says no word twice that names something ("a bed with a bed"), else
            0.
        attention: A, dimensions of all heads of the attention over regions; 0 without attention.
    """

    cell: Annotated[str, choice("rnn", "gru", "lstm")]
    hidden: Annotated[int, whole(1, 16384)]
    embedding: Annotated[int, whole(1, 16384)]
    beam: Annotated[int, whole(1, 100)]
    max_words: Annotated[int, whole(1, 200)]
    length_normalisation: Annotated[float, number(0, 10)]
    # The key in `pack.json`, older than the name rerank weight
    rerank_weight: Annotated[float, number(0, 1e6)] = 0.0
    say_once: Annotated[int, whole(0, 1)] = 0
    attention: Annotated[int, whole(0, 16384)] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.attention % HEADS:
            raise ValueError(
                f"attention: expected a multiple of {HEADS}, its number of heads, "
                f"found {self.attention}"
            )

    def search(self, beam: int | None = None) -> dict[str, Any]:
        """How captions are searched for and chosen, for a signature; `beam` if one was given."""
        how = {name: getattr(self, name) for name in ("beam", "max_words", "length_normalisation")}
        how |= {
            name: value for name in ("rerank_weight", "say_once") if (value := getattr(self, name))
        }
        return how if beam is None else how | {"beam": beam}


@dataclass(frozen=True)
class PackSettings(Section):
    """All that `pack.json` says, but its format and the files' checksums.

    Attributes:
        name, licence: of the pack.
        made_with: the program and version that wrote it.
        trained_on, results: free-form, for people: data and numbers behind the weights.
        bank: the query bank of the hubness correction; by default none.
        certainty: how scores become probabilities; by default they do not.
    """

    name: Annotated[str, line(100)]
    licence: Annotated[str, line(200)]
    made_with: Annotated[str, line(200)]
    vision: VisionSettings
    space: SpaceSettings
    words: WordsSettings
    alignment: AlignmentSettings
    photo_captioner: CaptionerSettings
    region_captioner: CaptionerSettings
    trained_on: Annotated[dict[str, Any], free_form]
    results: Annotated[dict[str, Any], free_form]
    bank: BankSettings = BankSettings()
    certainty: CertaintySettings = CertaintySettings()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bank.photos and self.alignment.score != "mean":
            raise ValueError(
                f'bank: expected a score of the kind "mean", found {shown(self.alignment.score)}'
            )
        if self.region_captioner.attention:
            raise ValueError(
                f"region_captioner: expected no attention, found {self.region_captioner.attention}"
            )
