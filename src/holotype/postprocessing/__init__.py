"""Postprocessing of scores: ensembles, calibration, decision rules and the submission table."""
