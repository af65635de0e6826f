"""Pydantic models of the API's responses and JSON request bodies.

They define the OpenAPI document, by which tests check the responses.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from regiontalk.web.limits import DEFAULTS

Box = Annotated[
    list[float],
    Field(min_length=4, max_length=4, description="x0, y0, x1, y1 in pixels of the photo"),
]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Error(_Answer):
    """What went wrong, and what to do."""

    error: str


class CaptionedPhoto(_Answer):
    """A photo and its caption as people left it: a row of a table, a sidecar."""

    file: Annotated[
        str, Field(min_length=1, max_length=1000, description="the photo's path in its folder")
    ]
    caption: Annotated[str, Field(max_length=4000)]
    width: Annotated[int, Field(ge=0, le=10**9 - 1)]
    height: Annotated[int, Field(ge=0, le=10**9 - 1)]
    regions: Annotated[
        list[Annotated[str, Field(max_length=1000)]],
        Field(max_length=100, description="their captions, surest first"),
    ]


class CaptionedPhotos(_Answer):
    """What a table or sidecars are made of; no photo is sent for them."""

    photos: Annotated[list[CaptionedPhoto], Field(min_length=1, max_length=DEFAULTS.exported)]


Probability: TypeAlias = Annotated[float | None, Field(ge=0, le=1)]
"""Absent if the pack gives no probabilities."""


class SaidWord(_Answer):
    """A word of a caption: the region that it was said of, 0 for the whole photo.

    Null for words that name nothing.
    """

    text: str
    region: int | None


class CaptionAnswer(_Answer):
    """A caption with its log-probability in nats.

    `words` if the pack's captioner looks at regions, `sure` if the pack tells how likely it names
    what is there and nothing else.
    """

    text: str
    log_prob: float
    sure: Probability = None
    words: list[SaidWord] | None = None


class RegionAnswer(_Answer):
    """A region of a photo; `score` says how sure it is that the box holds a thing."""

    box_xyxy: Box
    score: float


class DescribedRegion(RegionAnswer):
    """A region with its caption."""

    caption: CaptionAnswer


class DescriptionAnswer(_Answer):
    """What `regiontalk describe --json` prints."""

    file: str
    width: int
    height: int
    caption: CaptionAnswer
    regions: list[DescribedRegion]


class WordScore(_Answer):
    """A word, and how well it fits: v_i·s_t."""

    text: str
    score: float


class BoxAnswer(_Answer):
    """A given box of a photo, as far as it lies inside.

    `words` are the sentence's, null without one.
    """

    file: str
    width: int
    height: int
    box_xyxy: Box
    caption: CaptionAnswer
    words: list[WordScore] | None


class WordAnswer(_Answer):
    """A word with the region that it is tied to, and how likely what it names is on the photo: \
null if it names nothing
    or is unknown. `did_you_mean` are known words that are one letter off an unknown one."""

    text: str
    known: bool
    region: int
    score: float
    sure: Probability = None
    did_you_mean: list[str] | None = None


class PhraseAnswer(_Answer):
    """Words `start` to `end` - 1, all on one region.

    `found` if what they name is more likely on the photo than not.
    """

    text: str
    start: int
    end: int
    region: int
    box_xyxy: Box
    score: float
    found: bool
    sure: Probability = None


class AlignmentAnswer(_Answer):
    """What `regiontalk align --json` prints, with the scores that other values of beta can be \
decoded from."""

    file: str
    width: int
    height: int
    sentence: str
    score: float
    sure: Probability = None
    words: list[WordAnswer]
    phrases: list[PhraseAnswer]
    regions: list[RegionAnswer]
    beta: float
    scores: Annotated[
        list[list[float]], Field(description="a row for each word, a column for each region")
    ]


class FoundPhoto(_Answer):
    """A photo of the index; `phrases` is empty if it was found by a photo, or by its text alone.

    `text` is what people wrote about it, `text_words` the words of the sentence that stand there.
    """

    rank: int
    id: str
    file: str
    width: int
    height: int
    taken: str | None
    text: str | None
    score: float
    sure: Probability = None
    thumbnail: str
    photo: str
    phrases: list[PhraseAnswer]
    text_words: list[str]
    regions: list[RegionAnswer]


class SearchAnswer(_Answer):
    """The best first.

    `photos` says how many photos of the index may be found, on all pages together.
    """

    results: list[FoundPhoto]
    photos: int


class FolderAnswer(_Answer):
    """A folder of the index's photos.

    A search with the filter `path` of this path and a `*` finds those below it.
    """

    path: Annotated[str, Field(description="with a separator at its end")]
    name: Annotated[str, Field(description="the path from the folder on that all are in")]
    photos: int


class FoldersAnswer(_Answer):
    """By path, those with the most photos; not those that hold every photo."""

    folders: list[FolderAnswer]


class HealthAnswer(_Answer):
    """`waiting`: requests that are being answered."""

    status: str
    waiting: int


class PackAnswer(_Answer):
    """The pack at work; `checksum` is the sha256 of its pack.json."""

    name: str
    checksum: str
    beta: float
    beam: int


class IndexAnswer(_Answer):
    """The index that is searched."""

    photos: int


class LimitsAnswer(_Answer):
    """What is refused above."""

    body_bytes: int
    pixels: int
    sentence: int
    results: int


class VersionAnswer(_Answer):
    """What serves; `index` is null without one."""

    version: str
    pack: PackAnswer
    index: IndexAnswer | None
    limits: LimitsAnswer
