"""The first lines of a child, run as a script: take over the parent's path and arguments, then run pytest."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any


PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
FOR_TESTS = "tmp"
"""Name of the temporary folder that tests see, in the child's own."""


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Ask the kernel to end this process when the parent dies, however that dies; 0 takes it back (prctl(2), Linux)."""
    _prctl(PR_SET_PDEATHSIG, number)


def become_reaper() -> None:
    """Ask the kernel to give this process what its descendants leave running (Linux)."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    with suppress(Exception):
        import ctypes  # noqa: PLC0415 - only in a child

        ctypes.CDLL(None).prctl(option, value)


def leave(shared: str) -> None:
    """End at once, with all put back and the temporary folder removed: the parent has gone."""
    with suppress(Exception):
        from leaktrace.replay.restore import restore_and_remove  # noqa: PLC0415 - only where it comes to that

        restore_and_remove(shared)
    os._exit(1)


def main() -> int:
    """Run pytest as the parent was run, with the child's own plugin loaded first."""
    with open(os.environ["LEAKTRACE_REPLAY_REQUEST"], encoding="utf-8") as file:  # noqa: PTH123 - pathlib is dear here
        request = json.load(file)
    _no_core_dumps()
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, as a suite may leave it, it would hide an end
    if not _is_kept(request):
        signal.signal(signal.SIGTERM, lambda _number, _frame: leave(request["undo"]))
        die_with_parent(signal.SIGTERM)
        if os.getppid() != request["parent"]:
            leave(request["undo"])
    sys.path[:] = request["sys_path"]
    # The tests, and the processes that they start, are to see the parent's environment, not the meter's.
    for name, value in request["restore"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    make_folders(request["undo"], request["temporary"])
    from leaktrace.replay.undo import install  # noqa: PLC0415 - found on that path

    install(request["undo"], [os.path.dirname(request["response"])])  # noqa: PTH120 - pathlib is dear here
    import pytest  # noqa: PLC0415 - its place on the path is known only now

    sys.argv = ["pytest", *request["args"]]
    return int(pytest.main(["-p", request["plugin"], *request["args"]]))


def make_folders(shared: str, own: str) -> None:
    """Make the child's temporary folders here, where somebody sees to it that they go: the parent may die at any time.

    The first is that of all children of a run. Its name could not be foreseen, so that only they have made it.
    """
    try:
        for folder in (shared, own, f"{own}/{FOR_TESTS}"):
            with suppress(FileExistsError):
                os.mkdir(folder, 0o700)  # noqa: PTH102 - pathlib is dear here
                if hasattr(os, "geteuid") and os.geteuid() == 0:
                    # A program that root starts as another user reaches what is in it, as it would below /tmp.
                    os.chmod(folder, 0o711)  # noqa: PTH101, S103 - pathlib is dear here; nobody can look through it
    except OSError as exc:
        sys.exit(f"the temporary folder of a replay could not be made: {exc}")
    if "tempfile" in sys.modules:  # something has asked at the interpreter's start, when the folder was not there yet
        vars(sys.modules["tempfile"])["tempdir"] = None


def _is_kept(request: Mapping[str, Any]) -> bool:
    """Fork, and go on in the child, where the platform lets the parent keep it; returns whether it does.

    Nothing is imported yet, and no other thread runs: such a fork is safe everywhere.
    """
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    become_reaper()
    keeper = os.getpid()
    pid = os.fork()
    if pid:
        sys.path.insert(0, os.path.abspath(f"{__file__}/../../.."))  # noqa: PTH100 - pathlib is dear here
        from leaktrace.replay.keeper import keep  # noqa: PLC0415 - not before the fork

        keep(pid, request["channel"], request["parent"], request["undo"])
    die_with_parent()
    if os.getppid() != keeper:
        os._exit(1)
    return True


def _no_core_dumps() -> None:
    """A suspect that crashes leaves no file behind."""
    with suppress(Exception):
        import resource  # noqa: PLC0415 - not on Windows

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that a suspect has left running, and that are no daemons, would keep the interpreter from its end.
    os._exit(code)
