"""The reader on Flickr8k itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regiontalk.data import read_dataset
from regiontalk.language import Vocabulary, tokenise

FOLDER = (
    Path(os.environ.get("REGIONTALK_DATA") or Path(__file__).parents[3] / "shared" / "data")
    / "flickr8k"
)

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(
        not (FOLDER / "captions.csv").is_file(),
        reason="needs flickr8k below ../shared/data or $REGIONTALK_DATA",
    ),
]


@pytest.mark.parametrize(("split", "photos"), [("train", 6000), ("dev", 1000), ("test", 1000)])
def test_every_split_is_whole(split: str, photos: int) -> None:
    dataset = read_dataset(FOLDER, split)
    assert len(dataset) == photos
    assert {len(photo.captions) for photo in dataset.photos} == {5}


def test_the_vocabulary_is_the_papers_but_for_three_words() -> None:
    """The paper counts 2,538, perhaps with marks such as START and END among them."""
    captions = (
        caption for photo in read_dataset(FOLDER, "train").photos for caption in photo.captions
    )
    vocabulary = Vocabulary.from_captions(tokenise(caption) for caption in captions)
    assert len(vocabulary.words) == 2535
