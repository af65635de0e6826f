"""The vision network: a photo becomes a feature map and a few hundred box proposals, in one pass.

Axis names: B photos, S pixels a side, D feature dimensions, C = side * side cells of the map (rows first).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from regiontalk.training.backbones import Backbone
from regiontalk.training.proposals import ProposalHead


class VisionNet(nn.Module):
    """Backbone and proposals: what `vision.onnx` holds."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.proposals = ProposalHead(backbone.dim)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Look at photos.

        Args:
            pixels: (B, S, S, 3) uint8, RGB.

        Returns:
            map (B, C, D), boxes (B, C, 4) xyxy clipped to 0..1 of the photo, objectness (B, C) in 0..1.
        """
        feature_map = self.backbone(float_pixels(pixels))
        boxes, logits = self.proposals(feature_map)
        return feature_map.float().flatten(2).transpose(1, 2), boxes.clamp(0, 1), logits.sigmoid()


def float_pixels(pixels: Tensor) -> Tensor:
    """uint8 (B, S, S, 3) → float32 (B, 3, S, S) in 0..255, channels last in memory."""
    return pixels.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
