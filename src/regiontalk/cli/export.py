"""`regiontalk export`: a pack from finished training runs. Needs PyTorch."""

from __future__ import annotations

from pathlib import Path

from regiontalk.cli.console import ending, printable, warn_user
from regiontalk.cli.train import ConfigArgument, needs_torch


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
                "note: the pack lists no training photos, so evaluations cannot recognise them; "
                "name data and photos"
            )
        size = sum(file.stat().st_size for file in pack.folder.iterdir()) / 1e6
        report.result(
            f"{printable(str(pack.folder))}: pack {pack.settings.name}, {size:.1f} MB, "
            f"sha256 {pack.checksum}"
        )
