"""Wait for what is on its way out, no longer than was granted and no longer than it takes."""

from __future__ import annotations

from collections.abc import Callable

from leaktrace.pristine import time
from leaktrace.probes.model import Value


FIRST_WAIT_S = 0.001
LONGEST_WAIT_S = 0.02


def wait_for_fall(
    read: Callable[[], Value],
    at_most: int,
    grace_s: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Return as soon as `read()` is at most `at_most`, or after `grace_s`, or when it cannot be read."""
    deadline_s = clock() + grace_s
    wait_s = FIRST_WAIT_S
    while True:
        now = read()
        if not isinstance(now, int) or now <= at_most:
            return
        left_s = deadline_s - clock()
        if left_s <= 0:
            return
        pause(min(wait_s, left_s))
        wait_s = min(2 * wait_s, LONGEST_WAIT_S)
