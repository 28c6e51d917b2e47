"""Simulated data sets with known truth, for the demo, tests and documentation."""
