"""`regiontalk train`: training of each network from a config file. Needs PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from regiontalk.cli.console import Report, ending, printable
from regiontalk.errors import ConfigError

Config = TypeVar("Config")

ConfigArgument = Annotated[
    str, typer.Argument(metavar="CONFIG", help="A TOML file with the settings of the run.")
]

_NEEDED = ("torch", "onnx", "onnxscript")
_GOES_ON = "interrupted; the same command goes on from the last checkpoint"

train_app = typer.Typer(
    no_args_is_help=True,
    help="""Train the networks. Needs the extra 'train'.

The vision network comes first, then the alignment and the captioners. A run that was stopped goes \
on where it was
when the same command is given again.

Example:

\b
  regiontalk train vision recipes/default/vision.toml
""",
)


@train_app.command()
def vision(config: ConfigArgument) -> None:
    """Train the vision network.

    Example:

    \b
      regiontalk train vision recipes/default/vision.toml
    """
    with ending(_GOES_ON) as report:
        with needs_torch():
            from regiontalk.training.train_vision import VisionConfig, train_vision
        _train(train_vision, config, VisionConfig, report)


@train_app.command()
def alignment(config: ConfigArgument) -> None:
    """Train the alignment of regions and words.

    Example:

    \b
      regiontalk train alignment recipes/default/alignment.toml
    """
    with ending(_GOES_ON) as report:
        with needs_torch():
            from regiontalk.training.alignment_config import AlignmentConfig
            from regiontalk.training.train_alignment import train_alignment
        _train(train_alignment, config, AlignmentConfig, report)


@train_app.command()
def captioner(config: ConfigArgument) -> None:
    """Train a captioner: of whole photos, or of regions.

    Example:

    \b
      regiontalk train captioner recipes/default/photo_captioner.toml
    """
    with ending(_GOES_ON) as report:
        with needs_torch():
            from regiontalk.training.captioner_config import CaptionerConfig
            from regiontalk.training.train_captioner import train_captioner
        _train(train_captioner, config, CaptionerConfig, report)


@contextmanager
def needs_torch() -> Iterator[None]:
    """Context manager of imports that need PyTorch.

    Raises:
        ConfigError: if it is not installed; it says how to install it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in _NEEDED:
            raise
        raise ConfigError(
            f"training and export need {error.name}, which is not installed. Install it with: "
            "pip install 'regiontalk[train]'"
        ) from None


def _train(train: Callable[[Config], Path], file: str, kind: type[Config], report: Report) -> None:
    """Run a training with a file's settings; print its weights' path, or that it is unfinished."""
    from regiontalk.training.config import read_config

    weights = train(read_config(Path(file), kind))
    shown = printable(str(weights))
    report.result(shown if weights.exists() else f"{shown}: not finished; the same command goes on")
