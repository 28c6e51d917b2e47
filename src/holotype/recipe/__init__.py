"""Recipes: sections, reading from YAML, paths, checks across sections, and the reference page."""
