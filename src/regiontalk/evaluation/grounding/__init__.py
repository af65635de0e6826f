"""Grounding: how well words and phrases point into their boxes."""
