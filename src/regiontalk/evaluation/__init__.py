"""Evaluation, a package for each task: its metric (arrays in, numbers out) and its run.

Each has its metric (arrays in, numbers out) and its run over a model and a dataset: retrieval,
captions, grounding, captions of regions, objects that captions name, calibration. `search`
evaluates search by class names. The other modules are shared: results and the bootstrap, signatures
and contamination by training photos, words for classes.
"""
