"""Grounding: pointing accuracy and recall of words and phrases against boxes."""
