from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import Any

import pytest

from leaktrace import pristine
from leaktrace.probes.aio import AioProbe, loops_by_fd
from leaktrace.probes.handles import HandlesProbe
from leaktrace.probes.loops import Loops
from leaktrace.probes.model import NamingProbe, Unread
from probes.probe_readings import count_of, new_things, things_of


pytestmark = pytest.mark.reads("tasks")


@pytest.fixture
def probe() -> Iterator[AioProbe]:
    gc.collect()
    yield AioProbe()
    gc.collect()


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


async def wait_inside(event: asyncio.Event) -> None:
    await event.wait()


async def worker(event: asyncio.Event) -> None:
    await wait_inside(event)


async def start(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0)
    return task


def test_it_is_a_naming_probe(probe: AioProbe) -> None:
    assert isinstance(probe, NamingProbe)


def test_without_asyncio_there_are_no_tasks_and_it_is_not_imported() -> None:
    script = "import sys; from leaktrace.probes.aio import AioProbe; p = AioProbe(); print(p.read(), p.inventory(), 'asyncio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "0 {} False\n"


def test_a_pending_task_is_counted_until_it_is_done(probe: AioProbe, loop: asyncio.AbstractEventLoop) -> None:
    before = count_of(probe)
    event = asyncio.Event()
    task = loop.run_until_complete(start(worker(event)))
    during = probe.read()
    event.set()
    loop.run_until_complete(task)

    assert (during, probe.read()) == (before + 1, before)


def test_a_done_task_that_is_still_referenced_is_not_counted(probe: AioProbe, loop: asyncio.AbstractEventLoop) -> None:
    before = count_of(probe)
    task = loop.run_until_complete(start(asyncio.sleep(0)))
    loop.run_until_complete(task)

    assert probe.read() == before


def test_a_pending_task_is_named_by_its_coroutine_and_where_it_waits(
    probe: AioProbe, loop: asyncio.AbstractEventLoop
) -> None:
    before = things_of(probe)
    task = loop.run_until_complete(start(worker(asyncio.Event())))
    (thing,) = new_things(probe, before, "asyncio task")

    assert thing.kind == "tasks"
    assert thing.name == f"{task.get_name()} (worker)"
    assert f"waits in wait_inside at {__file__}:" in thing.detail


def test_a_frozen_task_is_named_all_the_same(probe: AioProbe, loop: asyncio.AbstractEventLoop) -> None:
    before = things_of(probe)
    loop.run_until_complete(start(worker(asyncio.Event())))
    gc.freeze()
    try:
        things = new_things(probe, before, "asyncio task")
    finally:
        gc.unfreeze()

    assert len(things) == 1


def test_a_task_of_a_closed_loop_is_said_never_to_end(probe: AioProbe) -> None:
    before = things_of(probe)
    loop = asyncio.new_event_loop()
    task = loop.run_until_complete(start(worker(asyncio.Event())))
    loop.close()
    (thing,) = new_things(probe, before, "asyncio task")
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # private

    assert "its loop is closed: it will never end" in thing.detail


def test_an_open_loop_is_named_until_it_is_closed(probe: AioProbe) -> None:
    before = things_of(probe)
    loop = asyncio.new_event_loop()
    loop.call_later(60, print)
    (thing,) = new_things(probe, before, "event loop")
    loop.close()

    assert thing.detail == "not running, not closed, 1 callbacks scheduled"
    assert new_things(probe, before, "event loop") == []


def test_a_new_loop_never_bears_the_identity_of_an_old_one(probe: AioProbe) -> None:
    seen = set()
    for _ in range(3):
        loop = asyncio.new_event_loop()
        seen |= {key for key, thing in things_of(probe).items() if thing.noun == "event loop"}
        loop.close()
        del loop
        gc.collect()

    assert len(seen) >= 3


def test_an_open_transport_is_named(probe: AioProbe, loop: asyncio.AbstractEventLoop) -> None:
    before = things_of(probe)
    transport, _ = loop.run_until_complete(
        loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    )
    (thing,) = new_things(probe, before, "transport")
    transport.close()

    assert "DatagramTransport" in thing.name


def test_an_unfinished_async_generator_is_named(probe: AioProbe, loop: asyncio.AbstractEventLoop) -> None:
    async def numbers() -> AsyncGenerator[int]:
        yield 1
        yield 2

    before = things_of(probe)
    generator = numbers()
    loop.run_until_complete(generator.__anext__())
    (thing,) = new_things(probe, before, "async generator")
    loop.run_until_complete(generator.aclose())

    assert thing.name.endswith("numbers")
    assert f"not finalised, stopped at {__file__}:" in thing.detail


def test_a_task_of_another_threads_loop_is_waited_for(probe: AioProbe) -> None:
    before = count_of(probe)
    started = threading.Event()

    async def brief() -> None:
        started.set()
        await asyncio.sleep(0.05)

    thread = threading.Thread(target=asyncio.run, args=(brief(),))
    thread.start()
    started.wait(5)
    during = probe.read()
    probe.settle(2, at_most=before)
    after = probe.read()
    thread.join()

    assert not isinstance(during, Unread)
    assert (during > before, after) == (True, before)


def test_the_descriptors_of_an_open_loop_are_said_to_be_its(loop: asyncio.AbstractEventLoop) -> None:
    handles = HandlesProbe()
    nouns = [thing.noun for thing in things_of(handles).values()]
    handles.close()

    assert loop._selector.fileno() in loops_by_fd()  # type: ignore[attr-defined]  # private
    assert nouns.count("event loop's epoll") >= 1
    assert nouns.count("event loop's socket") >= 2


def test_the_living_are_searched_only_when_there_must_be_a_new_loop(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    loops = Loops()
    known = loops.alive()
    searched: list[int] = []

    def get_objects(generation: int) -> list[object]:
        searched.append(generation)
        return []

    monkeypatch.setattr(pristine.gc, "get_objects", get_objects)
    again = loops.alive()
    assert (again, searched) == (known, [])

    asyncio.new_event_loop().close()
    assert loops.alive() == known
    assert searched == []

    monkeypatch.undo()
    other = asyncio.new_event_loop()
    assert [each for each in loops.alive() if each not in known] == [other]
    other.close()
