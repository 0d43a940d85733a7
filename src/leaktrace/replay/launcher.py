"""The first lines of a replay child, run as a script: take over the parent's path and arguments, then run pytest."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys


PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel to end this process when the parent dies, however that dies (prctl(2), Linux)."""
    with contextlib.suppress(Exception):
        import ctypes  # noqa: PLC0415 - only in a child

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    """Run pytest as the parent was run, with the child's own door opened first."""
    die_with_parent()
    with open(os.environ["LEAKTRACE_REPLAY_ORDER"], encoding="utf-8") as file:  # noqa: PTH123 - pathlib is dear here
        order = json.load(file)
    sys.path[:] = order["sys_path"]
    # The tests, and the processes that they start, are to see the parent's environment, not the meter's.
    for name, value in order["restore"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    from leaktrace.replay.undo import install  # noqa: PLC0415 - found on that path

    install(order["temporary"], [os.path.dirname(order["answer"])])  # noqa: PTH120 - pathlib is dear here
    import pytest  # noqa: PLC0415 - its place on the path is known only now

    sys.argv = ["pytest", *order["args"]]
    return int(pytest.main(["-p", order["door"], *order["args"]]))


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that a suspect has left running, and that are no daemons, would keep the interpreter from its end.
    os._exit(code)
