"""The command `leaktrace`: one file a subcommand; whatever measures or judges lies elsewhere."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from leaktrace import __version__
from leaktrace.errors import LeaktraceError


USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand; its exit status, or 2 for a usage error.

    What stands behind `--` is for pytest, as it is.
    """
    from leaktrace.cli import bisect  # noqa: PLC0415 - the package is imported by every subcommand

    given = list(sys.argv[1:] if argv is None else argv)
    ours, theirs = (given[: given.index("--")], given[given.index("--") + 1 :]) if "--" in given else (given, [])
    parser = argparse.ArgumentParser(prog="leaktrace", description="Find the tests that leak, and say why.")
    parser.add_argument("--version", action="version", version=f"pytest-leaktrace {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    bisect.declare(commands)
    options = parser.parse_args(ours)
    try:
        return int(options.run(options, theirs))
    except LeaktraceError as exc:
        from leaktrace.words import escaped  # noqa: PLC0415 - only for what went wrong

        sys.stderr.write(f"leaktrace: {escaped(str(exc))}\n")
        return USAGE
