"""`regiontalk evaluate grounding`, `regions`, `search`, `certainty`: metrics on boxed photos."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regiontalk.cli.console import ending
from regiontalk.cli.evaluate import JsonOption, Sampling, read_captioned, show, writable_file
from regiontalk.cli.options import BeamOption, ModelOptions, flags, refuse
from regiontalk.errors import ConfigError, DataError

if TYPE_CHECKING:
    from regiontalk.data import BoxedDataset, Dataset, Entities, Selection
    from regiontalk.evaluation.certainty.run import CertaintyResult
    from regiontalk.evaluation.regions.run import Dense

MinPhotosOption = Annotated[
    int,
    typer.Option(
        "--min-photos", min=1, max=1_000_000, metavar="N", help="Leave out classes of fewer photos."
    ),
]


@dataclass(frozen=True)
class BoxedData:
    """Options: photos with boxes, and the selection to measure on."""

    path: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="Photos with boxes: a folder like Pascal VOC's or Flickr30k Entities', or a file "
            "of COCO instances, Visual Genome regions or JSON Lines; see docs/data_formats.md.",
        ),
    ]
    format: Annotated[
        str,
        typer.Option(
            "--format", metavar="FORMAT", help="auto, voc, coco, entities, visual-genome or lines."
        ),
    ] = "auto"
    split: Annotated[str, typer.Option("--split", help="The part of the data to measure on.")] = (
        "all"
    )
    photos: Annotated[
        str | None,
        typer.Option(
            "--photos",
            metavar="FOLDER",
            help="Where the photos lie, if not where the format has them.",
        ),
    ] = None
    images: Annotated[
        str | None,
        typer.Option(
            "--images",
            metavar="LIST",
            help="A file with the names of the photos to take, one a line.",
        ),
    ] = None
    every: Annotated[
        int | None,
        typer.Option(
            "--every",
            min=1,
            max=1_000_000,
            metavar="N",
            help="Of the photos by name, the first and every N-th on.",
        ),
    ] = None
    leave_out: Annotated[
        bool,
        typer.Option(
            "--leave-out", help="Leave out what is wrong in the data, counted, instead of stopping."
        ),
    ] = False

    def read(self, max_pixels: int | None) -> tuple[BoxedDataset | Entities, dict[str, Any]]:
        """The selected photos, and the selection's entries of a signature.

        Raises:
            DataError, ConfigError: as `selection` and `read_selected`.
        """
        selection, chosen = self.selection(max_pixels)
        return self.read_selected(selection), chosen

    def read_boxed(
        self, max_pixels: int | None, instead: str
    ) -> tuple[BoxedDataset, dict[str, Any]]:
        """`read` for commands that take no phrases; `instead` ends the message about them.

        Raises:
            DataError, ConfigError: as `read`, and DataError for phrases of sentences.
        """
        from regiontalk.data import Entities

        found, chosen = self.read(max_pixels)
        if isinstance(found, Entities):
            raise DataError(f"{self.path}: phrases of whole sentences are {instead}")
        return found, chosen

    def selection(self, max_pixels: int | None) -> tuple[Selection, dict[str, Any]]:
        """The selection of photos, and its entries of a signature.

        Raises:
            DataError: if the file that lists them cannot be read or lists none.
        """
        from regiontalk.data import Selection
        from regiontalk.evaluation.signature import file_sha256
        from regiontalk.files import read_text

        chosen: dict[str, Any] = {}
        names = None
        if self.images is not None:
            file = Path(self.images)
            names = frozenset(line.strip() for line in read_text(file).splitlines() if line.strip())
            if not names:
                raise DataError(
                    f"{self.images}: expected the names of photos, one a line, found none"
                )
            chosen |= {"images": file.name, "images_sha256": file_sha256(file)}
        if self.every is not None:
            chosen["every"] = f"the first and every {self.every}. after it, by name"
        return Selection(names, self.every, self.leave_out, max_pixels=max_pixels), chosen

    def read_selected(self, selection: Selection) -> BoxedDataset | Entities:
        """Reads the selected photos with their boxes.

        Raises:
            DataError: as `read_boxes`, or if the name is empty.
            ConfigError: if there is no such format.
        """
        from regiontalk.data import BOX_FORMATS, read_boxes

        if not self.path:
            raise DataError("an empty name; name a folder or file of photos with boxes")
        if self.format not in ("auto", *BOX_FORMATS):
            raise ConfigError(f"--format {self.format}: expected auto, {', '.join(BOX_FORMATS)}")
        known = next((each for each in BOX_FORMATS if each == self.format), None)
        return read_boxes(self.path, self.split, self.photos, selection, known)


def grounding(
    *,
    data: BoxedData,
    sentence: Annotated[
        str | None,
        typer.Option(
            "--sentence",
            metavar="TEXT",
            help="What a class is asked for with, {} its name; by default 'a {}'.",
        ),
    ] = None,
    min_photos: MinPhotosOption = 1,
    sampling: Sampling,
    as_json: JsonOption = False,
    options: ModelOptions,
) -> None:
    """Words and phrases find their boxes: pointing accuracy and recall at IoU 0.5, beside
    baselines.

    With class names on the boxes, each photo is asked for each class that it holds; with Flickr30k
    Entities, for each phrase of its sentences.

    Examples:

    \b
      regiontalk evaluate grounding voc/ --every 6 --bootstrap 1000
      regiontalk evaluate grounding voc/ --every 6 --min-photos 5
      regiontalk evaluate grounding annotations/instances_val2017.json --photos val2017/ --json
      regiontalk evaluate grounding flickr30k_entities/ --split test --photos flickr30k-images/
    """
    with ending() as report:
        from regiontalk.cli.evaluate_text import grounding_text
        from regiontalk.data import Entities
        from regiontalk.evaluation.grounding.class_names import SENTENCE
        from regiontalk.evaluation.grounding.run import evaluate_classes, evaluate_phrases

        reporting = sampling.reporting()
        found, chosen = data.read(options.max_pixels)
        model = options.load()
        if isinstance(found, Entities):
            if sentence is not None:
                raise ConfigError("--sentence: phrases stand in their own sentences; leave it out")
            if min_photos > 1:
                raise ConfigError(
                    "--min-photos is about classes, and these are phrases; leave it out"
                )
            result = evaluate_phrases(model, found, chosen, report.bar, reporting=reporting)
        else:
            asked = SENTENCE if sentence is None else sentence
            result = evaluate_classes(
                model, found, asked, chosen, report.bar, reporting=reporting, min_photos=min_photos
            )
        show(result, grounding_text, as_json, report)


SimilarityOption = Annotated[
    str | None,
    typer.Option(
        "--similarity",
        metavar="NAME",
        help="How --dense compares captions: meteor (default, needs Java) or rouge_l.",
    ),
]


def regions(
    *,
    data: BoxedData,
    neighbours: Annotated[
        str | None,
        typer.Option(
            "--neighbours",
            metavar="DATA",
            help="Boxes with captions that the nearest neighbour borrows from.",
        ),
    ] = None,
    dense: Annotated[
        bool,
        typer.Option(
            "--dense",
            help="Also dense captioning: mean average precision of found boxes and captions.",
        ),
    ] = False,
    similarity: SimilarityOption = None,
    as_json: JsonOption = False,
    beam: BeamOption = None,
    options: ModelOptions,
) -> None:
    """Captions of given boxes: against what people wrote of them, or whether they name the box's
    class.

    Beside the region captioner stands the full-frame captioner, run on each box cut out as a photo.

    Examples:

    \b
      regiontalk evaluate regions voc/ --every 6
      regiontalk evaluate regions region_descriptions.json --split test --dense
      regiontalk evaluate regions regions.jsonl --neighbours train_regions.jsonl --json
    """
    with ending() as report:
        from regiontalk.cli.evaluate_text import naming_text, region_captions_text
        from regiontalk.evaluation.regions.run import evaluate_naming, evaluate_region_captions

        found, chosen = data.read_boxed(
            options.max_pixels, "no captions of boxes; see `evaluate grounding`"
        )
        dense_how = _dense(dense, similarity)
        if found.kind == "labels":
            if neighbours is not None or dense_how is not None:
                has = f"{data.path} has names of classes only"
                raise ConfigError(f"--neighbours and --dense compare captions, and {has}")
            named = evaluate_naming(options.load(), found, beam, chosen, report.bar)
            show(named, naming_text, as_json, report)
        else:
            lenders = None if neighbours is None else _captioned(neighbours, options.max_pixels)
            result = evaluate_region_captions(
                options.load(), found, beam, lenders, dense_how, chosen, report.bar
            )
            show(result, region_captions_text, as_json, report)


def search(
    *,
    data: BoxedData,
    sentence: Annotated[
        str | None,
        typer.Option(
            "--sentence",
            metavar="TEXT",
            help="What is searched for, {} the class's name; by default '{}'.",
        ),
    ] = None,
    min_photos: MinPhotosOption = 1,
    as_json: JsonOption = False,
    options: ModelOptions,
) -> None:
    """Things are found by their names: of R photos that show a class, how many stand among the
    first R.

    Examples:

    \b
      regiontalk evaluate search voc/ --every 6
      regiontalk evaluate search annotations/instances_val2017.json --photos val2017/ --json
    """
    with ending() as report:
        from regiontalk.cli.evaluate_text import search_text
        from regiontalk.evaluation.search import SENTENCE, evaluate_search

        found, chosen = data.read_boxed(options.max_pixels, "no classes; see `evaluate retrieval`")
        asked = SENTENCE if sentence is None else sentence
        result = evaluate_search(options.load(), found, asked, chosen, report.bar, min_photos)
        show(result, search_text, as_json, report)


AskedOption = Annotated[
    str | None,
    typer.Option(
        "--sentence",
        metavar="TEXT",
        help="What is asked, {} the thing's name; by default '{}'. With a second {} what is "
        "there and what is not stand in one sentence.",
    ),
]


def certainty(
    *,
    data: BoxedData,
    captioned: Annotated[
        bool,
        typer.Option(
            "--captioned",
            help="DATA is a folder of captioned photos: ask for what their captions name.",
        ),
    ] = False,
    sentence: AskedOption = None,
    diagram: Annotated[
        str | None,
        typer.Option(
            "--diagram", metavar="OUT.svg", help="Also draw how sure it is against how right."
        ),
    ] = None,
    as_json: JsonOption = False,
    options: ModelOptions,
) -> None:
    """Accuracy of "found" and "not found", and calibration: what is given 70 % should be there in
    70 of 100 cases.

    Asks for each class that a photo shows, and as often for one that it does not show. Prints how
    many answers are right and the expected calibration error.

    Examples:

    \b
      regiontalk evaluate certainty voc/ --every 6 --diagram reliability.svg
      regiontalk evaluate certainty voc/ --every 6 --sentence "a {} and a {}"
      regiontalk evaluate certainty coco_captions/ --captioned --split dev
    """
    with ending() as report:
        from regiontalk.cli.evaluate_text import certainty_text
        from regiontalk.evaluation.certainty.run import SENTENCE, evaluate_certainty

        target = None if diagram is None else writable_file("--diagram", diagram)
        found: BoxedDataset | Dataset
        chosen: dict[str, Any] = {}
        if captioned:
            others = {
                flag: value
                for flag, value in flags(data).items()
                if flag not in ("--path", "--split")
            }
            refuse(others, "with --captioned")
            found = read_captioned(data.path, data.split)
        else:
            found, chosen = data.read_boxed(
                options.max_pixels, "no classes; see `evaluate grounding`"
            )
        asked = SENTENCE if sentence is None else sentence
        result = evaluate_certainty(options.load(), found, asked, chosen, report.bar)
        show(result, certainty_text, as_json, report)
        if target is not None:
            _draw_reliability(target, result)


def _draw_reliability(target: Path, result: CertaintyResult) -> None:
    from regiontalk.files import write_bytes
    from regiontalk.report.reliability import reliability_diagram

    write_bytes(target, reliability_diagram(result.scores.bins).encode())


def _captioned(neighbours: str, max_pixels: int | None) -> BoxedDataset:
    from regiontalk.data import Entities, Selection, read_boxes

    found = read_boxes(neighbours, selection=Selection(max_pixels=max_pixels))
    if isinstance(found, Entities) or found.kind != "captions":
        raise DataError(
            f"{neighbours}: its boxes have no captions to lend; give regions with captions"
        )
    return found


def _dense(wanted: bool, similarity: str | None) -> Dense | None:
    if not wanted and similarity is not None:
        raise ConfigError("--similarity is about --dense: give both, or leave it out")
    if not wanted:
        return None
    from regiontalk.evaluation.regions.run import Dense, find_similarity

    name = "meteor" if similarity is None else similarity
    return Dense(name, find_similarity(name))
