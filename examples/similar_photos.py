"""Photos of an index like a photo: python similar_photos.py photos.index photo.jpg"""

import sys

import regiontalk

folder, photo = sys.argv[1:]
with regiontalk.open_index(folder) as index:
    for found in index.like(photo, k=5):
        print(f"{found.score:.3f}  {found.file}")
