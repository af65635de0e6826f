"""The fixtures of `small_world`, where there is PyTorch to make them.

Without it these tests are skipped, by name.
"""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("torch") is not None:
    from .small_world import alignment_config, alignment_run, box_labels, shapes_folder, vision_run

    __all__ = ["alignment_config", "alignment_run", "box_labels", "shapes_folder", "vision_run"]
