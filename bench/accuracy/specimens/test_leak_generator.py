"""Generators, coroutines and tasks that are started and never finished."""

from __future__ import annotations

import asyncio
import functools
import types
from collections.abc import AsyncGenerator, Coroutine, Generator


STREAMS: list[Generator[int, None, None]] = []
FEEDS: list[AsyncGenerator[int, None]] = []
WAITERS: list[Coroutine[None, None, None]] = []
FUTURES: list[asyncio.Future[None]] = []


@functools.cache
def loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def numbers() -> Generator[int, None, None]:
    row = list(range(30))
    yield from row


def collector() -> Generator[int, str, None]:
    lines: list[list[str]] = []
    while True:
        lines.append([(yield len(lines))])


@functools.cache
def sink() -> Generator[int, str, None]:
    generator = collector()
    next(generator)
    return generator


async def feed() -> AsyncGenerator[int, None]:
    for number in range(10):
        yield number


@types.coroutine
def pause() -> Generator[None, None, None]:
    yield


async def wait() -> None:
    await pause()


async def hang(future: asyncio.Future[None]) -> None:
    await future


def test_suspended_generators() -> None:
    stream = numbers()
    assert next(stream) == 0
    STREAMS.append(stream)


def test_local_list_of_one_generator() -> None:
    assert sink().send("line") >= 1


def test_suspended_async_generators() -> None:
    stream = feed()
    with_value = stream.__anext__()
    try:
        with_value.send(None)
    except StopIteration as stop:
        assert stop.value == 0
    FEEDS.append(stream)


def test_suspended_coroutines() -> None:
    coroutine = wait()
    coroutine.send(None)
    WAITERS.append(coroutine)


def test_tasks_that_wait_for_ever() -> None:
    async def start() -> None:
        future = asyncio.get_running_loop().create_future()
        FUTURES.append(future)
        asyncio.get_running_loop().create_task(hang(future))
        await asyncio.sleep(0)

    loop().run_until_complete(start())
    assert not FUTURES[-1].done()


def test_timers_of_a_shared_loop() -> None:
    loop().call_later(10**6, print, "late")
    assert not loop().is_running()
