"""Which words of a sentence belong to which box.

Called as python align_sentence.py photo.jpg "a dog jumps over a log".
"""

import sys

import regiontalk

photo, sentence = sys.argv[1:]
alignment = regiontalk.load().align(photo, sentence)
for phrase in alignment.phrases:
    left, top, right, bottom = (round(edge) for edge in phrase.box_xyxy)
    print(f"{phrase.text}: {left}, {top} to {right}, {bottom} (score {phrase.score:.2f})")
