"""Photos: opened safely, found in folders, their dates; what is no usable photo is named."""

from regiontalk.photos.kinds import escaped
from regiontalk.photos.opening import MAX_PIXELS, SHRUNK, Photo, PhotoSource, open_photo, prepare
from regiontalk.photos.readers import MAX_FILE_BYTES

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "SHRUNK",
    "Photo",
    "PhotoSource",
    "escaped",
    "open_photo",
    "prepare",
]
