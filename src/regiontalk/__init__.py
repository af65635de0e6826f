"""RegionTalk: connects the regions of a photo with language.

    import regiontalk

    model = regiontalk.load()
    print(model.describe("photo.jpg").caption.text)

    index = regiontalk.open_index("photos.index", model)
    index.add("photos/")
    print(index.search("a dog on the beach", k=10))

The names below are the public API. They are imported lazily (PEP 562), on first use, so that
`import regiontalk` takes a few milliseconds and `regiontalk --help` loads neither NumPy nor ONNX
Runtime.
"""

from __future__ import annotations

import sys
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
    from regiontalk.search.filters import Where
    from regiontalk.search.finder import FoundBox, FoundPhoto
    from regiontalk.search.photo_index import IndexChanges, PhotoIndex, open_index
    from regiontalk.structures import Alignment, Caption, Description, Phrase, Regions, Sentence

__version__ = "0.1.0"

__all__ = [
    "Alignment",
    "Caption",
    "ConfigError",
    "DataError",
    "Description",
    "FoundBox",
    "FoundPhoto",
    "IndexChanges",
    "Model",
    "PackError",
    "PhotoError",
    "PhotoIndex",
    "Phrase",
    "RegionTalkError",
    "Regions",
    "Sentence",
    "SentenceError",
    "TrainingError",
    "Where",
    "__version__",
    "load",
    "open_index",
]

_MODULE_OF = {
    **dict.fromkeys(("Model", "load"), "model"),
    "Where": "search.filters",
    **dict.fromkeys(("FoundBox", "FoundPhoto"), "search.finder"),
    **dict.fromkeys(("IndexChanges", "PhotoIndex", "open_index"), "search.photo_index"),
    **dict.fromkeys(
        ("Alignment", "Caption", "Description", "Phrase", "Regions", "Sentence"), "structures"
    ),
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
    if "regiontalk.structures" in sys.modules:
        sys.modules["regiontalk.structures"].Displayed.html_of = _html_of
    globals()[name] = value
    return value


def _html_of(result: Any) -> str:
    """HTML of a result for notebooks; the drawing module is imported on first use."""
    html: str = import_module("regiontalk.report.figures").html_of(result)
    return html


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
