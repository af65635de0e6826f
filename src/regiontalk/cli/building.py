"""`regiontalk train` and `regiontalk export`: the half of RegionTalk that needs PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from regiontalk.cli.console import Report, ending, printable, warn_user
from regiontalk.errors import ConfigError

ConfigArgument = Annotated[str, typer.Argument(metavar="CONFIG", help="A TOML file with the settings of the run.")]

_NEEDED = ("torch", "onnx", "onnxscript")
_GOES_ON = "interrupted; the same command goes on from the last checkpoint"

train_app = typer.Typer(
    no_args_is_help=True,
    help="""Train the networks. Needs the extra 'train'.

The vision network comes first, then the alignment and the captioners. A run that was stopped goes on where it was
when the same command is given again.

Example:

\b
  regiontalk train vision recipes/default/vision.toml
""",
)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(train_app, name="train")
    app.command()(export)


@train_app.command()
def vision(config: ConfigArgument) -> None:
    """Train the vision network.

    Example:

    \b
      regiontalk train vision recipes/default/vision.toml
    """
    with ending(_GOES_ON) as report:
        with needs_torch():
            from regiontalk.training.config import read_config
            from regiontalk.training.train_vision import VisionConfig, train_vision
        _finished(train_vision(read_config(Path(config), VisionConfig)), report)


@train_app.command()
def alignment(config: ConfigArgument) -> None:
    """Train the alignment of regions and words.

    Example:

    \b
      regiontalk train alignment recipes/default/alignment.toml
    """
    with ending(_GOES_ON) as report:
        with needs_torch():
            from regiontalk.training.config import read_config
            from regiontalk.training.train_alignment import AlignmentConfig, train_alignment
        _finished(train_alignment(read_config(Path(config), AlignmentConfig)), report)


@train_app.command()
def captioner(config: ConfigArgument) -> None:
    """Train a captioner: of whole photos, or of regions.

    Example:

    \b
      regiontalk train captioner recipes/default/photo_captioner.toml
    """
    with ending(_GOES_ON) as report:
        with needs_torch():
            from regiontalk.training.config import read_config
            from regiontalk.training.train_captioner import CaptionerConfig, train_captioner
        _finished(train_captioner(read_config(Path(config), CaptionerConfig)), report)


def export(config: ConfigArgument) -> None:
    """Make a pack of finished runs. Needs the extra 'train'.

    Example:

    \b
      regiontalk export recipes/default/export.toml
    """
    with ending() as report:
        with needs_torch():
            from regiontalk.training.config import read_config
            from regiontalk.training.export import ExportConfig, export_pack
        pack = export_pack(read_config(Path(config), ExportConfig))
        if pack.training_photos is None:
            warn_user(
                "note: the pack lists no training photos, so evaluations cannot recognise them; name data and photos"
            )
        size = sum(file.stat().st_size for file in pack.folder.iterdir()) / 1e6
        report.result(
            f"{printable(str(pack.folder))}: pack {pack.settings.name}, {size:.1f} MB, sha256 {pack.checksum}"
        )


@contextmanager
def needs_torch() -> Iterator[None]:
    """Around the imports of what needs PyTorch.

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


def _finished(weights: Path, report: Report) -> None:
    if weights.exists():
        report.result(printable(str(weights)))
    else:
        report.result(f"{printable(str(weights))}: not finished; the same command goes on")
