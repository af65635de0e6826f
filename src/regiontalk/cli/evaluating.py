"""`regiontalk evaluate`: measure a pack, or another system's output, on captioned photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regiontalk.cli.console import ending
from regiontalk.cli.evaluating_shared import (
    BootstrapOption,
    JsonOption,
    SeedOption,
    SplitOption,
    reporting_of,
    warn,
)
from regiontalk.cli.options import BeamOption, MaxPixelsOption, PackOption, ThreadsOption, refuse
from regiontalk.errors import ConfigError, DataError

if TYPE_CHECKING:
    from regiontalk.data import Dataset
    from regiontalk.evaluation.results import Progress, Reporting
    from regiontalk.model import Model

FolderArgument = Annotated[
    str,
    typer.Argument(metavar="FOLDER", help="Captioned photos, laid out as Flickr8k's; see docs/data_formats.md."),
]
OptionalSplitOption = Annotated[
    str | None, typer.Option("--split", help="The part of the data to measure on; test, with a folder.")
]
OptionalFolderArgument = Annotated[
    str | None,
    typer.Argument(metavar="[FOLDER]", help="Captioned photos; none with --scores or embeddings.", show_default=False),
]
FoldsOption = Annotated[
    int,
    typer.Option(
        "--folds", min=1, max=100_000, metavar="N", help="Average over N equal parts of the photos, in order."
    ),
]
ScoresOption = Annotated[
    str | None, typer.Option("--scores", metavar="FILE", help="Another system's scores: (photos, sentences).")
]
PhotoEmbeddingsOption = Annotated[
    str | None, typer.Option("--photo-embeddings", metavar="FILE", help="Its photo vectors: (photos, dimensions).")
]
SentenceEmbeddingsOption = Annotated[
    str | None,
    typer.Option("--sentence-embeddings", metavar="FILE", help="Its sentence vectors: (sentences, dimensions)."),
]
SimilarityOption = Annotated[
    str | None, typer.Option("--similarity", metavar="dot|cosine", help="How its embeddings are compared.")
]
OwnersOption = Annotated[
    str | None,
    typer.Option("--owners", metavar="FILE", help="The photo of each sentence, from 0; else equal groups in order."),
]
BaselineOption = Annotated[
    str | None,
    typer.Option("--baseline", metavar="nearest", help="Instead take the caption of the most similar training photo."),
]
TrainSplitOption = Annotated[
    str | None, typer.Option("--train-split", help="Where --baseline takes captions from; train.")
]

evaluate_app = typer.Typer(
    no_args_is_help=True,
    help="""Measure a pack or another system, on captions and boxes.

Examples:

\b
  regiontalk evaluate retrieval flickr8k/ --split test --json
  regiontalk evaluate captions results.json captions_val2014.json --json
  regiontalk evaluate grounding voc/ --bootstrap 1000
