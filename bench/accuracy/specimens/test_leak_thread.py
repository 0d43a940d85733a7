"""Threads that are not stopped, and what thread-locals and queues keep."""

from __future__ import annotations

import functools
import queue
import threading
from concurrent.futures import ThreadPoolExecutor


LOCAL = threading.local()
STORE = threading.local()
NEVER = threading.Event()
JOBS: queue.Queue[list[int]] = queue.Queue()
POOLS: list[ThreadPoolExecutor] = []


@functools.cache
def worker() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1)


def remember(text: str) -> int:
    if not hasattr(STORE, "items"):
        STORE.items = []
    STORE.items.append([text])
    return len(STORE.items)


def test_thread_local_of_the_main_thread() -> None:
    LOCAL.__dict__.setdefault("spans", []).append({"name": "span"})
    assert LOCAL.spans


def test_thread_local_of_a_worker() -> None:
    assert worker().submit(remember, "note").result() >= 1


def test_waiting_thread() -> None:
    thread = threading.Thread(target=NEVER.wait, daemon=True)
    thread.start()
    assert thread.is_alive()


def test_timer_not_cancelled() -> None:
    timer = threading.Timer(3600, print)
    timer.daemon = True
    timer.start()
    assert timer.is_alive()


def test_executor_not_shut_down() -> None:
    pool = ThreadPoolExecutor(1)
    POOLS.append(pool)
    assert pool.submit(sum, [1, 2]).result() == 3


def test_queue_nobody_reads() -> None:
    JOBS.put([1, 2, 3])
    assert not JOBS.empty()
