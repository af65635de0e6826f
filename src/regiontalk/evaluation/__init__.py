"""Evaluation by task: metrics as pure functions of arrays, and runs over a model and a dataset.

The tasks are retrieval, captions, grounding, captions of regions, objects that captions name, and
calibration. `search` evaluates search by class names. The other modules are shared: results and the
bootstrap, signatures and contamination by training photos, words for classes.
"""