""",
)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(evaluate_app, name="evaluate")


@evaluate_app.command()
def retrieval(
    folder: OptionalFolderArgument = None,
    split: OptionalSplitOption = None,
    as_json: JsonOption = False,
    pack: PackOption = None,
    folds: FoldsOption = 1,
    bootstrap: BootstrapOption = 0,
    seed: SeedOption = None,
    scores: ScoresOption = None,
    photo_embeddings: PhotoEmbeddingsOption = None,
    sentence_embeddings: SentenceEmbeddingsOption = None,
    similarity: SimilarityOption = None,
    owners: OwnersOption = None,
    threads: ThreadsOption = None,
    max_pixels: MaxPixelsOption = None,
) -> None:
    """Photos find their sentences and sentences their photo.

    Prints recall at 1, 5 and 10 in percent, median and mean rank of the closest ground truth, and the recalls' sum.
    Another system's scores or embeddings are .npy, .npz or .safetensors files.

    Examples:

    \b
      regiontalk evaluate retrieval flickr8k/ --split test --json
      regiontalk evaluate retrieval dataset_coco.json --folds 5 --bootstrap 1000
      regiontalk evaluate retrieval --scores scores.npy --owners owners.npy
      regiontalk evaluate retrieval --photo-embeddings p.npy --sentence-embeddings s.npy --similarity cosine
    """
    with ending() as report:
        from regiontalk.cli.text import retrieval_text

        files = {
            "--scores": scores,
            "--photo-embeddings": photo_embeddings,
            "--sentence-embeddings": sentence_embeddings,
            "--similarity": similarity,
            "--owners": owners,
        }
        given = {flag: value for flag, value in files.items() if value is not None}
        reporting = reporting_of(bootstrap, seed, folds)
        if folder is None:
            of_photos = {"--split": split, "--pack": pack, "--threads": threads, "--max-pixels": max_pixels}
            refuse(of_photos, "without a folder of captioned photos")
            result = _saved_retrieval(given, reporting, report.bar)
        elif given:
            raise ConfigError(f"{', '.join(given)} and a folder: give one or the other; a pack is measured on a folder")
        else:
            from regiontalk.evaluation.retrieval.run import evaluate_retrieval

            model, dataset = _prepare(folder, "test" if split is None else split, (pack, threads, max_pixels))
            result = evaluate_retrieval(model, dataset, reporting, report.bar)
        warn(result["signature"])
        report.json(result) if as_json else report.result(retrieval_text(result))


@evaluate_app.command()
def describe(
    folder: FolderArgument,
    split: SplitOption = "test",
    as_json: JsonOption = False,
    pack: PackOption = None,
    beam: BeamOption = None,
    bootstrap: BootstrapOption = 0,
    seed: SeedOption = None,
    baseline: BaselineOption = None,
    train_split: TrainSplitOption = None,
    threads: ThreadsOption = None,
    max_pixels: MaxPixelsOption = None,
) -> None:
    """Captions against what people wrote: BLEU, ROUGE-L, CIDEr.

    Examples:

    \b
      regiontalk evaluate describe flickr8k/ --split test --json
      regiontalk evaluate describe flickr8k/ --split test --baseline nearest --train-split train
    """
    with ending() as report:
        from regiontalk.cli.text import captions_text
        from regiontalk.evaluation.captions.run import evaluate_captions, evaluate_nearest

        if baseline not in (None, "nearest"):
            raise ConfigError(f"--baseline {baseline}: there is only one, nearest")
        if baseline and beam is not None:
            raise ConfigError("--beam and --baseline: a baseline searches for no captions; leave one out")
        if not baseline:
            refuse({"--train-split": train_split}, "without --baseline")
        reporting = reporting_of(bootstrap, seed)
        model, dataset = _prepare(folder, split, (pack, threads, max_pixels))
        if baseline:
            training = _read_dataset(folder, "train" if train_split is None else train_split)
            result = evaluate_nearest(model, dataset, training, reporting, report.bar)
        else:
            result = evaluate_captions(model, dataset, beam, reporting, report.bar)
        warn(result["signature"])
        report.json(result) if as_json else report.result(captions_text(result))


def _saved_retrieval(given: dict[str, str], reporting: Reporting, progress: Progress) -> dict[str, Any]:
    """Retrieval by another system's files, from the flags that were given."""
    from regiontalk.evaluation.retrieval.saved import SIMILARITIES, evaluate_embeddings, evaluate_scores

    owners = Path(given["--owners"]) if "--owners" in given else None
    kinds = set(given) - {"--owners"}
    if kinds == {"--scores"}:
        return evaluate_scores(Path(given["--scores"]), owners, reporting, progress)
    if kinds != {"--photo-embeddings", "--sentence-embeddings", "--similarity"}:
        raise ConfigError(
            "give a folder of captioned photos, or --scores FILE, or all of --photo-embeddings FILE, "
            f"--sentence-embeddings FILE and --similarity dot|cosine; found {', '.join(given) or 'none of them'}"
        )
    for similarity in SIMILARITIES:
        if given["--similarity"] == similarity:
            files = Path(given["--photo-embeddings"]), Path(given["--sentence-embeddings"])
            return evaluate_embeddings(*files, similarity, owners, reporting, progress)
    raise ConfigError(f"--similarity {given['--similarity']}: expected one of {', '.join(SIMILARITIES)}")


def _prepare(folder: str, split: str, how: tuple[str | None, int | None, int | None]) -> tuple[Model, Dataset]:
    """The model, of what `load` takes, and the data."""
    from regiontalk.model import load

    dataset = _read_dataset(folder, split)
    return load(*how), dataset


def _read_dataset(folder: str, split: str) -> Dataset:
    from regiontalk.data import read_dataset

    if not folder:
        raise DataError("an empty folder name; name a folder of captioned photos")
    return read_dataset(folder, split)
