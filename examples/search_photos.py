"""Index a folder and search it.

Called as python search_photos.py photos/ photos.index "a dog on the beach".
"""

import sys

import regiontalk

photos, folder, sentence = sys.argv[1:]
with regiontalk.open_index(folder) as index:
    changes = index.add(photos)  # only new and changed photos are looked at
    for file, why in changes.failures.items():
        print(f"{file}: {why}", file=sys.stderr)
    for found in index.search(sentence, k=5):
        boxes = [
            f"{phrase.text} {[round(edge) for edge in phrase.box_xyxy]}" for phrase in found.phrases
        ]
        print(f"{found.score:.2f}  {found.file}  {', '.join(boxes)}")
