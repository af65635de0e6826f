"""Tiny packs of every kind that may be taught.

With attention or a bank, with placed words, of either words network.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from regiontalk.pack import PLACED, Pack, save_pack
from regiontalk.settings import AlignmentSettings, BankSettings

from ..tiny_pack import (
    EMBEDDING,
    tiny_arrays,
    tiny_bank,
    tiny_settings,
    tiny_vision_onnx,
    tiny_vocabulary,
)

PLACED_WORDS = ("corgi", "mädchen")
VECTOR_DIM = 4
KINDS = ("plain", "attention")


def write_pack(folder: Path, kind: str, training_photos: np.ndarray | None = None) -> Pack:
    """A tiny pack: "plain" as in the paper, with LSTMs.

    "attention" has all that a pack may have.
    """
    if kind == "plain":
        settings = tiny_settings("lstm")
        return save_pack(
            folder,
            settings,
            tiny_arrays(settings),
            tiny_vision_onnx(),
            tiny_vocabulary(),
            training_photos,
        )
    settings = tiny_settings("gru", "gru")
    settings = replace(
        settings,
        alignment=AlignmentSettings("mean", beta=1.0),
        words=replace(settings.words, vector_dim=VECTOR_DIM),
        photo_captioner=replace(settings.photo_captioner, attention=16, rerank_weight=0.5),
        bank=tiny_bank(),
    )
    assert settings.bank != BankSettings()
    rng, arrays = np.random.default_rng(5), tiny_arrays(settings)
    arrays[PLACED] = {
        "vectors": rng.normal(0, 1, (len(PLACED_WORDS), VECTOR_DIM)),
        "W_g": rng.normal(0, 1, (VECTOR_DIM, EMBEDDING)),
    }
    vocabulary = tiny_vocabulary().with_placed(PLACED_WORDS)
    return save_pack(folder, settings, arrays, tiny_vision_onnx(), vocabulary, training_photos)
