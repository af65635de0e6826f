"""What `regiontalk index add` and `remove` say: the work is done by `regiontalk.search.adding`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from regiontalk.cli.console import Report, printable, warn_user

if TYPE_CHECKING:
    from regiontalk.search.adding import Added, Hooks


def hooks_of(report: Report) -> Hooks:
    """A command's report as what is called while photos are added."""
    from regiontalk.search.adding import Hooks

    def lost(path: str) -> None:
        warn_user(f"{printable(path)}: what the index held for this file is dropped, for it is another file now")

    return Hooks(lambda files: report.bar.expect(files, "photos"), report.bar.advance, report.failure, lost)


def say_other_names(captions: str | None, names: Sequence[str], report: Report) -> None:
    """Which names in a file of captions are none of the photos: a mistyped one would be missed in silence."""
    if names:
        count = "1 name is" if len(names) == 1 else f"{len(names)} names are"
        report.note(f"{captions}: {count} none of these photos, such as {names[0]!r}")


def say_what_is_gone(done: Added, prune: bool) -> None:
    """Which photos of the index are gone and still in it, and what to do about them."""
    if done.out_of_reach:
        warn_user(
            f"{_gone(done.out_of_reach)}: nothing is dropped where a folder is missing, empty or unreadable, or no "
            "photo was found, for a disk may not be connected; if they are not to come back, name them to index remove"
        )
    if done.gone and not prune:
        warn_user(f"{_gone(done.gone)}: drop them with --prune")


def _gone(paths: Sequence[str]) -> str:
    return f"{len(paths)} photos of the index are gone, such as {printable(paths[0])}"


def tally_text(counts: dict[str, Any]) -> str:
    """What was done to an index, from its name, its number of photos and a `Tally`."""
    done = [f"{count} {kind}" for kind, count in counts.items() if kind not in ("index", "photos") and count]
    return f"{printable(counts['index'])}: {', '.join(done) or 'nothing to do'}; {counts['photos']} photos in all"
