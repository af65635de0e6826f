"""Alignment: image-sentence score (Eq. 7, 8), hubness and word-region alignment (Eq. 10-12)."""

from __future__ import annotations

from regiontalk.alignment.mrf import align, phrases, viterbi
from regiontalk.alignment.score import pad, score_matrix

__all__ = ["align", "pad", "phrases", "score_matrix", "viterbi"]
