"""Arrays and words in, numbers out: retrieval (recalls, median rank) and captions (BLEU)."""

from __future__ import annotations

from regiontalk.evaluation.captions import bleu
from regiontalk.evaluation.retrieval import retrieval

__all__ = ["bleu", "retrieval"]
