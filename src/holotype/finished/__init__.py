"""What is done with a finished run: it is opened, and asked about images that it never saw."""
