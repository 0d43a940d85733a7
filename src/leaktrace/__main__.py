"""`python -m leaktrace`: the command, where its script is not on the path."""

from __future__ import annotations

import sys

from leaktrace.cli import main


if __name__ == "__main__":
    sys.exit(main())
