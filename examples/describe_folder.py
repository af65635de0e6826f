"""Describe the photos of a folder: python describe_folder.py photos/"""

import sys

import regiontalk
from regiontalk.photos.folders import find_photos

model = regiontalk.load()
for photo in find_photos(sys.argv[1]):
    try:
        description = model.describe(photo)
    except regiontalk.PhotoError as error:  # one broken photo does not stop the others
        print(error, file=sys.stderr)
        continue
    print(f"{photo}: {description.caption.text}")
    for caption in description.region_captions:
        print(f"    {caption.text}")
