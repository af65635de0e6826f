"""`regiontalk evaluate retrieval`, and options and helpers that all evaluations share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

import typer

from regiontalk.cli.console import Report, ending, printable, warn_user
from regiontalk.cli.options import ModelOptions, flags, refuse
from regiontalk.cli.outputs import identities, require_writable
from regiontalk.errors import ConfigError, DataError

if TYPE_CHECKING:
    from regiontalk.data import Dataset
    from regiontalk.evaluation.results import Progress, Reporting
    from regiontalk.evaluation.retrieval.metric import RetrievalResult

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object: the numbers and how they came about.")
]
PerCaptionOption = Annotated[
    str | None,
    typer.Option(
        "--per-caption", metavar="FILE.jsonl", help="Also write the scores of each caption."
    ),
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


@dataclass(frozen=True)
class Sampling:
    """Options of bootstrap confidence intervals."""

    bootstrap: Annotated[
        int,
        typer.Option(
            "--bootstrap",
            min=0,
            max=1_000_000,
            metavar="N",
            help="95 % intervals from N samples of the photos.",
        ),
    ] = 0
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, metavar="N", help="Of --bootstrap's samples; 0.")
    ] = None

    def reporting(self, folds: int = 1) -> Reporting:
        """Settings of folds and bootstrap.

        Raises:
            ConfigError: if there is a seed without a bootstrap.
        """
        from regiontalk.evaluation.results import Reporting

        if not self.bootstrap:
            refuse({"--seed": self.seed}, "without --bootstrap")
        return Reporting(folds, self.bootstrap, self.seed or 0)


@dataclass(frozen=True)
class SavedScores:
    """Options: files of another system's scores, or of embeddings to compute them from."""

    scores: Annotated[
        str | None,
        typer.Option(
            "--scores", metavar="FILE", help="Another system's scores: (photos, sentences)."
        ),
    ] = None
    photo_embeddings: Annotated[
        str | None,
        typer.Option(
            "--photo-embeddings", metavar="FILE", help="Its photo vectors: (photos, dimensions)."
        ),
    ] = None
    sentence_embeddings: Annotated[
        str | None,
        typer.Option(
            "--sentence-embeddings",
            metavar="FILE",
            help="Its sentence vectors: (sentences, dimensions).",
        ),
    ] = None
    similarity: Annotated[
        str | None,
        typer.Option("--similarity", metavar="dot|cosine", help="How its embeddings are compared."),
    ] = None
    owners: Annotated[
        str | None,
        typer.Option(
            "--owners",
            metavar="FILE",
            help="The photo of each sentence, from 0; else equal groups in order.",
        ),
    ] = None


FoldsOption = Annotated[
    int,
    typer.Option(
        "--folds",
        min=1,
        max=100_000,
        metavar="N",
        help="Average over N equal parts of the photos, in order.",
    ),
]


def retrieval(
    folder: Annotated[
        str | None,
        typer.Argument(
            metavar="[FOLDER]",
            help="Captioned photos; none with --scores or embeddings.",
            show_default=False,
        ),
    ] = None,
    *,
    split: Annotated[
        str | None,
        typer.Option("--split", help="The part of the data to measure on; test, with a folder."),
    ] = None,
    as_json: JsonOption = False,
    folds: FoldsOption = 1,
    sampling: Sampling,
    saved: SavedScores,
    options: ModelOptions,
) -> None:
    """Photos find their sentences and sentences their photo.

    Prints recall at 1, 5 and 10 in percent, median and mean rank of the closest ground truth, and
    the recalls' sum. Another system's scores or embeddings are .npy, .npz or .safetensors files.

    Examples:

    \b
      regiontalk evaluate retrieval flickr8k/ --split test --json
      regiontalk evaluate retrieval dataset_coco.json --folds 5 --bootstrap 1000
      regiontalk evaluate retrieval --scores scores.npy --owners owners.npy
      regiontalk evaluate retrieval --photo-embeddings p.npy --sentence-embeddings s.npy \
--similarity cosine
    """
    with ending() as report:
        from regiontalk.cli.evaluate_text import retrieval_text

        given = {flag: value for flag, value in flags(saved).items() if value is not None}
        reporting = sampling.reporting(folds)
        if folder is None:
            refuse({"--split": split, **flags(options)}, "without a folder of captioned photos")
            result = _saved_retrieval(given, reporting, report.bar)
        elif given:
            raise ConfigError(
                f"{', '.join(given)} and a folder: give one or the other; "
                "a pack is measured on a folder"
            )
        else:
            from regiontalk.evaluation.retrieval.run import evaluate_retrieval

            dataset = read_captioned(folder, "test" if split is None else split)
            result = evaluate_retrieval(options.load(), dataset, reporting, report.bar)
        show(result, retrieval_text, as_json, report)


