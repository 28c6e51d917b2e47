"""Finished runs: open, predict, compare, export, review and serve."""
