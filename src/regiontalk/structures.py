"""Data structures: regions, sentences, alignments and descriptions.

Frozen dataclasses of NumPy arrays, validated when created. `to_json` of a result returns the object
that the command line prints with `--json`, as a dict; `to_dict` is an alias. No `repr` shows an
array.

Axis names used throughout: M regions, h dimensions of the shared space, D dimensions of the visual
features, T words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

WHOLE_PHOTO = 0
"""Index of the whole photo, always region 0."""
ABSENT = 0.15
"""Least probability of a word that is shown; below it a word is absent, even in a found phrase."""


class Displayed:
    """Mixin for rich display in notebooks.

    Attributes:
        html_of: renders a result as HTML; None to fall back to the `repr`. Injected by `regiontalk`
            on first use of its API, since rendering belongs to a higher layer.
    """

    html_of: ClassVar[Callable[[Any], str] | None] = None

    def _repr_html_(self) -> str | None:
        html_of = Displayed.html_of
        return None if html_of is None else html_of(self)


@dataclass(frozen=True, eq=False)
class Regions(Displayed):
    """The regions of one photo (Eq. 1): boxes with their vectors.

    Attributes:
        file: the photo's path or name, for messages and output.
        width, height: of the original photo, upright, in pixels.
        boxes_xyxy: (M, 4) float32, in pixels of the original photo; row 0 is the whole photo.
        scores: (M,) float32 in 0..1, objectness: the network's confidence that the box holds an
            object; row 0 is 1.
        features: (M, D) float32, CNN(I_b) of Eq. 1; row 0 describes the whole photo.
        vectors: (M, h) float32, v_i of Eq. 1. Magnitudes carry meaning: they are not normalised.
        hubness: how well the photo fits sentences in general, in units of S_kl
            (`regiontalk.alignment.hubness`); subtracted from its scores. 0 if the pack has no query
            bank.
        extra: number of regions, the last ones, that only alignment uses (`Model.look`).

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
        """A subset of the regions, none of them extra.

        Args:
            rows: (K,) integers in 0..M-1, the first of them 0: the whole photo stays.
        """
        names = ("boxes_xyxy", "scores", "features", "vectors")
        parts = {name: getattr(self, name)[rows] for name in names}
        return replace(self, **parts, extra=0)

    @property
    def main(self) -> Regions:
        """The regions that scores, search and captions use: all but the extra ones."""
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
        words: T tokens, at least one.
        ids: (T,) int64, ids in the vocabulary; `Vocabulary.UNKNOWN` for words out of it.
        vectors: (T, h) float32, s_t of Eq. 6.
        hubness: how well the sentence fits photos in general, as of `Regions`.
        kinds: for each word "learnt" from captions, "placed" among those by pretrained word
            vectors, or "unknown".
        meant: spelling suggestions: for unknown words the known ones at a Damerau-Levenshtein
            distance of 1, if there are any.
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
        """The out-of-vocabulary words, each once."""
        kinds = zip(self.words, self.kinds, strict=False)
        return tuple(dict.fromkeys(word for word, kind in kinds if kind == "unknown"))

    def __repr__(self) -> str:
        return f"Sentence({self.text!r}, words={len(self)})"


@dataclass(frozen=True)
class Phrase:
    """A contiguous run of words on one region. `start` and `end` index the words, end exclusive.

    Attributes:
        sure: the probability that the photo shows what it names; None if it names nothing, or the
            pack has no calibration.
        found: whether its box is shown: it names something that is more likely present than absent.
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
        beta: β of Eq. 12, in units of v_i·s_t; with 0 words are aligned independently.
        score: S_kl, by the pack's kind of score, less the hubness of both: how well photo and
            sentence fit, without β.
        word_regions: (T,) int64, a_j of Eq. 10: the region of each word.
        unary: (T, M), ψ_U of Eq. 11: v_i·s_j, plus the region's weighted log objectness if the pack
            has a weight (`regiontalk.alignment.mrf.unary_potentials`).
        word_scores: (T,) float32, `unary` of each word's region.
        phrases: the maximal runs of words with one region, in order; together they cover the
            sentence.
        word_sure: for each word the probability that the photo shows what it names; None for words
            that name nothing or are unknown. Empty if the pack has no calibration.
        sure: the probability that the sentence fits the photo; None if `word_sure` has no number.
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
        """Mask of the words of found phrases, without absent words. # (T,) bool

        A word is absent if its probability is below `ABSENT`, or in packs without probabilities if
        its score is not above 0.
        """
        lengths = [each.end - each.start for each in self.phrases]
        found: np.ndarray = np.repeat([each.found for each in self.phrases], lengths)
        if self.word_sure:
            found &= np.array([sure is None or sure >= ABSENT for sure in self.word_sure])
        else:
            found &= self.word_scores > 0
        return found

    def to_json(self) -> dict[str, Any]:
        """The object that `regiontalk align --json` prints."""
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
    """A generated caption.

    Attributes:
        text: its words, separated by single spaces.
        log_prob: its log-probability in nats, END included (Eq. 15).
        word_regions: for each word the region that the captioner attended to, 0 for the whole
            photo; None for words that name nothing ("a", "with"). Empty if the captioner has no
            attention over regions.
        sure: the probability that everything it names is there; None if the pack has no calibration
            of captions.
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
        """Whether its probability is below 0.5; False without a probability."""
        return self.sure is not None and self.sure < 0.5

    def to_json(self) -> dict[str, Any]:
        """The caption as part of what `regiontalk describe --json` prints."""
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
    """Captions of a photo and of each of its regions but the whole photo.

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
    """`[{"box_xyxy", "score"}]`, the whole photo first; coordinates rounded to 0.1 pixels."""
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
    """Check an array's shape; None in `shape` allows any length."""
    sizes = zip(array.shape, shape, strict=False)
    fits = array.ndim == len(shape) and all(b is None or a == b for a, b in sizes)
    _require(fits, f"{name} has shape {array.shape}, expected {shape}")
