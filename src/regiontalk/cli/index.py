"""`regiontalk index`: create, update and verify an index of photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regiontalk.cli.console import Report, ending, printable, warn_user
from regiontalk.cli.options import (
    ExcludeOption,
    JsonOption,
    ModelOptions,
    PackOption,
    PhotosArgument,
    ThreadsOption,
    grouped,
)
from regiontalk.cli.photos import PhotoChoice, search_inputs
from regiontalk.errors import DataError

if TYPE_CHECKING:
    from regiontalk.model import Model
    from regiontalk.search.adding import Added, Hooks
    from regiontalk.search.index import Index

GOES_ON = "interrupted; what was committed stays, and the same command goes on from there"

IndexOption = Annotated[str, typer.Option("--index", metavar="DIR", help="The index's folder.")]
StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="float32|float16|int8",
        help="How a new index stores vectors: float32 by default; "
        "float16 takes half the space, int8 a quarter.",
    ),
]
CaptionsOption = Annotated[
    str | None,
    typer.Option(
        "--captions",
        metavar="FILE_OR_FOLDER",
        help="Texts to store with these photos, and to find them by: "
        "a table, JSON, a folder of texts or of sidecars.",
    ),
]

DEFAULT_COLLECTION = "regiontalk"
CollectionOption = Annotated[
    str, typer.Option("--collection", metavar="NAME", help="The Qdrant collection.")
]

index_app = typer.Typer(
    no_args_is_help=True,
    help="""Make an index of photos to search in, and keep it up to date.

Example:

\b
  regiontalk index add photos/ --index photos.index
""",
)


@index_app.command()
@grouped
def add(
    photos: PhotosArgument,
    index: IndexOption,
    *,
    prune: Annotated[
        bool, typer.Option("--prune", help="Drop photos of the named folders whose files are gone.")
    ] = False,
    storage: StorageOption = None,
    captions: CaptionsOption = None,
    as_json: JsonOption = False,
    exclude: ExcludeOption = None,
    options: ModelOptions,
) -> None:
    """Add new and changed photos.

    Only they are looked at; moved ones are recognised by their content. Stopped at any moment, even
    killed, the same command goes on where it was. The exit status is 1 if photos failed; they are
    named, and the others are added.

    --captions gives photos texts of your own, such as those of describe --csv, --alt-text and
    --sidecar; also photos that are in the index already. A search finds a photo by words of its
    text too, by names above all.

    Examples:

    \b
      regiontalk index add photos/ --index photos.index
      regiontalk index add photos/ --index photos.index --captions alt.csv
      regiontalk index add photos/ --index photos.index --prune
    """
    with ending(GOES_ON) as report:
        from regiontalk.search.adding import add_photos
        from regiontalk.search.captions import PhotoTexts, read_texts
        from regiontalk.search.storage import require_storage

        require_storage(storage, "--storage")
        found = dict(zip(photos, search_inputs(photos, report, PhotoChoice(exclude)), strict=True))
        inputs = sum(len(inside.photos) for inside in found.values()) + report.failures
        given = PhotoTexts({}, ()) if captions is None else read_texts(captions, found)
        _say_other_names(captions, given.others)
        model, hooks = options.load(), hooks_of(report)
        done = add_photos(
            index, model, found, hooks, prune=prune, storage=storage, texts=given.texts
        )
        _say_what_is_gone(done, prune)
        report.summary(inputs, "photos")
        counts = {"index": index, "photos": done.photos, **done.tally.to_json()}
        report.json(counts) if as_json else report.result(tally_text(counts))


@index_app.command()
def info(index: IndexOption, as_json: JsonOption = False) -> None:
    """Show what an index holds.

    Example:

    \b
      regiontalk index info --index photos.index
    """
    with ending() as report:
        from regiontalk.search.index import Index

        found = _info(index, Index.open(index))
        report.json(found) if as_json else report.result(_info_text(found))


@index_app.command()
def verify(
    index: IndexOption,
    sentences: Annotated[
        str | None,
        typer.Option(
            "--sentences",
            metavar="FILE",
            help="Measure recall with the lines of this file, not our own 50.",
        ),
    ] = None,
    k: Annotated[
        int, typer.Option("-k", min=1, max=1000, metavar="N", help="Measure recall@N.")
    ] = 10,
    as_json: JsonOption = False,
    pack: PackOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Read all of an index, compare it with its checksums, and measure what --candidates would
    miss.

    Recall@N is the share of the N best photos that search --candidates finds too, mean over the
    sentences.

    Example:

    \b
      regiontalk index verify --index photos.index
    """
    with ending() as report:
        from regiontalk.model import load
        from regiontalk.search.index import Index
        from regiontalk.search.manifest import PackIdentity

        Index.open(index).verify()
        model = load(pack, threads)
        opened = Index.open(index, PackIdentity.of(model.pack))
        found = {
            "index": index,
            "sound": True,
            "photos": opened.photos,
            **_recall(opened, model, sentences, k, report),
        }
        report.json(found) if as_json else report.result(_verify_text(found))


