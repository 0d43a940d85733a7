"""Threads, Python's and native ones: how many, which, and what each is doing now."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from types import FrameType
from typing import TYPE_CHECKING

from leaktrace.masking import masked
from leaktrace.pristine import psutil, sys, threading
from leaktrace.probes.callables import callable_name, frame_place, outward
from leaktrace.probes.model import THREADS, Counter, Thing, Unread, Value
from leaktrace.probes.procfs import ON_LINUX, START_TIME, HeldDir, names_in, stat_fields, text
from leaktrace.probes.waiting import wait_for_fall


if TYPE_CHECKING:
    from leaktrace.probes.origins import Origins

POOL_THREAD = "pool thread"
"""The noun of an executor's worker: one of a bounded number, kept on purpose."""

_DOT_AND_DOTDOT = 2


class ThreadsProbe:
    """Counts the process's threads, whoever started them.

    On Linux a thread is counted until the kernel has buried it, which may be a moment after `join()` has returned:
    `settle` before accusing.
    """

    counter: Counter = THREADS

    def __init__(self, *, origins: Origins | None = None) -> None:
        self.tasks = HeldDir("/proc/self/task")
        self._origins = origins
        self.alone = False
        """Whether the last count found no thread but the main one."""

    def read(self) -> Value:
        """The number of threads now."""
        try:
            if ON_LINUX:
                count = self.tasks.stat().st_nlink - _DOT_AND_DOTDOT
                self.alone = count == 1
                return count
            return psutil.Process().num_threads()
        except (OSError, psutil.Error) as exc:
            self.alone = False
            return Unread(counter=THREADS.name, why=f"threads cannot be counted: {exc}")

    def inventory(self) -> Mapping[Hashable, Thing] | Unread:
        """All threads by thread id and start time."""
        known = {thread.native_id: thread for thread in threading.enumerate()}
        try:
            ids = map(int, names_in("/proc/self/task")) if ON_LINUX else filter(None, known)
        except OSError as exc:
            return Unread(counter=THREADS.name, why=f"/proc/self/task cannot be listed: {exc}")
        frames = sys._current_frames()  # noqa: SLF001 - the documented way to see what other threads do
        frames.pop(threading.get_ident(), None)  # what this thread does now is to look
        things: dict[Hashable, Thing] = {}
        for tid in ids:
            thread = known.get(tid)
            started = _start_time(tid)
            if started is None and thread is None:
                continue  # ended between the listing and now
            if thread is None:
                things[tid, started] = _native(tid)
            else:
                frame = frames.get(thread.ident) if thread.ident is not None else None
                things[tid, started] = self._python(thread, frame)
        return things

    def settle(self, grace_s: float, at_most: int | None = None) -> None:
        """Wait at most `grace_s` for threads to end, until `at_most` (by default: the main thread alone) are left."""
        wait_for_fall(self.read, 1 if at_most is None else at_most, grace_s)

    def close(self) -> None:
        """Give back the descriptor that the probe holds."""
        self.tasks.close()

    def _python(self, thread: threading.Thread, frame: FrameType | None) -> Thing:
        pool = _pool_of(thread)
        facts = ["daemon"] if thread.daemon and not pool else []
        facts.append(pool or _job_of(thread))
        if frame is not None:
            facts.append("idle now" if pool and not _is_busy(frame) else f"now in {frame_place(frame)}")
        return Thing(
            kind=THREADS.kind,
            noun=POOL_THREAD if pool else "thread",
            name=masked(str(thread.name)),
            detail=", ".join(fact for fact in facts if fact),
            where=self._origins.of_thread(thread) if self._origins else None,
        )


def _start_time(tid: int) -> str | None:
    fields = stat_fields(f"/proc/self/task/{tid}/stat")
    return fields[START_TIME] if len(fields) > START_TIME else None


def _native(tid: int) -> Thing:
    name = text(f"/proc/self/task/{tid}/comm").strip()
    return Thing(
        kind=THREADS.kind,
        noun="native thread",
        name=name or f"thread {tid}",
        detail="started by C code or by `_thread`, unknown to `threading`",
    )


def _job_of(thread: threading.Thread) -> str:
    target = getattr(thread, "_target", None)
    if target is not None:
        return f"target {callable_name(target)}"
    if type(thread) in (threading.Thread, threading._MainThread, threading._DummyThread):  # type: ignore[attr-defined]  # noqa: SLF001
        return ""
    return f"runs {callable_name(type(thread).run)}"


def _pool_of(thread: threading.Thread) -> str:
    """What is known of the executor whose worker the thread is, or "" where it is none's."""
    executors = sys.modules.get("concurrent.futures.thread")
    if executors is None or thread not in getattr(executors, "_threads_queues", ()):
        return ""
    args = getattr(thread, "_args", None) or (None,)
    executor = args[0]() if callable(args[0]) else None
    if executor is None:
        return "worker of a ThreadPoolExecutor that was dropped without shutdown()"
    bound = getattr(executor, "_max_workers", "?")
    size = len(getattr(executor, "_threads", ()))
    prefix = getattr(executor, "_thread_name_prefix", "")
    return f"one of {size}, at most {bound}, workers of ThreadPoolExecutor {prefix!r}"


def _is_busy(frame: FrameType) -> bool:
    """Whether an executor's worker runs somebody's work, rather than waits for some."""
    executors = sys.modules["concurrent.futures.thread"]
    work = getattr(getattr(executors, "_WorkItem", None), "run", None)
    return any(each.f_code is getattr(work, "__code__", None) for each in outward(frame))
