"""Event loops, tasks and threads that end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator


async def ticks(count: int) -> AsyncIterator[int]:
    for number in range(count):
        await asyncio.sleep(0)
        yield number


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return number * 2


async def total() -> int:
    return sum(await asyncio.gather(*(double(n) for n in range(5))))


async def in_thread() -> int:
    return await asyncio.get_running_loop().run_in_executor(None, sum, [1, 2])


async def read_all() -> list[int]:
    return [n async for n in ticks(3)]


async def cancelled() -> bool:
    task = asyncio.get_running_loop().create_task(asyncio.sleep(3600))
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return True
    return False


def test_gather() -> None:
    assert asyncio.run(total()) == 20


def test_async_generator() -> None:
    assert asyncio.run(read_all()) == [0, 1, 2]


def test_cancelled_task() -> None:
    assert asyncio.run(cancelled())


def test_executor_of_the_loop() -> None:
    assert asyncio.run(in_thread()) == 3


def test_joined_thread() -> None:
    results: list[int] = []
    thread = threading.Thread(target=results.append, args=(1,))
    thread.start()
    thread.join()
    assert results == [1]


def test_thread_that_ends_a_little_later() -> None:
    threading.Thread(target=time.sleep, args=(0.002,)).start()


def test_cancelled_timer() -> None:
    timer = threading.Timer(3600, print)
    timer.start()
    timer.cancel()
    timer.join()
    assert not timer.is_alive()


def test_generator_closed() -> None:
    generator = (n for n in range(10))
    assert next(generator) == 0
    generator.close()
