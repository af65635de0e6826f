"""Data structures: regions, sentences, alignments and descriptions.

Frozen, checked once, plain NumPy. `to_json` of a result gives the object that the command line
prints with `--json`, as a dict; `to_dict` is the same by the name that other libraries give it. No
`repr` shows an array.

Axis names used throughout: M regions, h dimensions of the shared space, D dimensions of the visual
features, T words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

WHOLE_PHOTO = 0
"""Region 0 is always the whole photo."""
ABSENT = 0.15
"""A word of a lower probability is absent, even within a phrase that is found."""


class Displayed:
    """A result that a notebook shows as HTML.

    Attributes:
        html_of: makes the HTML of a result. What draws stands in a layer above this one:
            `regiontalk` itself sets it as soon as one of its results can be made. Without it a
            notebook shows the `repr`.
    """

    html_of: ClassVar[Callable[[Any], str] | None] = None

    def _repr_html_(self) -> str | None:
        html_of = Displayed.html_of
        return None if html_of is None else html_of(self)


@dataclass(frozen=True, eq=False)
class Regions(Displayed):
    """The regions of one photo (Eq. 1): boxes with their vectors.

    Attributes:
        file: where the photo came from, for messages and output.
        width, height: of the original photo, upright, in pixels.
        boxes_xyxy: (M, 4) float32, in pixels of the original photo; row 0 is the whole photo.
        scores: (M,) float32 in 0..1, how sure the network is that the box holds a thing; row 0 is
            1.
        features: (M, D) float32, CNN(I_b) of Eq. 1; row 0 describes the whole photo.
        vectors: (M, h) float32, v_i of Eq. 1. Magnitudes carry meaning: they are not normalised.
        hubness: how well the photo fits sentences in general, in units of S_kl
            (`regiontalk.alignment.hubness`); taken off its scores. 0 if the pack has no bank.
        extra: how many of the last regions are for words of a sentence only (`Model.look`).

    Raises:
        ValueError: if the shapes disagree, a value is not finite, or row 0 is not the whole photo.
    """

    file: str
    width: int
    height: int
    boxes_xyxy: np.ndarray
    scores: np.ndarray
    features: np.ndarray
    vectors: np.ndarray
    hubness: float = 0.0
    extra: int = 0

    def __post_init__(self) -> None:
        regions = len(self.boxes_xyxy)
        _require(regions >= 1, "a photo has at least one region, itself")
        extra = f"expected extra in 0..{regions - 1}, found {self.extra}"
        _require(0 <= self.extra < regions, extra)
        _require_shape("boxes_xyxy", self.boxes_xyxy, (regions, 4))
        _require_shape("scores", self.scores, (regions,))
        _require_shape("features", self.features, (regions, None))
        _require_shape("vectors", self.vectors, (regions, None))
        for name in ("boxes_xyxy", "scores", "features", "vectors", "hubness"):
            finite = bool(np.isfinite(getattr(self, name)).all())
            _require(finite, f"{name} holds a value that is not finite")
        whole = np.array([0, 0, self.width, self.height], np.float32)
        begins = np.array_equal(self.boxes_xyxy[WHOLE_PHOTO], whole)
        _require(begins, "region 0 must be the whole photo")

    def __len__(self) -> int:
        return len(self.boxes_xyxy)

    def select(self, rows: np.ndarray) -> Regions:
        """Some of the regions, none of them extra.

        Args:
            rows: (K,) integers in 0..M-1, the first of them 0: the whole photo stays.
        """
        names = ("boxes_xyxy", "scores", "features", "vectors")
        parts = {name: getattr(self, name)[rows] for name in names}
        return replace(self, **parts, extra=0)

    @property
    def main(self) -> Regions:
        """The regions that a photo is found and described by: all but the extra ones."""
        return self.select(np.arange(len(self) - self.extra)) if self.extra else self

    def to_json(self) -> dict[str, Any]:
        """The object that `regiontalk regions --json` prints."""
        return {
            "file": self.file,
            "width": self.width,
            "height": self.height,
            "regions": regions_to_json(self),
        }

    to_dict = to_json

    def __repr__(self) -> str:
        return f"Regions({self.file!r}, {self.width} x {self.height}, regions={len(self)})"


@dataclass(frozen=True, eq=False)
class Sentence:
    """A sentence as the words network reads it (Eq. 2 to 6).

    Attributes:
        text: as given.
        words: T words after tokenising, at least one.
        ids: (T,) int64, rows of the vocabulary; words it lacks have `Vocabulary.UNKNOWN`.
        vectors: (T, h) float32, s_t of Eq. 6.
        hubness: how well the sentence fits photos in general, as of `Regions`.
        kinds: what is known of each word: "learnt" from captions, "placed" among those by word
            vectors from elsewhere, or "unknown".
        meant: for unknown words the known ones that are one letter off, if there are any.
    """

    text: str
    words: tuple[str, ...]
    ids: np.ndarray
    vectors: np.ndarray
    hubness: float = 0.0
    kinds: tuple[str, ...] = ()
    meant: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        words = len(self.words)
        _require(words >= 1, "a sentence has at least one word")
        _require_shape("ids", self.ids, (words,))
        _require_shape("vectors", self.vectors, (words, None))
        fits = len(self.kinds) in (0, words)
        _require(fits, "a sentence has a kind for each of its words, or none")

    def __len__(self) -> int:
        return len(self.words)

    @property
    def unknown(self) -> tuple[str, ...]:
        """The words of which nothing is known, each once."""
        kinds = zip(self.words, self.kinds, strict=False)
        return tuple(dict.fromkeys(word for word, kind in kinds if kind == "unknown"))

    def __repr__(self) -> str:
        return f"Sentence({self.text!r}, words={len(self)})"


@dataclass(frozen=True)
class Phrase:
    """A contiguous run of words on one region. `start` and `end` index the words, end exclusive.

    Attributes:
        sure: the probability that what it names is on the photo; None if it names nothing, or the
            pack tells none.
        found: whether it has a box to be shown: it names something, which is more likely there than
            not.
    """

    text: str
    start: int
    end: int
    region: int
    box_xyxy: tuple[float, float, float, float]
    score: float
    sure: float | None = None
    found: bool = True

    def __repr__(self) -> str:
        box = tuple(round(edge) for edge in self.box_xyxy)
        found = "" if self.found else ", found=False"
        return f"Phrase({self.text!r}, {box}{_sure_repr(self.sure)}{found})"


@dataclass(frozen=True, eq=False)
class Alignment(Displayed):
    """A region for each word of a sentence (Eq. 10 to 12).

    Attributes:
        regions: the photo's regions.
        sentence: the sentence's words.
        beta: β of Eq. 12, in units of v_i·s_t; 0 lets every word choose for itself.
        score: S_kl, by the pack's kind of score, less the hubness of both: how well photo and
            sentence fit, without β.
        word_regions: (T,) int64, a_j of Eq. 10: the region of each word.
        unary: (T, M), ψ_U of Eq. 11: v_i·s_j, perhaps with the log of the region's objectness
            (`regiontalk.alignment.mrf.unary_potentials`).
        word_scores: (T,) float32, `unary` of each word's region.
        phrases: the maximal runs of words with one region, in order; together they cover the
            sentence.
        word_sure: for each word the probability that what it names is on the photo; None for words
            that name nothing or are unknown. Empty if the pack tells no probabilities.
        sure: the probability that the sentence fits the photo; None where `word_sure` has no
            number.
    """

    regions: Regions
    sentence: Sentence
    beta: float
    score: float
    word_regions: np.ndarray
    unary: np.ndarray
    phrases: tuple[Phrase, ...]
    word_sure: tuple[float | None, ...] = ()
    sure: float | None = None

    @property
    def word_scores(self) -> np.ndarray:
        own: np.ndarray = self.unary[np.arange(len(self.word_regions)), self.word_regions]
        return own.astype(np.float32)

    @property
    def shown(self) -> np.ndarray:
        """Which words belong to found phrases, absent words excluded. # (T,) bool

        Without probabilities a word is absent if its score is not above 0.
        """
        lengths = [each.end - each.start for each in self.phrases]
        found: np.ndarray = np.repeat([each.found for each in self.phrases], lengths)
        if self.word_sure:
            found &= np.array([sure is None or sure >= ABSENT for sure in self.word_sure])
        else:
            found &= self.word_scores > 0
        return found

    def to_json(self) -> dict[str, Any]:
        """The object that `regiontalk align --json` prints, with any probabilities told."""
        return {
            "file": self.regions.file,
            "width": self.regions.width,
            "height": self.regions.height,
            "sentence": self.sentence.text,
            "score": float(self.score),
            **({"sure": _rounded(self.sure)} if self.word_sure else {}),
            "words": self._words_to_json(),
            "phrases": [self._phrase_to_json(phrase) for phrase in self.phrases],
            "regions": regions_to_json(self.regions),
        }

    def _words_to_json(self) -> list[dict[str, Any]]:
        known = [kind != "unknown" for kind in self.sentence.kinds] or [True] * len(self.sentence)
        words = zip(self.sentence.words, known, self.word_regions, self.word_scores, strict=True)
        found: list[dict[str, Any]] = [
            {"text": text, "known": is_known, "region": int(region), "score": float(score)}
            for text, is_known, region, score in words
        ]
        for word, sure in zip(found, self.word_sure, strict=False):
            word["sure"] = _rounded(sure)
        for word in found:
            if meant := self.sentence.meant.get(word["text"]):
                word["did_you_mean"] = list(meant)
        return found

    def _phrase_to_json(self, phrase: Phrase) -> dict[str, Any]:
        names = ("text", "start", "end", "region", "score", "found")
        found = {name: getattr(phrase, name) for name in names}
        found["box_xyxy"] = list(phrase.box_xyxy)
        return found | ({"sure": _rounded(phrase.sure)} if self.word_sure else {})

    to_dict = to_json

    def __repr__(self) -> str:
        phrases = phrases_repr(self.phrases)
        return f"Alignment({self.regions.file!r}, score={self.score:.2f}, phrases={phrases})"


@dataclass(frozen=True)
class Caption:
    """A sentence that a captioner wrote.

    Attributes:
        text: its words, with a space between each two.
        log_prob: its log-probability in nats, END included (Eq. 15).
        word_regions: for each word the region that the captioner looked at as it said it, 0 for the
            whole photo; None for words that name nothing ("a", "with"). Empty if the captioner
            attends to no regions.
        sure: the probability that it names what is there and nothing else; None if the pack tells
            none.
    """

    text: str
    log_prob: float
    word_regions: tuple[int | None, ...] = ()
    sure: float | None = None

    def __post_init__(self) -> None:
        words = len(self.text.split())
        fits = len(self.word_regions) in (0, words)
        _require(fits, "a caption has a region for each of its words, or none")

    @property
    def is_unsure(self) -> bool:
        """Whether it is more likely wrong than right, as far as the pack tells."""
        return self.sure is not None and self.sure < 0.5

    def to_json(self) -> dict[str, Any]:
        """Its object in what `regiontalk describe --json` prints."""
        content: dict[str, Any] = {"text": self.text, "log_prob": round(self.log_prob, 4)}
        if self.sure is not None:
            content["sure"] = _rounded(self.sure)
        if self.word_regions:
            pairs = zip(self.text.split(), self.word_regions, strict=True)
            content["words"] = [{"text": word, "region": region} for word, region in pairs]
        return content

    to_dict = to_json

    def __repr__(self) -> str:
        return f"Caption({self.text!r}{_sure_repr(self.sure)})"


@dataclass(frozen=True, eq=False)
class Description(Displayed):
    """A caption for a photo and one for each of its regions but the whole photo.

    Attributes:
        regions: the photo's regions, the whole photo first.
        caption: of the whole photo.
        region_captions: M - 1 captions; `region_captions[i]` belongs to region i + 1.
    """

    regions: Regions
    caption: Caption
    region_captions: tuple[Caption, ...]

    def __post_init__(self) -> None:
        fits = len(self.region_captions) == len(self.regions) - 1
        _require(fits, "a caption for each region but the whole photo")

    def to_json(self) -> dict[str, Any]:
        """The object that `regiontalk describe --json` prints."""
        boxes = regions_to_json(self.regions)[1:]
        return {
            "file": self.regions.file,
            "width": self.regions.width,
            "height": self.regions.height,
            "caption": self.caption.to_json(),
            "regions": [
                {**box, "caption": caption.to_json()}
                for box, caption in zip(boxes, self.region_captions, strict=True)
            ],
        }

    to_dict = to_json

    def __repr__(self) -> str:
        captions = len(self.region_captions)
        return (
            f"Description({self.regions.file!r}, {self.caption.text!r}, region_captions={captions})"
        )


def regions_to_json(regions: Regions) -> list[dict[str, Any]]:
    """`[{"box_xyxy", "score"}]`, the whole photo first; pixels with one decimal."""
    return [
        {"box_xyxy": [round(float(v), 1) for v in box], "score": round(float(score), 4)}
        for box, score in zip(regions.boxes_xyxy, regions.scores, strict=True)
    ]


def phrases_repr(phrases: Sequence[Phrase]) -> str:
    """Phrases with their boxes in whole pixels, for a `repr`: ['a dog' (12, 20, 80, 64)]."""
    boxes = [tuple(round(edge) for edge in phrase.box_xyxy) for phrase in phrases]
    parts = (f"{phrase.text!r} {box}" for phrase, box in zip(phrases, boxes, strict=True))
    return f"[{', '.join(parts)}]"


def _sure_repr(sure: float | None) -> str:
    return "" if sure is None else f", sure={sure:.2f}"


def _rounded(probability: float | None) -> float | None:
    return None if probability is None else round(probability, 4)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _require_shape(name: str, array: np.ndarray, shape: tuple[int | None, ...]) -> None:
    """None in `shape` allows any length."""
    sizes = zip(array.shape, shape, strict=False)
    fits = array.ndim == len(shape) and all(b is None or a == b for a, b in sizes)
    _require(fits, f"{name} has shape {array.shape}, expected {shape}")
