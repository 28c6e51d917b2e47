"""Postprocessing of scores: ensembles, calibration, decision rules and the submission table.

In all functions `logits`, `probability`, `truth` and `decided` have shape (n, classes), one row per sample.
"""
