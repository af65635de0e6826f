"""Photos and sentences in one space: how well they fit (Eq. 7, 8), and which word belongs to which box (Eq. 10-12)."""

from __future__ import annotations

from regiontalk.alignment.mrf import align, phrases, viterbi
from regiontalk.alignment.score import pad, score_matrix

__all__ = ["align", "pad", "phrases", "score_matrix", "viterbi"]