def _saved_retrieval(
    given: dict[str, str], reporting: Reporting, progress: Progress
) -> RetrievalResult:
    """Retrieval metrics of another system's files; `given` maps flags to values."""
    from regiontalk.evaluation.retrieval.saved import (
        SIMILARITIES,
        evaluate_embeddings,
        evaluate_scores,
    )

    owners = Path(given["--owners"]) if "--owners" in given else None
    kinds = set(given) - {"--owners"}
    if kinds == {"--scores"}:
        return evaluate_scores(Path(given["--scores"]), owners, reporting, progress)
    if kinds != {"--photo-embeddings", "--sentence-embeddings", "--similarity"}:
        raise ConfigError(
            "give a folder of captioned photos, or --scores FILE, or all of --photo-embeddings "
            "FILE, --sentence-embeddings FILE and --similarity dot|cosine; found "
            f"{', '.join(given) or 'none of them'}"
        )
    for similarity in SIMILARITIES:
        if given["--similarity"] == similarity:
            files = Path(given["--photo-embeddings"]), Path(given["--sentence-embeddings"])
            return evaluate_embeddings(*files, similarity, owners, reporting, progress)
    raise ConfigError(
        f"--similarity {given['--similarity']}: expected one of {', '.join(SIMILARITIES)}"
    )


def read_captioned(folder: str, split: str) -> Dataset:
    """Reads captioned photos.

    Raises:
        DataError: as `read_dataset`, or if the name is empty.
    """
    from regiontalk.data import read_dataset

    if not folder:
        raise DataError("an empty folder name; name a folder of captioned photos")
    return read_dataset(folder, split)


def named_path(flag: str, name: str) -> Path:
    """The path that an option or argument names.

    Raises:
        DataError: if the name is empty.
    """
    if not name:
        raise DataError(f"{flag}: an empty name; name a file")
    return Path(name)


def per_caption_file(name: str, read: Iterable[Path]) -> Path:
    """The path of `--per-caption`, checked to be writable and no input file.

    Raises:
        ConfigError: if it is one of `read`.
        DataError: if it cannot be written.
    """
    if identities([named_path("--per-caption", name)]) & identities(read):
        raise ConfigError(
            f"--per-caption would replace {printable(name)}, which is read; choose another name"
        )
    return writable_file("--per-caption", name)


def writable_file(flag: str, name: str) -> Path:
    """The path that an option names, checked to be writable.

    Raises:
        DataError: if it cannot be written.
    """
    target = named_path(flag, name)
    try:
        require_writable(target)
    except OSError as error:
        raise DataError(
            f"{flag} {printable(name)}: cannot be written ({error.strerror})"
        ) from error
    return target


class Result(Protocol):
    """Numbers of an evaluation with a signature."""

    @property
    def signature(self) -> Mapping[str, Any]:
        """Settings and origin of the numbers."""

    def to_json(self) -> dict[str, Any]:
        """As printed."""


R = TypeVar("R", bound=Result)


def show(result: R, text: Callable[[R], str], as_json: bool, report: Report) -> None:
    """Print a result, after the warnings of its signature."""
    warn(result.signature)
    report.json(result.to_json()) if as_json else report.result(text(result))


def warn(signature: Mapping[str, Any]) -> None:
    """Warn of data that was left out, and of photos that the pack was trained on."""
    from regiontalk.evaluation.signature import training_warning

    for kind, count in signature.get("left_out", {}).items():
        warn_user(f"left out: {kind}: {count}")
    warning = training_warning(signature)
    if warning:
        warn_user(printable(warning))
