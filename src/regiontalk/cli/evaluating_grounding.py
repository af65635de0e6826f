"""`regiontalk evaluate grounding`, `regions` and `search`: measure a pack on photos with boxes."""

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
from regiontalk.cli.options import BeamOption, MaxPixelsOption, PackOption, ThreadsOption
from regiontalk.errors import ConfigError, DataError

if TYPE_CHECKING:
    from regiontalk.data import BoxedDataset, Entities, Selection
    from regiontalk.evaluation.regions.run import Dense

DataArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="Photos with boxes: a folder like Pascal VOC's or Flickr30k Entities', or a file of COCO instances, "
        "Visual Genome regions or JSON Lines; see docs/data_formats.md.",
    ),
]
FormatOption = Annotated[
    str, typer.Option("--format", metavar="FORMAT", help="auto, voc, coco, entities, visual-genome or lines.")
]
PhotosOption = Annotated[
    str | None,
    typer.Option("--photos", metavar="FOLDER", help="Where the photos lie, if not where the format has them."),
]
ImagesOption = Annotated[
    str | None,
    typer.Option("--images", metavar="LIST", help="A file with the names of the photos to take, one a line."),
]
EveryOption = Annotated[
    int | None,
    typer.Option(
        "--every", min=1, max=1_000_000, metavar="N", help="Of the photos by name, the first and every N-th on."
    ),
]
LeaveOutOption = Annotated[
    bool, typer.Option("--leave-out", help="Leave out what is wrong in the data, counted, instead of stopping.")
]
MinPhotosOption = Annotated[
    int,
    typer.Option("--min-photos", min=1, max=1_000_000, metavar="N", help="Leave out classes of fewer photos."),
]
SentenceOption = Annotated[
    str | None,
    typer.Option("--sentence", metavar="TEXT", help="What a class is asked for with, {} its name; by default 'a {}'."),
]
QueryOption = Annotated[
    str | None,
    typer.Option("--sentence", metavar="TEXT", help="What is searched for, {} the class's name; by default '{}'."),
]
NeighboursOption = Annotated[
    str | None,
    typer.Option("--neighbours", metavar="DATA", help="Boxes with captions that the nearest neighbour borrows from."),
]
DenseOption = Annotated[
    bool, typer.Option("--dense", help="Also dense captioning: mean average precision of found boxes and captions.")
]
SimilarityOption = Annotated[
    str | None,
    typer.Option(
        "--similarity", metavar="NAME", help="How --dense compares captions: meteor (default, needs Java) or rouge_l."
    ),
]


def add_to(evaluate_app: typer.Typer) -> None:
    """Add these commands to `regiontalk evaluate`."""
    evaluate_app.command()(grounding)
    evaluate_app.command()(regions)
    evaluate_app.command()(search)


def grounding(
    data: DataArgument,
    kind: FormatOption = "auto",
    split: SplitOption = "all",
    photos: PhotosOption = None,
    images: ImagesOption = None,
    every: EveryOption = None,
    leave_out: LeaveOutOption = False,
    sentence: SentenceOption = None,
    min_photos: MinPhotosOption = 1,
    bootstrap: BootstrapOption = 0,
    seed: SeedOption = None,
    as_json: JsonOption = False,
    pack: PackOption = None,
    threads: ThreadsOption = None,
    max_pixels: MaxPixelsOption = None,
) -> None:
    """Words and phrases find their boxes: pointing accuracy and recall at IoU 0.5, beside baselines.

    With class names on the boxes, each photo is asked for each class that it holds; with Flickr30k Entities, for each
    phrase of its sentences.

    Examples:

    \b
      regiontalk evaluate grounding voc/ --every 6 --bootstrap 1000
      regiontalk evaluate grounding voc/ --every 6 --min-photos 5
      regiontalk evaluate grounding annotations/instances_val2017.json --photos val2017/ --json
      regiontalk evaluate grounding flickr30k_entities/ --split test --photos flickr30k-images/
    """
    with ending() as report:
        from regiontalk.cli.box_text import grounding_text
        from regiontalk.data import Entities
        from regiontalk.evaluation.grounding.run import SENTENCE, evaluate_classes, evaluate_phrases
        from regiontalk.model import load

        reporting = reporting_of(bootstrap, seed)
        selection, chosen = selection_of(images, every, leave_out, max_pixels)
        found = read_boxed(data, split, photos, selection, kind)
        model = load(pack, threads, max_pixels)
        if isinstance(found, Entities):
            if sentence is not None:
                raise ConfigError("--sentence: phrases stand in their own sentences; leave it out")
            if min_photos > 1:
                raise ConfigError("--min-photos is about classes, and these are phrases; leave it out")
            result = evaluate_phrases(model, found, chosen, report.bar, reporting=reporting)
        else:
            asked = SENTENCE if sentence is None else sentence
            result = evaluate_classes(
                model, found, asked, chosen, report.bar, reporting=reporting, min_photos=min_photos
            )
        warn(result["signature"])
        report.json(result) if as_json else report.result(grounding_text(result))


