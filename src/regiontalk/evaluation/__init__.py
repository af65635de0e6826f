"""Evaluation, a package for each task.

Each has its metric (arrays in, numbers out) and its run over a model and a dataset. Retrieval,
captions, grounding, captions of regions, things that captions name, search by class words; beside
them what they share: results and signatures, the bootstrap, contamination by training photos, the
words for classes.
"""
