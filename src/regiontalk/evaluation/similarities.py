"""How alike single captions are to their references, by the name of a measure: for dense captioning."""

from __future__ import annotations

from collections.abc import Sequence

from regiontalk.errors import ConfigError
from regiontalk.evaluation.captions import bleu
from regiontalk.evaluation.regions import Similarity

NAMES = ("meteor", "bleu1")


def find_similarity(name: str) -> Similarity:
    """The similarity of a name, in 0..1 for each caption.

    Raises:
        ConfigError: if there is none of this name, or it needs what is not installed.
    """
    if name == "bleu1":
        return _bleu1
    if name == "meteor":
        raise ConfigError(
            "--similarity meteor: needs Java and the extra metrics-java. Without them name another: "
            "--similarity bleu1, whose numbers are no published ones"
        )
    raise ConfigError(f"--similarity {name}: expected one of {', '.join(NAMES)}")


def _bleu1(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> list[float]:
    """Clipped unigram precision with BLEU's penalty of short captions."""
    pairs = zip(candidates, references, strict=True)
    return [bleu([candidate], [texts])["bleu1"] / 100 for candidate, texts in pairs]
