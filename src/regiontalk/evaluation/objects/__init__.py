"""Things that captions name (CHAIR).

Those that are not on the photo, the main one, and where they were seen.
"""
