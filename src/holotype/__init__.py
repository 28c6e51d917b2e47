"""Holotype: from labelled scientific images to a classifier that can be trusted."""
