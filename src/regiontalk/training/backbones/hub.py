"""Backbones of `transformers`: any `AutoBackbone`, and the vision towers of CLIP and SigLIP.

DINOv2, DINOv3, ConvNeXt, Swin, ResNet, ... are backbones; SigLIP 2 of fixed sizes is among the
towers. Needs the extra `hub`. An existing folder is read without network access; any other name is
downloaded from the hub, as writing it into a config asks for that. Weights are read from
safetensors alone, and no remote code is run.

Axis names: B photos, S pixels a side, D feature dimensions, P patches.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from regiontalk.errors import TrainingError

TOWERS = {"clip": "CLIPVisionModel", "siglip": "SiglipVisionModel"}
"""Model types of image-text models, and the class of their vision tower."""
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of each channel, 0..1, for weights without a preprocessor's configuration."""
LICENCE = re.compile(r"^license:\s*(\S+)", re.MULTILINE)


class HubBackbone(nn.Module):
    """A network of `transformers` as a `regiontalk.training.backbones.Backbone`.

    Args:
        network: an `AutoBackbone`, or a vision tower.
        scaling: mean and deviation of each channel, 0..1, that its weights expect.
        origin: of the weights, for the pack: name or folder, revision, licence.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, network: Any, scaling: Sequence[Sequence[float]], origin: dict[str, Any]
    ) -> None:
        super().__init__()
        self.network = network
        self.is_tower = type(network).__name__ in TOWERS.values()
        for name, values in zip(("mean", "deviation"), scaling, strict=True):
            self.register_buffer(
                name, torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1), persistent=False
            )
        self.stride = 0
        self.dim, self.stride = self.measured()
        self.multiple_of = self.stride
        self.description = {
            "backbone": "transformers",
            "config": json.loads(network.config.to_json_string(use_diff=False)),
            "scaling": [list(each) for each in scaling],
            "origin": origin,
        }

    @property
    def pretrained(self) -> nn.Module:
        network: nn.Module = self.network
        return network

    @torch.no_grad()
    def measured(self) -> tuple[int, int]:
        """D and the stride, measured on a small blank photo."""
        patch = getattr(self.network.config, "patch_size", None)
        pixels = 4 * patch if isinstance(patch, int) and patch >= 8 else 64
        self.stride = patch if self.is_tower and isinstance(patch, int) else 0
        _, dim, side, _ = self.eval()(torch.zeros(1, 3, pixels, pixels)).shape
        return dim, pixels // side

    def forward(self, photos: Tensor) -> Tensor:
        """Photos (B, 3, S, S), 0..255 → (B, D, S / stride, S / stride)."""
        pixels = (photos / 255 - self.mean) / self.deviation
        if not self.is_tower:
            feature_map: Tensor = self.network(pixels).feature_maps[-1]
            return feature_map
        side = photos.shape[-1] // self.stride
        # tokens: (B, others + P, D)
        tokens = self.network(pixels, interpolate_pos_encoding=True).last_hidden_state
        patches = tokens[:, tokens.shape[1] - side * side :]  # CLIP's class token comes first
        return patches.transpose(1, 2).unflatten(2, (side, side))


def open_hub_backbone(name: str) -> HubBackbone:
    """A pretrained network, from a local folder or, where there is none of that name, from the hub.

    Raises:
        TrainingError: if `transformers` is not installed, there is no such network, or it has no
            feature map.
    """
    transformers = import_transformers()
    local = Path(name).is_dir()
    options = {"local_files_only": local}
    try:
        config = transformers.AutoConfig.from_pretrained(name, **options)
        network = network_class(transformers, config).from_pretrained(
            name, use_safetensors=True, **options
        )
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise TrainingError(
            f"transformers:{name}: cannot be opened ({first_line(error)}); give a folder with "
            "config.json and model.safetensors, or a name that the hub knows"
        ) from error
    origin = {
        "name": Path(name).name if local else name,
        "revision": revision(config),
        "licence": licence(name, local),
    }
    return HubBackbone(network, scaling(name, local), origin)


def hub_backbone(description: dict[str, Any]) -> HubBackbone:
    """The network of a finished run, with random weights.

    Raises:
        TrainingError: if the description is damaged, or of a network that this version of
            `transformers` lacks.
    """
    transformers = import_transformers()
    try:
        content = dict(description["config"])
        config = transformers.AutoConfig.for_model(content.pop("model_type"), **content)
        network = network_class(transformers, config)(config)
        return HubBackbone(network, description["scaling"], description.get("origin", {}))
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"the description of a transformers backbone is damaged ({first_line(error)})"
        ) from error


def network_class(transformers: Any, config: Any) -> Any:
    """The class of a configuration's network: a vision tower, or the choice of `AutoBackbone`.

    Raises:
        ValueError: if there is none.
    """
    from transformers.models.auto.modeling_auto import MODEL_FOR_BACKBONE_MAPPING

    kind = config.model_type.removesuffix("_vision_model")
    if kind in TOWERS:
        return getattr(transformers, TOWERS[kind])
    if type(config) not in MODEL_FOR_BACKBONE_MAPPING:
        raise ValueError(
            f"{config.model_type} is neither a backbone nor one of {', '.join(TOWERS)}"
        )
    return MODEL_FOR_BACKBONE_MAPPING[type(config)]


def import_transformers() -> Any:
    """The library, with its warnings and progress bars off.

    Raises:
        TrainingError: if it is not installed.
    """
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise TrainingError(
            f"backbones of transformers need {error.name}, which is not installed. Install it "
            "with: pip install 'regiontalk[train,hub]'"
        ) from None
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


def scaling(name: str, local: bool) -> Sequence[Sequence[float]]:
    """Mean and deviation of each channel that the weights expect."""
    content = text_of(name, "preprocessor_config.json", local)
    if content is None:
        return IMAGENET
    try:
        settings = json.loads(content)
        found = [[float(value) for value in settings[key]] for key in ("image_mean", "image_std")]
    except (ValueError, KeyError, TypeError):
        return IMAGENET
    return found if all(len(each) == 3 for each in found) and min(found[1]) > 0 else IMAGENET


def licence(name: str, local: bool) -> str:
    """The licence on the model's page, for the pack; "unknown" without one."""
    found = LICENCE.search(text_of(name, "README.md", local) or "")
    return found[1] if found else "unknown"


def revision(config: Any) -> str:
    return str(getattr(config, "_commit_hash", None) or "local")


def text_of(name: str, file: str, local: bool) -> str | None:
    """A small file beside the weights; None if there is none."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        path = Path(name, file) if local else Path(hf_hub_download(name, file))
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError, HfHubHTTPError):
        return None


def first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
