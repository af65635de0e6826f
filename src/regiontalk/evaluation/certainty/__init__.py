"""Calibration of probabilities: accuracy of "found" and "not found", expected calibration error."""
