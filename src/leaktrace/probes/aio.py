"""asyncio: tasks still pending, and the loops, transports and generators that keep or lose them.

Nothing here imports asyncio: what a suite has not loaded it cannot leak. Of trio (and of anyio on trio) nothing can be
seen from outside, and nothing need be: `trio.run` returns only when all its tasks have ended. anyio on asyncio is
asyncio.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from itertools import chain, count
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

from leaktrace.pristine import gc, sys
from leaktrace.probes.build import is_free_threaded
from leaktrace.probes.callables import is_users, telling_place
from leaktrace.probes.loops import Loops
from leaktrace.probes.model import Counter, Thing, Unread, Value
from leaktrace.probes.waiting import wait_for_fall


TASKS = Counter(name="tasks", unit="count", kind="tasks")
WHY_UNREAD = "asyncio keeps no list of its loops, and a free-threaded CPython does not tell when one is made"


class AioProbe:
    """Counts asyncio tasks that are not done, of whichever loop and thread.

    With `deep` the list has loops, transports and generators, too, for which all living objects are looked through.
    """

    counter: Counter = TASKS

    def __init__(self, *, deep: bool = True) -> None:
        self.deep = deep
        self._loops = Loops()
        self._why = WHY_UNREAD if is_free_threaded() else ""
        self._numbers = count()
        self._serials: WeakKeyDictionary[Any, int] = WeakKeyDictionary()

    def read(self) -> Value:
        """The number of pending tasks now; 0 where asyncio has not been imported."""
        if self._why:
            return Unread(counter=TASKS.name, why=self._why)
        try:
            return sum(map(len, self._pending()))
        except Exception as exc:  # noqa: BLE001 - a task may be of any third party's type
            return Unread(counter=TASKS.name, why=f"asyncio's tasks cannot be counted: {exc!r}")

    def inventory(self) -> Mapping[Hashable, Thing] | Unread:
        """All pending tasks, open loops, open transports and unfinished async generators."""
        if "asyncio" not in sys.modules:
            return {}
        if self._why:
            return Unread(counter=TASKS.name, why=self._why)
        try:
            found_tasks = [(task, _task) for task in chain.from_iterable(self._pending())]
        except Exception as exc:  # noqa: BLE001 - as above; and a suite may put anything in asyncio's place
            return Unread(counter=TASKS.name, why=f"asyncio's tasks cannot be listed: {exc!r}")
        things: dict[Hashable, Thing] = {}
        for found, describe in chain(found_tasks, _found_by_collector() if self.deep else ()):
            thing = _thing(found, describe)
            if thing is not None:
                things[self._identity(found)] = thing
        return things

    def settle(self, grace_s: float, at_most: int | None = None) -> None:
        """Wait at most `grace_s` until at most `at_most` (by default no) tasks are left."""
        wait_for_fall(self.read, at_most or 0, grace_s)

    def _pending(self) -> Iterator[Collection[Any]]:
        """The pending tasks of each loop; asked of asyncio, for the collector does not show frozen ones."""
        for loop in self._loops.alive():
            yield sys.modules["asyncio.tasks"].all_tasks(loop)

    def _identity(self, found: Any) -> Hashable:
        try:
            if found not in self._serials:
                self._serials[found] = next(self._numbers)
            return self._serials[found]
        except TypeError:  # cannot be weakly referenced
            return type(found).__name__, id(found)


def loops_by_fd() -> dict[int, str]:
    """Which descriptors belong to which asyncio loop: its selector and the two ends by which it wakes itself."""
    if "asyncio" not in sys.modules:
        return {}
    names: dict[int, str] = {}
    for found, describe in _found_by_collector():
        for part in ("_selector", "_ssock", "_csock") if describe is _loop else ():
            try:
                fd = getattr(found, part).fileno()
            except (AttributeError, ValueError, OSError):
                continue
            names[fd] = f"of a {type(found).__name__} that is not closed"
    return names


_Describe = Callable[[Any], "Thing | None"]


def _found_by_collector() -> Iterator[tuple[Any, _Describe]]:
    """Each living object whose type can be described; a type is judged once, for there are millions of objects."""
    judged: dict[type, _Describe | None] = {}
    for found in gc.get_objects():
        kind = type(found)
        if kind not in judged:
            judged[kind] = _described_as(kind)
        describe = judged[kind]
        if describe is not None:
            yield found, describe


def _thing(found: Any, describe: _Describe) -> Thing | None:
    try:
        return describe(found)
    except Exception:  # noqa: BLE001 - a third party's loop or task may refuse any question
        return Thing(kind=TASKS.kind, noun="asyncio object", name=type(found).__name__)


def _is_a(kind: type, module: str, name: str) -> bool:
    """Whether a type is, or is derived from, a class of a module that is loaded; asks no instance."""
    base = getattr(sys.modules.get(module), name, None)
    return isinstance(base, type) and any(each is base for each in kind.__mro__)


def _described_as(kind: type) -> _Describe | None:
    if kind.__name__ == "async_generator":
        return _generator
    if kind.__module__ == "builtins":
        return None
    if _is_a(kind, "asyncio.tasks", "Task"):
        return _task
    if _is_a(kind, "asyncio.events", "AbstractEventLoop"):
        return _loop
    if _is_a(kind, "asyncio.transports", "BaseTransport"):
        return _transport
    return None


def _task(task: Any) -> Thing | None:
    if task.done():
        return None
    coroutine = task.get_coro()
    loop = task.get_loop()
    place = _deepest_place(coroutine)
    facts = [place and f"waits in {place}", loop.is_closed() and "its loop is closed: it will never end"]
    return Thing(
        kind=TASKS.kind,
        noun="asyncio task",
        name=f"{task.get_name()} ({getattr(coroutine, '__qualname__', type(coroutine).__name__)})",
        detail=", ".join(fact for fact in facts if fact),
        where=_made_at(coroutine),
    )


def _loop(loop: Any) -> Thing | None:
    if loop.is_closed():
        return None
    scheduled = len(getattr(loop, "_scheduled", ())) + len(getattr(loop, "_ready", ()))
    state = "running" if loop.is_running() else "not running, not closed"
    detail = f"{state}, {scheduled} callbacks scheduled" if scheduled else state
    return Thing(kind=TASKS.kind, noun="event loop", name=type(loop).__name__, detail=detail)


def _transport(transport: Any) -> Thing | None:
    if transport.is_closing():
        return None
    peer = transport.get_extra_info("peername")
    name = type(transport).__name__.lstrip("_")
    return Thing(kind=TASKS.kind, noun="transport", name=f"{name} to {peer}" if peer else name, detail="not closed")


def _generator(generator: Any) -> Thing | None:
    frame = generator.ag_frame
    if frame is None or frame.f_lasti < 0:
        return None  # finished, or never begun: nothing waits in it
    place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    return Thing(
        kind=TASKS.kind,
        noun="async generator",
        name=generator.__qualname__,
        detail=f"not finalised, stopped at {place}",
    )


def _deepest_place(coroutine: Any) -> str | None:
    """`function at file:line` of the innermost await in the user's or a library's code."""
    place = None
    for frame in _awaited(coroutine):
        if place is None or is_users(frame.f_code.co_filename):
            place = f"{frame.f_code.co_name} at {frame.f_code.co_filename}:{frame.f_lineno}"
    return place


def _awaited(waiting: Any) -> Iterator[FrameType]:
    for _ in range(1000):  # a chain of awaits is no longer than the recursion limit
        for prefix, then in (("cr", "cr_await"), ("ag", "ag_await"), ("gi", "gi_yieldfrom")):
            frame = getattr(waiting, f"{prefix}_frame", None)
            if frame is not None:
                yield frame
                waiting = getattr(waiting, then)
                break
        else:
            return


def _made_at(coroutine: Any) -> str | None:
    """`file:line` that called the coroutine function, if `origins` had the interpreter keep it."""
    return telling_place((file, line) for file, line, _function in getattr(coroutine, "cr_origin", None) or ())
