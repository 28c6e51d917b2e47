"""Foundations: errors, keyed seeds, digests, registries, the runtime, progress, table files and run folders."""
