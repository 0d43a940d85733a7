"""Our own descriptors, kept out of the way of the tests."""

from __future__ import annotations

from collections.abc import Callable

from leaktrace.pristine import fcntl, os, resource


ROOM = 64
"""How far below the limit of open files our descriptors are placed."""
FEW = 4 * ROOM


def keep_high(fd: int, *, close: Callable[[int], None] = os.close) -> int:
    """Move a descriptor to a high number, closed on exec, and return it.

    Tests see the numbers that they would see without us, and one that closes 3 to 255 and opens files anew cannot get
    a number that we would then write to. Where the platform cannot duplicate to a floor, the descriptor stays.
    """
    try:
        moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, floor())
    except (OSError, ValueError, AttributeError):  # no such number, or no such call on Windows
        return fd
    close(fd)
    return moved


def floor() -> int:
    """The number from which on our descriptors are placed."""
    return max(16, min(_limit(), 1024) - ROOM)


def are_few() -> bool:
    """Whether so few files may be open that each one we held might be missing in a test."""
    return _limit() < FEW


def _limit() -> int:
    try:
        soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    except (OSError, ValueError, AttributeError):  # not on Windows
        return 1024
    return soft if soft >= 0 else 1024