@index_app.command()
def remove(
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO_OR_FOLDER", help="Photos, and folders with all photos below them."
        ),
    ],
    index: IndexOption,
    as_json: JsonOption = False,
) -> None:
    """Take photos out of an index. Their files stay, and need not be there.

    Example:

    \b
      regiontalk index remove photos/2019/ --index photos.index
    """
    with ending(GOES_ON) as report:
        from regiontalk.search.adding import UNKNOWN_PHOTO, remove_photos

        dropped, total = remove_photos(
            index, photos, lambda name: report.failure(name or "''", UNKNOWN_PHOTO)
        )
        counts = {"index": index, "photos": total, "dropped": dropped}
        report.json(counts) if as_json else report.result(tally_text(counts))


@index_app.command()
def push(
    index: IndexOption,
    qdrant: Annotated[
        str,
        typer.Option(
            "--qdrant", metavar="URL", help="A Qdrant server, or a folder for its embedded mode."
        ),
    ],
    collection: CollectionOption = DEFAULT_COLLECTION,
    as_json: JsonOption = False,
) -> None:
    """Bring a Qdrant collection up to date with an index.

    Needs the extra 'qdrant'. Stopped at any moment, the same command goes on.

    Example:

    \b
      regiontalk index push --index photos.index --qdrant http://localhost:6333
    """
    with ending(GOES_ON) as report:
        from regiontalk.search.index import Index
        from regiontalk.search.qdrant_collection import connected
        from regiontalk.search.qdrant_collection import push as push_to

        opened = Index.open(index)
        report.bar.expect(opened.photos, "photos")
        with connected(qdrant) as client:
            sent, deleted = push_to(opened, client, collection, report.bar.advance)
        counts = {
            "qdrant": qdrant,
            "collection": collection,
            "photos": opened.photos,
            "sent": sent,
            "deleted": deleted,
        }
        text = (
            f"{printable(collection)}: {sent} sent, {deleted} deleted; "
            f"{opened.photos} photos in all"
        )
        report.json(counts) if as_json else report.result(text)


def hooks_of(report: Report) -> Hooks:
    """Callbacks of `add_photos` that write to a command's report."""
    from regiontalk.search.adding import Hooks

    def lost(path: str) -> None:
        warn_user(
            f"{printable(path)}: what the index held for this file is dropped, "
            "for it is another file now"
        )

    return Hooks(
        lambda files: report.bar.expect(files, "photos"), report.bar.advance, report.failure, lost
    )


def _say_other_names(captions: str | None, names: Sequence[str]) -> None:
    """Warn of names in a file of captions that match no photo: typos would go unnoticed."""
    if names:
        count = "1 name is" if len(names) == 1 else f"{len(names)} names are"
        warn_user(
            f"{printable(str(captions))}: {count} none of these photos, "
            f"such as {printable(names[0])!r}"
        )


