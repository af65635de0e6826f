"""Photos: safe decoding, file type detection, folder listing and dates; errors name the photo."""

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
