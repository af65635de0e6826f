"""Backbones by name: feature extractors, photos to feature maps, behind one interface.

| name | what | needs |
|---|---|---|
| `efficientnet-lite0`, `-lite1`, `-lite2` | a small, pretrained CNN | its weights' package |
| `transformers:NAME_OR_FOLDER` | an `AutoBackbone`, or CLIP's or SigLIP's tower | the extra `hub` |

**To add another**, write an `nn.Module` with the attributes and the `forward` of `Backbone`, and
open it in `open_backbone` and `build_backbone`.
"""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor, nn

from regiontalk.errors import TrainingError
from regiontalk.settings import LARGEST_PHOTO
from regiontalk.training.backbones.efficientnet_lite import (
    VARIANTS,
    EfficientNetLiteBackbone,
    pretrained_backbone,
)


class Backbone(Protocol):
    """An `nn.Module` that turns photos (B, 3, S, S) into a map (B, dim, S / stride, S / stride).

    The photos are float32 in 0..255.

    Attributes:
        dim: D, channels of the map.
        stride: pixels a cell.
        multiple_of: S must be a multiple of it.
        pretrained: the pretrained part; the rest begins with random weights.
        description: a JSON object that `build_backbone` makes the same network of, without its
            weights. Its "origin" is shown to a pack's users: name, licence, and sha256 or revision
            of the pretrained weights.
    """

    dim: int
    stride: int
    multiple_of: int
    description: dict[str, Any]

    @property
    def pretrained(self) -> nn.Module: ...

    def __call__(self, photos: Tensor) -> Tensor: ...


def open_backbone(name: str, dim: int) -> Backbone:
    """A pretrained backbone.

    Args:
        name: as in a config, see the module's docstring.
        dim: D, for backbones whose width is free to choose; others keep their own.

    Raises:
        TrainingError: if the name is not known, or its weights are missing or damaged.
    """
    if name in VARIANTS:
        return pretrained_backbone(name, dim)
    if name.startswith("transformers:"):
        from regiontalk.training.backbones.hub import open_hub_backbone

        return open_hub_backbone(name.removeprefix("transformers:"))
    raise TrainingError(
        f"backbone: expected {', '.join(VARIANTS)} or transformers:NAME_OR_FOLDER, found {name!r}; "
        "see recipes/hub_backbone for the latter"
    )


def build_backbone(description: dict[str, Any]) -> Backbone:
    """The network of a description, with random weights.

    Raises:
        TrainingError: if the description is of no known backbone.
    """
    name, dim = description.get("backbone"), description.get("dim")
    if name in VARIANTS and type(dim) is int and dim > 0:
        return EfficientNetLiteBackbone(name, dim)
    if name == "transformers":
        from regiontalk.training.backbones.hub import hub_backbone

        return hub_backbone(description)
    raise TrainingError(f"no known backbone has the description {str(description)[:200]}")


def require_whole_cells(setting: str, pixels: int, backbone: Backbone) -> None:
    """Check the photo size that a setting asks for.

    Raises:
        TrainingError: if its sides are not a multiple, above 0, of what the backbone takes, or too
            long for a pack.
    """
    if not 0 < pixels <= LARGEST_PHOTO or pixels % backbone.multiple_of:
        raise TrainingError(
            f"{setting}: this backbone takes multiples of {backbone.multiple_of} pixels up to "
            f"{LARGEST_PHOTO}, found {pixels}"
        )