def _say_what_is_gone(done: Added, prune: bool) -> None:
    """Warn of indexed photos whose files are gone, with advice."""
    if done.out_of_reach:
        warn_user(
            f"{_gone(done.out_of_reach)}: nothing is dropped where a folder is missing, empty or "
            "unreadable, or no photo was found, for a disk may not be connected; if they are not "
            "to come back, name them to index remove"
        )
    if done.gone and not prune:
        warn_user(f"{_gone(done.gone)}: drop them with --prune")


def _gone(paths: Sequence[str]) -> str:
    return f"{len(paths)} photos of the index are gone, such as {printable(paths[0])}"


def tally_text(counts: dict[str, Any]) -> str:
    """Summary of an update, from the index's name, its number of photos and a `Tally`."""
    done = [
        f"{count} {kind}"
        for kind, count in counts.items()
        if kind not in ("index", "photos") and count
    ]
    return (
        f"{printable(counts['index'])}: {', '.join(done) or 'nothing to do'}; "
        f"{counts['photos']} photos in all"
    )


def read_sentences(file: str, report: Report) -> list[tuple[int, str]]:
    """The lines of a file, each with its number from 1.

    Blank ones are skipped, those without a word reported.

    Raises:
        DataError: if the file cannot be read or holds no sentence.
    """
    from regiontalk.files import read_text
    from regiontalk.language.tokenise import tokenise

    lines = []
    for number, line in enumerate(read_text(Path(file)).split("\n"), start=1):
        if tokenise(line):
            lines.append((number, line.strip()))
        elif line.strip():
            report.failure(f"{file}, line {number}", "has no word")
    if not lines:
        raise DataError(f"{printable(file)}: expected a sentence on each line, found none")
    return lines


def _recall(index: Index, model: Model, file: str | None, k: int, report: Report) -> dict[str, Any]:
    """Recall@k of the search by candidates, for `index verify`, as JSON."""
    from regiontalk.language.vocabulary import Vocabulary
    from regiontalk.search.recall import PROBES, measure_recall

    texts = PROBES if file is None else [text for _, text in read_sentences(file, report)]
    queries = [each.vectors for each in model.read(texts) if (each.ids != Vocabulary.UNKNOWN).any()]
    report.bar.expect(len(queries), "sentences")
    measured = (
        measure_recall(index, queries, k, done=report.bar.advance)
        if queries and index.photos > k
        else []
    )
    return {"k": k, "sentences": len(queries), "recall": [asdict(each) for each in measured]}


def _verify_text(found: dict[str, Any]) -> str:
    lines = [f"{printable(found['index'])}: sound, {found['photos']} photos"]
    if found["recall"]:
        lines.append(f"recall@{found['k']} over {found['sentences']} sentences:")
        lines += [
            f"  --candidates {each['candidates']:>6}  {each['recall']:.3f}  (worst "
            f"{each['worst']:.2f})"
            for each in found["recall"]
        ]
    else:
        lines.append("too few photos or sentences for --candidates to miss any")
    return "\n".join(lines)


def _info(folder: str, index: Index) -> dict[str, Any]:
    manifest = index.manifest
    regions = sum(each.regions for each in manifest.segments)
    return {
        "index": folder,
        "photos": index.photos,
        "regions": regions,
        "texts": len(index.texts),
        "segments": len(manifest.segments),
        "dropped": len(index) - index.photos,
        "storage": manifest.storage,
        "dimensions": manifest.pack.dim,
        "bytes": sum(manifest.sizes(each).file_bytes() for each in manifest.segments),
        "pack": manifest.pack.name,
        "pack_checksum": manifest.pack.checksum,
    }


def _info_text(found: dict[str, Any]) -> str:
    shown = {**found, "index": printable(found["index"]), "bytes": f"{found['bytes']:,}"}
    return "\n".join(f"{name.replace('_', ' '):>13}: {value}" for name, value in shown.items())
