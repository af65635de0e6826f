"""A pack small enough to make in a test.

Random weights, real English words, a vision graph built node by node.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from regiontalk.language.vocabulary import Vocabulary
from regiontalk.pack import Pack, save_pack, tensor_shapes
from regiontalk.settings import (
    AlignmentSettings,
    BankSettings,
    CaptionerSettings,
    PackSettings,
    SpaceSettings,
    VisionSettings,
    WordsSettings,
)

SIZE, SIDE, FEATURE_DIM, DIM, HIDDEN, EMBEDDING = 64, 4, 16, 8, 12, 6
_SENTENCE = """
a in the on man dog is and of woman two with white black boy brown running girl red
people grass water ball snow street beach jumps child cat blue
"""
WORDS = tuple(_SENTENCE.split())
BANK_REGIONS, BANK_WORDS = (2, 3), (1, 2, 3)
"""Of each photo and of each sentence of the tiny bank."""


def tiny_vocabulary() -> Vocabulary:
    """30 words, the first the most frequent, after 100 captions with 20 rare words."""
    return Vocabulary(WORDS, [100, 20, *(150 // (rank + 1) for rank in range(len(WORDS)))])


def tiny_settings(cell: str = "gru", words_cell: str = "rnn") -> PackSettings:
    """Settings of the tiny pack.

    Both captioners have the same cell, the words network may have another.
    """
    captioner = CaptionerSettings(
        cell, HIDDEN, EMBEDDING, beam=3, max_words=8, length_normalisation=0.0
    )
    return PackSettings(
        name="tiny",
        licence="CC0-1.0",
        made_with="regiontalk tests",
        vision=VisionSettings(
            SIZE, SIDE, FEATURE_DIM, proposals=5, nms_iou=0.6, min_objectness=0.05
        ),
        space=SpaceSettings(DIM),
        words=WordsSettings(HIDDEN, EMBEDDING, words_cell),
        alignment=AlignmentSettings("max", beta=1.0),
        photo_captioner=captioner,
        region_captioner=replace(captioner, max_words=5),
        trained_on={},
        results={},
    )


def tiny_bank() -> BankSettings:
    """A bank of two photos and three sentences, for packs that score by "mean"."""
    return BankSettings(
        photos=len(BANK_REGIONS),
        regions=sum(BANK_REGIONS),
        sentences=len(BANK_WORDS),
        words=sum(BANK_WORDS),
        temperature=2.0,
        weight=0.5,
    )


def tiny_arrays(settings: PackSettings, seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """Random weights of the right shapes.

    The captioners' output biases are log word frequencies, as in the paper.
    """
    rng = np.random.default_rng(seed)
    vocabulary = tiny_vocabulary()
    arrays = {
        file: {name: rng.normal(0, 0.6, shape).astype(np.float32) for name, shape in shapes.items()}
        for file, shapes in tensor_shapes(settings, len(vocabulary)).items()
    }
    frequencies = np.log(vocabulary.counts / vocabulary.counts.sum()).astype(np.float32)
    for captioner in ("photo_captioner", "region_captioner"):
        arrays[captioner]["b_o"] = frequencies
    if settings.bank.photos:
        arrays["bank"] |= {
            "region_counts": np.array(BANK_REGIONS),
            "word_counts": np.array(BANK_WORDS),
        }
    return arrays


def tiny_vision_onnx(seed: int = 0) -> bytes:
    """A vision graph: average colours of 4 x 4 tiles through a small layer, a box for each tile."""
    return tiny_vision_model(seed).SerializeToString()


def tiny_vision_model(seed: int = 0) -> onnx.ModelProto:
    """The graph before it is serialised, for tests that damage it.

    map = relu(tiles / 255 @ W); objectness = sigmoid(map @ w); box = the tile's centre -+ 0.4
    sigmoid(map @ V).
    """
    rng = np.random.default_rng(seed)
    steps = (np.arange(SIDE) + 0.5) / SIDE
    y, x = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
    constants = {
        "W": rng.normal(0, 1.5, (3, FEATURE_DIM)) / 255,
        "w": rng.normal(0, 1, (FEATURE_DIM, 1)),
        "V": rng.normal(0, 1, (FEATURE_DIM, 4)),
        "reach": np.array([-0.4, -0.4, 0.4, 0.4]),
        "centres": np.stack([x, y, x, y], axis=1),
        "zero": np.array(0.0),
        "one": np.array(1.0),
    }
    initializers = [
        numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()
    ]
    initializers.append(numpy_helper.from_array(np.array([0, 3, SIDE * SIDE]), "tiles_shape"))
    initializers.append(numpy_helper.from_array(np.array([0, SIDE * SIDE]), "flat_shape"))
    tile = SIZE // SIDE
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["channels_first"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "AveragePool",
            ["channels_first"],
            ["pooled"],
            kernel_shape=[tile] * 2,
            strides=[tile] * 2,
        ),
        helper.make_node("Reshape", ["pooled", "tiles_shape"], ["tiles_first"]),
        helper.make_node("Transpose", ["tiles_first"], ["tiles"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["tiles", "W"], ["linear"]),
        helper.make_node("Relu", ["linear"], ["map"]),
        helper.make_node("MatMul", ["map", "w"], ["logit"]),
        helper.make_node("Reshape", ["logit", "flat_shape"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["objectness"]),
        helper.make_node("MatMul", ["map", "V"], ["reach_logits"]),
        helper.make_node("Sigmoid", ["reach_logits"], ["reaches"]),
        helper.make_node("Mul", ["reaches", "reach"], ["offsets"]),
        helper.make_node("Add", ["offsets", "centres"], ["edges"]),
        helper.make_node("Clip", ["edges", "zero", "one"], ["boxes"]),
    ]
    cells = SIDE * SIDE
    graph = helper.make_graph(
        nodes,
        "vision",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["B", SIZE, SIZE, 3])],
        [
            helper.make_tensor_value_info("map", TensorProto.FLOAT, ["B", cells, FEATURE_DIM]),
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["B", cells, 4]),
            helper.make_tensor_value_info("objectness", TensorProto.FLOAT, ["B", cells]),
        ],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def write_tiny_pack(
    folder: Path,
    cell: str = "gru",
    seed: int = 0,
    score: str = "max",
    words_cell: str = "rnn",
    bank: bool = False,
) -> Pack:
    """Save the tiny pack at `folder`, which must not hold anything else."""
    alignment = AlignmentSettings(score, beta=1.0)
    settings = replace(
        tiny_settings(cell, words_cell),
        alignment=alignment,
        bank=tiny_bank() if bank else BankSettings(),
    )
    return save_pack(
        folder, settings, tiny_arrays(settings, seed), tiny_vision_onnx(seed), tiny_vocabulary()
    )
