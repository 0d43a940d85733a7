"""The process between the parent and a base child, which sees to the end of both: it imports nothing of the suite.

A base that hangs in somebody's C code, or that a test has killed, can clean up nothing. So it is forked from this one,
which is the reaper of all its descendants: what has begun a session of its own comes here, and ends here.
"""

from __future__ import annotations

import os
import select
import signal
from typing import NoReturn

from leaktrace.replay.process import end_orphans, opened_pidfd, parent_of, reap_strays, send
from leaktrace.replay.restore import restore_and_remove


GRACE_S = 1.0
"""How long what a base has left running may take to end by itself."""
GONE_MS = 700
"""How long a base may take to end by itself once the parent has let go of it."""
STEP_MS = 100


def keep(pid: int, channel: int, parent: int, undo: str) -> NoReturn:
    """Wait for the base's end or the parent's, end the rest, and end as the base has ended."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the channel tells when it is time
    pidfd = opened_pidfd(pid)
    let_go = _watch(pid, pidfd, channel)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    end_orphans((), grace_s=0.0 if let_go else GRACE_S)
    if os.getppid() != parent:  # nobody else is there to do it
        restore_and_remove(undo)
    _end_as(status)


def _watch(pid: int, pidfd: int, channel: int) -> bool:
    """Whether the parent has let go, upon which the base was ended; else the base has ended by itself."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.register(channel, 0)  # nothing but that the other end was closed
    while True:
        ready = [descriptor for descriptor, _event in poll.poll(STEP_MS)]
        if pidfd in ready:
            return False
        if channel in ready:
            poll.unregister(channel)
            if not poll.poll(GONE_MS) and parent_of(pid) == os.getpid():
                send(pid, pidfd, signal.SIGKILL)
            return True
        reap_strays((pid,))


def _end_as(status: int) -> NoReturn:
    if status < 0:
        if status != -signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status if status >= 0 else 128 - status)
