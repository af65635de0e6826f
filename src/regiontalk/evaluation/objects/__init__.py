"""Things that captions name (CHAIR): those that are not on the photo, the main one, and where they were seen."""
