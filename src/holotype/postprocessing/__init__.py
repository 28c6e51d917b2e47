"""Postprocessing of scores: ensembles, calibration, decision rules and the submission table.

Conventions: `logits`, `probability`, `truth` and `decided` have shape (n, classes), one row per sample; `models` holds
one such array (or evidence) per model, all of the same samples; `weights` has one entry per model and sums to 1.
"""
