"""A leaked thread that is no daemon keeps the interpreter from ending: the run must end all the same."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time


GRACE_S = 3.0


class ExitGuard:
    """Ends the process once all but leaked threads have ended.

    It waits for the main thread to end, which only the interpreter's own exit brings about, so that a program that has
    called pytest goes on undisturbed; then it grants a grace, runs what `atexit` has been given, and ends the process.
    """

    def __init__(self) -> None:
        self._before = set(threading.enumerate())

    def leaked(self) -> list[threading.Thread]:
        """Threads begun since, still running, that an exit would wait for."""
        return [
            each
            for each in threading.enumerate()
            if each not in self._before and each.is_alive() and not each.daemon and each is not threading.main_thread()
        ]

    def arm(self, exit_status: int) -> bool:
        """Begin to wait, if there is a thread to wait for; returns whether there is."""
        if not self.leaked():
            return False
        threading.Thread(target=self._wait, args=(exit_status,), name="leaktrace-exit-guard", daemon=True).start()
        return True

    def _wait(self, exit_status: int) -> None:
        threading.main_thread().join()
        time.sleep(GRACE_S)
        if self.leaked():
            with contextlib.suppress(Exception):
                atexit._run_exitfuncs()  # noqa: SLF001 - the interpreter itself would, had its threads ended
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):
                    stream.flush()
            os._exit(exit_status)
