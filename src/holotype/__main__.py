"""The command line as `python -m holotype`."""

import sys

from holotype.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
