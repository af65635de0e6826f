"""Who may import whom (docs: CONTRIBUTING.md), read from the source.

And that the runtime starts without PyTorch.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import regiontalk

SOURCE = Path(regiontalk.__file__).parent

LAYERS = (
    ("structures", "errors", "settings", "files", "json_files", "recurrence"),
    ("photos", "language", "vision", "alignment", "captioning"),
    ("data", "fingerprints"),
    ("pack", "model"),
    ("cards", "drawing", "evaluation", "report", "search"),
    ("cli", "web"),
    ("training",),
)
"""A module may import its own layer and those before it."""

LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
BUILDING = ("torch", "onnx", "onnxscript", "tensorboard")
BEHIND = (*BUILDING, "pickle", "shelve", "marshal")

FILES = sorted(
    path
    for path in SOURCE.rglob("*.py")
    if path.parent != SOURCE or path.stem not in ("__init__", "__main__")
)


def part(file: Path) -> str:
    """The module or package right inside regiontalk that a file belongs to."""
    return file.relative_to(SOURCE).with_suffix("").parts[0]


def imported(file: Path) -> Iterator[str]:
    """Every module that a file imports anywhere, also in functions and for type checking."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: relative import"
            if node.module == "regiontalk":
                yield from (
                    f"regiontalk.{name.name}" for name in node.names if name.name != "__version__"
                )
            else:
                yield node.module or ""


def test_there_is_something_to_check() -> None:
    assert {"structures", "photos", "model", "training"} <= {part(file) for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_imports_run_one_way(file: Path) -> None:
    own = part(file)
    assert own in LAYER, f"{own} is new: say in LAYERS where it belongs"
    for module in imported(file):
        if module.startswith("regiontalk."):
            other = module.split(".")[1]
            if other == "training" and own == "cli":
                continue  # see test_only_commands_that_build_import_training
            assert LAYER[other] <= LAYER[own], f"{file.name} imports {module}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_only_training_imports_what_it_builds_with(file: Path) -> None:
    forbidden = BEHIND if part(file) != "training" else ("pickle", "shelve", "marshal")
    assert not [module for module in imported(file) if module.split(".")[0] in forbidden]


def test_only_commands_that_build_import_training() -> None:
    """`regiontalk train`, `export` and `teach` must reach it.

    From inside their functions, and from nowhere else.
    """
    for file in FILES:
        if part(file) == "training":
            continue
        users = [module for module in imported(file) if module.startswith("regiontalk.training")]
        assert not users or file.relative_to(SOURCE).as_posix() in (
            "cli/train.py",
            "cli/export.py",
            "cli/teach.py",
        )
        top = [
            node
            for node in ast.parse(file.read_text(encoding="utf-8")).body
            if isinstance(node, ast.ImportFrom)
        ]
        assert not [node for node in top if (node.module or "").startswith("regiontalk.training")]


def test_results_know_nothing_of_what_draws_them() -> None:
    """Notebooks ask a result itself for HTML.

    The public names bring what makes it, and it is imported only then.
    """
    assert not [
        module for module in imported(SOURCE / "structures.py") if module.startswith("regiontalk")
    ]
    assert "PIL" not in modules_after("import regiontalk.structures")
    modules_after(
        "import sys, regiontalk; regiontalk.load; from regiontalk.structures import Displayed\n"
        "assert Displayed.html_of and 'regiontalk.report' not in sys.modules and 'PIL.ImageDraw' "
        "not in sys.modules"
    )


def modules_after(code: str) -> set[str]:
    """The top-level modules that a fresh Python holds after running some code."""
    show = "import sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_import_is_light() -> None:
    held = modules_after("import regiontalk; assert 'Model' in dir(regiontalk)")
    assert not held & {"torch", "onnxruntime", "numpy", "PIL", "typer", "rich", "onnx"}


def test_the_runtime_never_imports_torch() -> None:
    code = (
        "import regiontalk, regiontalk.drawing, regiontalk.evaluation, regiontalk.data, "
        "regiontalk.cli; regiontalk.load"
    )
    held = modules_after(code)
    assert {"regiontalk", "numpy"} <= held
    assert not held & set(BUILDING)


@pytest.mark.parametrize("name", regiontalk.__all__)
def test_public_names_are_there(name: str) -> None:
    assert getattr(regiontalk, name) is not None
    assert name in dir(regiontalk)


def test_unknown_names_are_refused_as_usual() -> None:
    with pytest.raises(AttributeError, match="'regiontalk' has no attribute 'describe_all'"):
        regiontalk.describe_all  # noqa: B018
