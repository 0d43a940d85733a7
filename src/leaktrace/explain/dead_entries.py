"""Entries that are dead in their owner's own terms: it keeps them for now, and sweeps them when they are many.

asyncio drops cancelled timers lazily (`BaseEventLoop._run_once`: from 100 on, when half are cancelled), pandas sweeps
dead weak references from 500 on: a sawtooth longer than any number of runs, and no leak.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from leaktrace.heap import safe
from leaktrace.pristine import sys


_HANDLES = (("asyncio.events", "Handle"), ("asyncio.events", "TimerHandle"))
_C_FUTURES = ("Task", "Future")


def are_dead(entries: Sequence[object]) -> bool:
    """Whether all that is no plain value among new entries is dead, and something is."""
    speaking = [entry for entry in entries if not safe.is_plain(entry)]
    return bool(speaking) and all(map(_is_dead, speaking))


def _is_dead(entry: object) -> bool:
    """A weak reference to nothing, a timer that was cancelled, a task or future that is done."""
    if safe.inherits(entry, weakref.ref):
        return weakref.ref.__call__(entry) is None  # type: ignore[arg-type]
    if any((safe.module_of(cls), safe.qualname_of(cls)) in _HANDLES for cls in safe.mro(type(entry))):
        return dict(safe.member_values(entry)).get("_cancelled") is True
    if type(entry) is tuple:  # as a heap keeps what is due: (when, number, timer)
        return are_dead(entry)
    futures = sys.modules.get("_asyncio")
    for name in _C_FUTURES:
        kind: Any = getattr(futures, name, None)
        if id(type(entry)) == id(kind):
            return bool(kind.done(entry))
    return False
