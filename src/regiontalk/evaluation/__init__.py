"""Measuring: retrieval, captions, grounding, captions of regions, each with a signature of how it came about.

Modules named after what they measure take arrays and words and give numbers; those named `..._runs` run a model on a
dataset, or read another system's output, and sign the result.
"""

from __future__ import annotations

from regiontalk.evaluation.captions import bleu
from regiontalk.evaluation.retrieval import retrieval

__all__ = ["bleu", "retrieval"]
