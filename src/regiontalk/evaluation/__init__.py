"""Evaluation, a package for each task: its metric (arrays in, numbers out) and its run.

A run is over a model and a dataset. Retrieval, captions, grounding, captions of regions, things
that captions name, search by class words; beside them what they share: results and signatures, the
bootstrap, contamination by training photos, the words for classes.
"""
