"""RegionTalk: connects the regions of a photo with language.

    import regiontalk

    model = regiontalk.load()
    print(model.describe("photo.jpg").caption.text)

The names below are the public ones. They are imported when first used, so that `import regiontalk` costs a few
milliseconds and `regiontalk --help` does not wait for NumPy and ONNX Runtime.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from regiontalk.errors import (
        ConfigError,
        DataError,
        PackError,
        PhotoError,
        RegionTalkError,
        SentenceError,
        TrainingError,
    )
    from regiontalk.model import Model, load
    from regiontalk.structures import Alignment, Caption, Description, Phrase, Regions, Sentence

__version__ = "0.1.0"

__all__ = [
    "Alignment",
    "Caption",
    "ConfigError",
    "DataError",
    "Description",
    "Model",
    "PackError",
    "PhotoError",
    "Phrase",
    "RegionTalkError",
    "Regions",
    "Sentence",
    "SentenceError",
    "TrainingError",
    "__version__",
    "load",
]

_MODULE_OF = {
    **dict.fromkeys(("Model", "load"), "model"),
    **dict.fromkeys(("Alignment", "Caption", "Description", "Phrase", "Regions", "Sentence"), "structures"),
    **dict.fromkeys(
        (
            "ConfigError",
            "DataError",
            "PackError",
            "PhotoError",
            "RegionTalkError",
            "SentenceError",
            "TrainingError",
        ),
        "errors",
    ),
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'regiontalk' has no attribute {name!r}")
    value = getattr(import_module(f"regiontalk.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
