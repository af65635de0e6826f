"""A pack's vision graph back in eager PyTorch, as a reference for `vision.py`. Needs the extra `train`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from regiontalk.settings import VisionSettings
from regiontalk.training.vision_net import SmallResNet, VisionNet
from regiontalk.vision.session import VisionSession


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
        self._network = network.eval().to(memory_format=torch.channels_last)  # what is fastest in eager PyTorch
        torch.set_num_threads(threads)

    def run(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As in `VisionSession`."""
        with torch.inference_mode():
            maps, boxes, objectness = self._network(torch.from_numpy(pixels))
        return maps.numpy(), boxes.numpy(), objectness.numpy()


def network_of(graph: bytes) -> VisionNet:
    """The PyTorch network that an exported graph came from, with the graph's weights.

    Export folds each batch normalisation into the convolution before it. Here the folded weights go into the
    convolution, and the normalisation, which eager PyTorch would run, gets the bias.

    Raises:
        ValueError: if the graph is not of a `SmallResNet`.
    """
    folded = _convolutions(onnx.load_from_string(graph).graph)
    if len(folded) < 2:
        raise ValueError("the pack's backbone is not the project's own")
    width, dim = folded[0][0].shape[0], folded[-2][0].shape[1]
    network = VisionNet(SmallResNet(width, dim=dim)).eval()
    called = _in_order_of_call(network)
    if [tuple(each.weight.shape) for each, _ in called] != [weight.shape for weight, _ in folded]:
        raise ValueError("the pack's backbone is not the project's own")
    with torch.no_grad():
        for (convolution, norm), (weight, bias) in zip(called, folded, strict=True):
            convolution.weight.copy_(torch.from_numpy(weight))
            if norm is None:
                convolution.bias.copy_(torch.from_numpy(bias))
            else:
                norm.bias.copy_(torch.from_numpy(bias))
                norm.weight.fill_(1.0)
                norm.running_mean.zero_()
                norm.running_var.fill_(1 - norm.eps)
    return network


def _convolutions(graph: onnx.GraphProto) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weight and bias of each convolution, in the order of the graph; int8 ones come through DequantizeLinear."""
    arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    restoring = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}

    def array(name: str) -> np.ndarray:
        if name in arrays:
            return arrays[name].astype(np.float32)
        if name not in restoring or restoring[name].input[0] not in arrays:
            raise ValueError("the pack's backbone is not the project's own")
        integers, scale, zero = (arrays[each].astype(np.float32) for each in restoring[name].input)
        per_output = (-1,) + (1,) * (integers.ndim - 1)
        return (integers - zero.reshape(per_output)) * scale.reshape(per_output)

    found = []
    for node in graph.node:
        if node.op_type == "Conv":
            weight = array(node.input[1])
            bias = array(node.input[2]) if len(node.input) > 2 else np.zeros(len(weight), np.float32)
            found.append((weight, bias))
    return found


def _in_order_of_call(network: VisionNet) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    """Each convolution with the normalisation after it, as a forward pass calls them."""
    norm_after = {pair[0]: pair[1] for pair in network.modules() if isinstance(pair, nn.Sequential) and _is_pair(pair)}
    order: list[nn.Conv2d] = []
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    hooks = [each.register_forward_hook(lambda module, *_: order.append(module)) for each in convolutions]
    with torch.inference_mode():
        network(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))
    for hook in hooks:
        hook.remove()
    return [(each, norm_after.get(each)) for each in order]


def _is_pair(module: nn.Sequential) -> bool:
    return len(module) == 2 and isinstance(module[0], nn.Conv2d) and isinstance(module[1], nn.BatchNorm2d)
