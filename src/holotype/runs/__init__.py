"""Finished runs: opened, asked for predictions, compared, exported, reviewed and served."""
