"""Pack settings (`pack.json`) as frozen dataclasses whose fields are validated.

Every field has a validation rule (type and range), which applies whenever an object is created, by
parsing a file or by a training run. Ranges allow for any sensible network and bound the memory that
an untrusted file can request.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Annotated, Any, Self, get_origin, get_type_hints

_DEEPEST = 20
"""Maximum nesting of free-form fields."""

Rule = Callable[[Any], Any]
"""Validates a value and returns it (`number` as float); its ValueError states what was
expected."""


def whole(low: int, high: int) -> Rule:
    """Rule: an integer in low..high."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return check


def number(low: float, high: float) -> Rule:
    """Rule: a finite number in low..high."""

    def check(value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high or not math.isfinite(value):
            raise ValueError(f"a number from {low:g} to {high:g}")
        return float(value)

    return check


def choice(*allowed: str) -> Rule:
    """Rule: one of the allowed strings."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise ValueError("one of " + ", ".join(allowed))
        return value

    return check


def line(longest: int) -> Rule:
    """Rule: 1 to `longest` printable characters, on one line."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or not 1 <= len(value) <= longest or not value.isprintable():
            raise ValueError(f"a line of 1 to {longest} printable characters")
        return value

    return check


def free_form(value: Any) -> dict[str, Any]:
    """Rule: any JSON object nested at most `_DEEPEST` deep."""
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
    """Base class of settings. A field is `Annotated` with its rule, or is a nested section.

    Raises:
        ValueError: naming the field, what was expected and what was found.
    """

    def __post_init__(self) -> None:
        for name, rule in _rules(type(self)).items():
            value = getattr(self, name)
            try:
                # The class is frozen, and a rule may convert: an int to a float
                object.__setattr__(self, name, rule(value))
            except ValueError as error:
                raise ValueError(f"{name}: expected {error}, found {shown(value)}") from None

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Build from a parsed JSON object with this section's fields and no other.

        Fields with a default may be missing, as in files older than the field.

        Raises:
            ValueError: if `data` is not an object, lacks a required field, has an unknown one, or
                breaks a rule.
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

        Fields equal to their default are omitted, for versions older than the field.
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
    """Rule: a sha256 in hexadecimal."""
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError("a sha256, 64 hexadecimal digits")
    return value


def shown(value: Any, longest: int = 80) -> str:
    """A value from a file for use in a message: escaped to ASCII, truncated if long."""
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
"""Maximum input size of a vision network, in pixels a side."""


@dataclass(frozen=True)
class VisionSettings(Section):
    """Input and output sizes of the vision graph, and the selection of regions from proposals.

    Attributes:
        size: S, pixels a side of the square input; photos are squashed to it.
        side: s, cells a side of the feature map.
        feature_dim: D, the feature map's channels.
        proposals: maximum of boxes kept beside the whole photo (the paper: 19).
        nms_iou: NMS threshold: a box with a higher IoU with a better one is dropped.
        min_objectness: boxes of a lower objectness, in 0..1, are dropped.
    """

    size: Annotated[int, whole(8, LARGEST_PHOTO)]
    side: Annotated[int, whole(1, 256)]
    feature_dim: Annotated[int, whole(1, 16384)]
    proposals: Annotated[int, whole(0, 500)]
    nms_iou: Annotated[float, number(0, 1)]
    min_objectness: Annotated[float, number(0, 1)]


@dataclass(frozen=True)
class SpaceSettings(Section):
    """The shared embedding space of regions and words: `dim` is h."""

    dim: Annotated[int, whole(1, 16384)]


@dataclass(frozen=True)
class WordsSettings(Section):
    """The words network (Eq. 2 to 6).

    Attributes:
        hidden, embedding: H and d.
        cell: "rnn" (the paper's) or "gru".
        vector_dim: dimensions of the pretrained word vectors of placed words, which do not occur in
            training captions; 0 without placed words.
    """

    hidden: Annotated[int, whole(1, 16384)]
    embedding: Annotated[int, whole(1, 16384)]
    cell: Annotated[str, choice("rnn", "gru")] = "rnn"
    vector_dim: Annotated[int, whole(0, 16384)] = 0


MOST_BETA = 1e6
"""Limit of β in Eq. 12: more than keeps any sentence on one region, yet scores do not vanish in
rounding beside it."""


@dataclass(frozen=True)
class AlignmentSettings(Section):
    """Sentence scores and word-region alignment.

    Attributes:
        score: "max" (Eq. 8), "sum" (Eq. 7) or "mean" (Eq. 8 / words).
        beta: β of Eq. 12.
        extra_proposals: boxes beyond `VisionSettings.proposals`, used by alignment only: words may
            name smaller things than a photo is found and described by.
        objectness: weight of objectness in ψ_U, see `regiontalk.alignment.mrf.unary_potentials`;
            the paper's is 0.
    """

    score: Annotated[str, choice("max", "sum", "mean")]
    beta: Annotated[float, number(0, MOST_BETA)]
    extra_proposals: Annotated[int, whole(0, 500)] = 0
    objectness: Annotated[float, number(0, 1e6)] = 0.0


@dataclass(frozen=True)
class BankSettings(Section):
    """Query bank: sizes, temperature and weight of hubness (`regiontalk.alignment.hubness`).

    Attributes:
        photos, regions: N photos with R regions in total; 0 for no bank.
        sentences, words: L sentences with P words in total.
        temperature: τ, in units of S_kl.
        weight: λ; 0 for no correction.
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
    """Platt scaling of evidence, fitted on held-out photos: see `alignment.certainty`.

    Attributes:
        slope: nats for each unit of v_i·s_t; 0 for a pack without probabilities.
        offset: nats.
        caption_slope, caption_offset: for captions of photos, from their log-probability; slope 0
            for captions without probabilities.
        region_slope, region_offset: for captions of regions, from the log-odds of their most
            probable words; slope 0 as above.
    """

    slope: Annotated[float, number(0, 1e6)] = 0.0
    offset: Annotated[float, number(-1e6, 1e6)] = 0.0
    caption_slope: Annotated[float, number(0, 1e6)] = 0.0
    caption_offset: Annotated[float, number(-1e6, 1e6)] = 0.0
    region_slope: Annotated[float, number(0, 1e6)] = 0.0
    region_offset: Annotated[float, number(-1e6, 1e6)] = 0.0


HEADS = 8
"""Heads of a captioner's attention."""


@dataclass(frozen=True)
class CaptionerSettings(Section):
    """A captioner (Eq. 13 to 15): recurrent cell, sizes H and d, beam search and reranking.

    Attributes:
        beam: beam width, hypotheses kept for each caption.
        max_words: maximum length of a caption.
        length_normalisation: α; hypotheses are ranked by log-probability / length ** α.
        rerank_weight: weight of S_kl added to that rank among the beam's captions; 0 for no
            reranking.
        say_once: 1 to block repetition of naming words within a caption ("a bed with a bed"),
            else 0.
        attention: A, dimensions of all heads of the attention over regions; 0 without attention.
    """

    cell: Annotated[str, choice("rnn", "gru", "lstm")]
    hidden: Annotated[int, whole(1, 16384)]
    embedding: Annotated[int, whole(1, 16384)]
    beam: Annotated[int, whole(1, 100)]
    max_words: Annotated[int, whole(1, 200)]
    length_normalisation: Annotated[float, number(0, 10)]
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
        """Search and reranking settings for a result's signature; `beam` overrides the pack's."""
        how = {name: getattr(self, name) for name in ("beam", "max_words", "length_normalisation")}
        how |= {
            name: value for name in ("rerank_weight", "say_once") if (value := getattr(self, name))
        }
        return how if beam is None else how | {"beam": beam}


@dataclass(frozen=True)
class PackSettings(Section):
    """The content of `pack.json`, without its format version and the files' checksums.

    Attributes:
        made_with: the program and version that wrote it.
        trained_on, results: free-form documentation of training data and measured results.
        bank: the query bank of the hubness correction; by default none.
        certainty: calibration of probabilities; by default none.
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
