"""The same two photos with captions in every format of captions, each as people find it."""

from __future__ import annotations

import json
from typing import Any

TRUTHS = {"a.jpg": ["A dog.", "The dog runs"], "b.jpg": ["A cat, asleep"]}

COCO = {
    "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
    "annotations": [
        {"image_id": 7, "id": 1, "caption": "A dog."},
        {"image_id": 8, "id": 2, "caption": "A cat, asleep"},
        {"image_id": 7, "id": 3, "caption": "The dog runs"},
    ],
}
KARPATHY = {
    "images": [
        {
            "filename": "a.jpg",
            "split": "train",
            "sentences": [{"raw": "A dog."}, {"raw": "The dog runs"}],
        },
        {"filename": "b.jpg", "split": "train", "sentences": [{"raw": "A cat, asleep"}]},
    ]
}
BLIP = [
    {"image": "a.jpg", "caption": ["A dog.", "The dog runs"]},
    {"image": "b.jpg", "caption": ["A cat, asleep"]},
]
ENTRIES = [
    {"image": "a.jpg", "caption": "A dog."},
    {"file_name": "b.jpg", "captions": ["A cat, asleep"]},
    {"image": "a.jpg", "text": "The dog runs"},
]
CSV = 'image,caption\na.jpg,A dog.\nb.jpg,"A cat, asleep"\na.jpg,The dog runs\n'
ALT = (
    'file,caption,width\r\n"a.jpg","A dog.",4\r\n"b.jpg","A cat, '
    'asleep",4\r\n"a.jpg","The dog runs",4\r\n'
)
SEMICOLONS = "file;caption;width\na.jpg;A dog.;4\nb.jpg;A cat, asleep;4\na.jpg;The dog runs;4\n"
METADATA = 'file_name,text,label\na.jpg,A dog.,1\nb.jpg,"A cat, asleep",2\na.jpg,The dog runs,1\n'
BARS = (
    "image_name| comment_number| comment\na.jpg| 0| A dog.\na.jpg| 1   The dog runs\nb.jpg| 0| A "
    "cat, asleep\n"
)
TOKENS = "a.jpg#0\tA dog.\na.jpg#1\tThe dog runs\nb.jpg#0\tA cat, asleep\n"


def lines(entries: list[Any]) -> str:
    """JSON Lines."""
    return "".join(json.dumps(each) + "\n" for each in entries)


FORMS: dict[str, str] = {
    "captions_val2014.json": json.dumps(COCO),
    "dataset_tiny.json": json.dumps(KARPATHY),
    "pretty.json": json.dumps(KARPATHY, indent=2),
    "mapping.json": json.dumps(TRUTHS),
    "coco_karpathy_train.json": json.dumps(BLIP),
    "entries.json": json.dumps(ENTRIES),
    "entries.jsonl": lines(ENTRIES),
    "lines.json": lines(ENTRIES),
    "lines.txt": lines(BLIP),
    "list.txt": json.dumps(BLIP, indent=1),
    "captions.csv": CSV,
    "captions.txt": CSV,
    "metadata.csv": METADATA,
    "alt.csv": ALT,
    "alt.txt": "\ufeff" + ALT,
    "semicolons.csv": SEMICOLONS,
    "semicolons.txt": SEMICOLONS.replace("file;caption", '"file";"caption"'),
    "results.csv": BARS,
    "Flickr8k.token.txt": TOKENS,
    "results_20130124.token": TOKENS,
    "CAPTIONS.CSV": CSV,
    "Entries.JSONL": lines(ENTRIES),
    "Dataset.Json": json.dumps(KARPATHY),
    "RESULTS.TXT": BARS.replace("\n", "\r\n"),
}
"""The content of each file by its name, all with `TRUTHS`."""

PREDICTED = {"a.jpg": "a dog", "b.jpg": "a cat"}

PREDICTIONS: dict[str, str] = {
    "results.json": json.dumps(
        [{"image_id": name, "caption": text} for name, text in PREDICTED.items()]
    ),
    "results.jsonl": lines([{"image": name, "caption": text} for name, text in PREDICTED.items()]),
    "described.jsonl": lines(
        [
            {"file": n, "width": 4, "caption": {"text": t}, "regions": []}
            for n, t in PREDICTED.items()
        ]
    ),
    "described.json": lines(
        [{"file": n, "caption": {"text": t, "log_prob": -1.5}} for n, t in PREDICTED.items()]
    ),
    "described.txt": lines(
        [{"file": n, "caption": {"text": t, "log_prob": -1.5}} for n, t in PREDICTED.items()]
    ),
    "mapping.json": json.dumps({name: [text] for name, text in PREDICTED.items()}),
    "captions.csv": "image,caption\na.jpg,a dog\nb.jpg,a cat\n",
    "captions.txt": "image,caption\na.jpg,a dog\nb.jpg,a cat\n",
    "alt.csv": (
        'file,caption,width,height,regions\r\n"a.jpg","a dog",4,3,"a; '
        'b"\r\n"b.jpg","a cat",4,3,""\r\n'
    ),
    "tokens.txt": "a.jpg#0\ta dog\nb.jpg#0\ta cat\n",
    "results.csv": "image_name| comment_number| comment\na.jpg| 0| a dog\nb.jpg| 0| a cat\n",
}
"""Files of a system's captions, all with `PREDICTED`."""
