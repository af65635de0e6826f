"""Captions of given boxes, and dense captioning."""