def regions(
    data: DataArgument,
    kind: FormatOption = "auto",
    split: SplitOption = "all",
    photos: PhotosOption = None,
    images: ImagesOption = None,
    every: EveryOption = None,
    leave_out: LeaveOutOption = False,
    neighbours: NeighboursOption = None,
    dense: DenseOption = False,
    similarity: SimilarityOption = None,
    as_json: JsonOption = False,
    pack: PackOption = None,
    beam: BeamOption = None,
    threads: ThreadsOption = None,
    max_pixels: MaxPixelsOption = None,
) -> None:
    """Captions of given boxes: against what people wrote of them, or whether they name the box's class.

    Beside the region captioner stands the full-frame captioner, run on each box cut out as a photo.

    Examples:

    \b
      regiontalk evaluate regions voc/ --every 6
      regiontalk evaluate regions region_descriptions.json --split test --dense
      regiontalk evaluate regions regions.jsonl --neighbours train_regions.jsonl --json
    """
    with ending() as report:
        from regiontalk.cli.box_text import naming_text, region_captions_text
        from regiontalk.data import Entities
        from regiontalk.evaluation.regions.run import evaluate_naming, evaluate_region_captions
        from regiontalk.model import load

        selection, chosen = selection_of(images, every, leave_out, max_pixels)
        found = read_boxed(data, split, photos, selection, kind)
        if isinstance(found, Entities):
            raise DataError(f"{data}: phrases of whole sentences are no captions of boxes; see `evaluate grounding`")
        dense_how = _dense(dense, similarity)
        if found.kind == "labels":
            if neighbours is not None or dense_how is not None:
                raise ConfigError(f"--neighbours and --dense compare captions, and {data} has names of classes only")
            result = evaluate_naming(load(pack, threads, max_pixels), found, beam, chosen, report.bar)
            text = naming_text
        else:
            lenders = None if neighbours is None else _captioned(neighbours, max_pixels)
            model = load(pack, threads, max_pixels)
            result = evaluate_region_captions(model, found, beam, lenders, dense_how, chosen, report.bar)
            text = region_captions_text
        warn(result["signature"])
        report.json(result) if as_json else report.result(text(result))


def search(
    data: DataArgument,
    kind: FormatOption = "auto",
    split: SplitOption = "all",
    photos: PhotosOption = None,
    images: ImagesOption = None,
    every: EveryOption = None,
    leave_out: LeaveOutOption = False,
    sentence: QueryOption = None,
    min_photos: MinPhotosOption = 1,
    as_json: JsonOption = False,
    pack: PackOption = None,
    threads: ThreadsOption = None,
    max_pixels: MaxPixelsOption = None,
) -> None:
    """Things are found by their names: of R photos that show a class, how many stand among the first R.

    Examples:

    \b
      regiontalk evaluate search voc/ --every 6
      regiontalk evaluate search annotations/instances_val2017.json --photos val2017/ --json
    """
    with ending() as report:
        from regiontalk.cli.box_text import search_text
        from regiontalk.data import Entities
        from regiontalk.evaluation.search import SENTENCE, evaluate_search
        from regiontalk.model import load

        selection, chosen = selection_of(images, every, leave_out, max_pixels)
        found = read_boxed(data, split, photos, selection, kind)
        if isinstance(found, Entities):
            raise DataError(f"{data}: phrases of whole sentences are no classes; see `evaluate retrieval`")
        asked = SENTENCE if sentence is None else sentence
        result = evaluate_search(load(pack, threads, max_pixels), found, asked, chosen, report.bar, min_photos)
        warn(result["signature"])
        report.json(result) if as_json else report.result(search_text(result))


def selection_of(
    images: str | None, every: int | None, leave_out: bool, max_pixels: int | None
) -> tuple[Selection, dict[str, Any]]:
    """Which photos take part, and how a signature says so."""
    from regiontalk.data import Selection
    from regiontalk.evaluation.signature import file_sha256
    from regiontalk.files import read_text

    chosen: dict[str, Any] = {}
    names = None
    if images is not None:
        names = frozenset(line.strip() for line in read_text(Path(images)).splitlines() if line.strip())
        if not names:
            raise DataError(f"{images}: expected the names of photos, one a line, found none")
        chosen |= {"images": Path(images).name, "images_sha256": file_sha256(Path(images))}
    if every is not None:
        chosen["every"] = f"the first and every {every}. after it, by name"
    return Selection(names, every, leave_out, max_pixels=max_pixels), chosen


def read_boxed(data: str, split: str, photos: str | None, selection: Selection, kind: str) -> BoxedDataset | Entities:
    """Photos with boxes, as the options name them.

    Raises:
        DataError: as `read_boxes`, or if the name is empty.
        ConfigError: if there is no such format.
    """
    from regiontalk.data import BOX_FORMATS, read_boxes

    if not data:
        raise DataError("an empty name; name a folder or file of photos with boxes")
    for known in BOX_FORMATS:
        if kind == known:
            return read_boxes(data, split, photos, selection, known)
    if kind != "auto":
        raise ConfigError(f"--format {kind}: expected auto, {', '.join(BOX_FORMATS)}")
    return read_boxes(data, split, photos, selection)


def _captioned(neighbours: str, max_pixels: int | None) -> BoxedDataset:
    from regiontalk.data import Entities, Selection, read_boxes

    found = read_boxes(neighbours, selection=Selection(max_pixels=max_pixels))
    if isinstance(found, Entities) or found.kind != "captions":
        raise DataError(f"{neighbours}: its boxes have no captions to lend; give regions with captions")
    return found


def _dense(wanted: bool, similarity: str | None) -> Dense | None:
    if not wanted and similarity is not None:
        raise ConfigError("--similarity is about --dense: give both, or leave it out")
    if not wanted:
        return None
    from regiontalk.evaluation.regions.run import Dense, find_similarity

    name = similarity or "meteor"
    return Dense(name, find_similarity(name))
