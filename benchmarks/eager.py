"""A pack's vision graph back in eager PyTorch, as a reference for `vision.py`.

Needs the extra `train`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from regiontalk.settings import VisionSettings
from regiontalk.training.backbones.efficientnet_lite import VARIANTS, EfficientNetLiteBackbone
from regiontalk.training.vision_net import VisionNet
from regiontalk.vision.session import VisionSession

FOREIGN = "the pack's backbone is not an EfficientNet-Lite"
NORMALISED_BY = {
    "conv_stem": "bn0",
    "conv_head": "bn1",
    "expand_conv": "bn0",
    "depthwise_conv": "bn1",
    "project_conv": "bn2",
}
"""Which batch normalisation follows a convolution."""


class EagerSession(VisionSession):
    """A `VisionSession` that runs the network in PyTorch; all that comes after it is the same."""

    def __init__(
        self,
        graph: bytes,
        projection: Mapping[str, np.ndarray],
        settings: VisionSettings,
        network: VisionNet,
        threads: int,
    ) -> None:
        super().__init__(graph, projection, settings, threads)
        # What is fastest in eager PyTorch
        self._network = network.eval().to(memory_format=torch.channels_last)
        torch.set_num_threads(threads)

    def run(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As in `VisionSession`."""
        with torch.inference_mode():
            maps, boxes, objectness = self._network(torch.from_numpy(pixels))
        return maps.numpy(), boxes.numpy(), objectness.numpy()


def network_of(graph: bytes) -> VisionNet:
    """The PyTorch network that an exported graph came from, with the graph's weights.

    Export folds each batch normalisation into the convolution before it. Here the folded weights go
    into the convolution, and the normalisation, which eager PyTorch would run, gets the bias.

    Raises:
        ValueError: if the graph is not of an EfficientNet-Lite.
    """
    folded = _convolutions(onnx.load_from_string(graph).graph)
    for variant in VARIANTS:
        try:
            network = VisionNet(
                EfficientNetLiteBackbone(variant, len(folded["backbone.fuse_fine"][0]))
            ).eval()
            modules = dict(network.named_modules())
            with torch.no_grad():
                for name, (weight, bias) in folded.items():
                    own = (
                        name if name in modules else name.replace("backbone.", "backbone.network.")
                    )
                    _put(network, own, torch.from_numpy(weight), torch.from_numpy(bias))
            return network
        except (KeyError, AttributeError, RuntimeError):  # other names, or other widths
            continue
    raise ValueError(FOREIGN)


def _put(network: VisionNet, name: str, weight: torch.Tensor, bias: torch.Tensor) -> None:
    parent, _, own = name.rpartition(".")
    convolution, around = network.get_submodule(name), network.get_submodule(parent)
    convolution.get_parameter("weight").copy_(weight)
    norm = (
        around[1]
        if isinstance(around, nn.Sequential)
        else getattr(around, NORMALISED_BY.get(own, ""), None)
    )
    if norm is not None:
        norm.get_parameter("bias").copy_(bias)
        nn.init.ones_(norm.get_parameter("weight"))
        nn.init.zeros_(norm.get_buffer("running_mean"))
        nn.init.constant_(norm.get_buffer("running_var"), 1 - norm.eps)
    elif convolution.bias is not None:
        convolution.get_parameter("bias").copy_(bias)


def _convolutions(graph: onnx.GraphProto) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Weight and bias of each convolution by its module's name.

    int8 ones come through DequantizeLinear.
    """
    arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    restoring = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}

    def array(name: str) -> np.ndarray:
        if name in arrays:
            return arrays[name].astype(np.float32)
        if name not in restoring or restoring[name].input[0] not in arrays:
            raise ValueError(FOREIGN)
        integers, scale, zero = (arrays[each].astype(np.float32) for each in restoring[name].input)
        per_output = (-1,) + (1,) * (integers.ndim - 1)
        return (integers - zero.reshape(per_output)) * scale.reshape(per_output)

    found = {}
    for node in graph.node:
        if node.op_type == "Conv":
            weight = array(node.input[1])
            bias = (
                array(node.input[2]) if len(node.input) > 2 else np.zeros(len(weight), np.float32)
            )
            found[_module_name(node.name)] = weight, bias
    return found


def _module_name(node: str) -> str:
    """The module that a node was traced in: `/backbone/stem/stem.0/Conv` is `backbone.stem.0`."""
    scopes = node.split("/")[1:-1]
    inner = [*scopes[1:], ""]
    return ".".join(
        scope
        for scope, next_one in zip(scopes, inner, strict=True)
        if not next_one.startswith(scope + ".")
    )
