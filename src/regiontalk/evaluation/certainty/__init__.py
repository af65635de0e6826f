"""Calibration: accuracy of "found" and "not found", and how often what is given 70 % is there."""
