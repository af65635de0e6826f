"""Titles of metrics and of what they are about, for terminal and HTML report, by task."""

RANKING = {
    "r1": "R@1",
    "r5": "R@5",
    "r10": "R@10",
    "median_rank": "median rank",
    "mean_rank": "mean rank",
}
WAYS = {"image_to_text": "photo → sentence", "text_to_image": "sentence → photo"}
"""Directions of retrieval, in the report."""
TAUGHT = {
    "image_to_text_r1": f"photo to text {RANKING['r1']}",
    "image_to_text_r5": f"photo to text {RANKING['r5']}",
    "text_to_image_r1": f"text to photo {RANKING['r1']}",
    "text_to_image_r5": f"text to photo {RANKING['r5']}",
    "mean_recall": "mean of these",
    "cider": "CIDEr",
}
"""Metrics of `teach`, before and after."""
CAPTIONS = {
    **{f"bleu{n}": f"BLEU-{n}" for n in range(1, 5)},
    "rouge_l": "ROUGE-L",
    "cider_d": "CIDEr-D",
    "cider_plain": "CIDEr, plain",
    "meteor": "METEOR",
    "spice": "SPICE",
}
REGION_CAPTIONS = {
    **{name: title for name, title in CAPTIONS.items() if "BLEU" in title},
    "cider": "CIDEr",
    **{name: CAPTIONS[name] for name in ("cider_d", "meteor", "rouge_l")},
}
GROUNDING = {"pointing": "pointing", "recall1": "R@1", "recall5": "R@5", "recall10": "R@10"}
QUERIES = {
    "words": "Words",
    "difficult": "Difficult ones of these",
    "synonyms": "Synonyms, averaged",
    "phrases": "Phrases",
    "phrases_merged": "Phrases, the box around all their boxes",
}
"""Kinds of grounding queries, as headings of the report."""
QUERIES_IN_FULL = {
    "words": "words, the first that the pack knows for each class",
    "difficult": "the difficult of these: small things in photos that hold another class",
    "synonyms": "all known synonyms of each class, averaged",
    "phrases": "phrases, any of their boxes",
    "phrases_merged": "phrases, the box around all their boxes",
}
"""The same, on the terminal."""
OBJECTS = {
    "chair_i": "CHAIRi",
    "chair_s": "CHAIRs",
    "main_named": "main thing named",
    "recall": "recall",
}
CAPTIONS_BY = {
    "captions": "captions",
    "boxes_or_people": "the same, against boxes and people",
    "human": "people",
}
"""Whose captions the object metrics are of, and against what."""
