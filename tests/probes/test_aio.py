from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading

import pytest

from leaktrace.probes import loops as loops_module
from leaktrace.probes.aio import AioProbe, loops_by_fd
from leaktrace.probes.handles import HandlesProbe
from leaktrace.probes.loops import Loops
from leaktrace.probes.model import NamingProbe, Unread


@pytest.fixture
def probe():
    gc.collect()
    yield AioProbe()
    gc.collect()


@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


async def wait_inside(event):
    await event.wait()


async def worker(event):
    await wait_inside(event)


def new_things(probe, before, noun):
    after = probe.inventory()
    return [after[key] for key in after.keys() - before.keys() if after[key].noun == noun]


async def start(coroutine):
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0)
    return task


def test_it_is_a_naming_probe(probe):
    assert isinstance(probe, NamingProbe)


def test_without_asyncio_there_are_no_tasks_and_it_is_not_imported():
    script = "import sys; from leaktrace.probes.aio import AioProbe; p = AioProbe(); print(p.read(), p.inventory(), 'asyncio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "0 {} False\n"


def test_a_pending_task_is_counted_until_it_is_done(probe, loop):
    before = probe.read()
    event = asyncio.Event()
    task = loop.run_until_complete(start(worker(event)))
    during = probe.read()
    event.set()
    loop.run_until_complete(task)

    assert (during, probe.read()) == (before + 1, before)


def test_a_done_task_that_is_still_referenced_is_not_counted(probe, loop):
    before = probe.read()
    task = loop.run_until_complete(start(asyncio.sleep(0)))
    loop.run_until_complete(task)

    assert probe.read() == before


def test_a_pending_task_is_named_by_its_coroutine_and_where_it_waits(probe, loop):
    before = probe.inventory()
    task = loop.run_until_complete(start(worker(asyncio.Event())))
    (thing,) = new_things(probe, before, "asyncio task")

    assert thing.kind == "tasks"
    assert thing.name == f"{task.get_name()} (worker)"
    assert f"waits in wait_inside at {__file__}:" in thing.detail


def test_a_frozen_task_is_named_all_the_same(probe, loop):
    before = probe.inventory()
    loop.run_until_complete(start(worker(asyncio.Event())))
    gc.freeze()
    try:
        things = new_things(probe, before, "asyncio task")
    finally:
        gc.unfreeze()

    assert len(things) == 1


def test_a_task_of_a_closed_loop_is_said_never_to_end(probe):
    before = probe.inventory()
    loop = asyncio.new_event_loop()
    task = loop.run_until_complete(start(worker(asyncio.Event())))
    loop.close()
    (thing,) = new_things(probe, before, "asyncio task")
    task._log_destroy_pending = False

    assert "its loop is closed: it will never end" in thing.detail


def test_an_open_loop_is_named_until_it_is_closed(probe):
    before = probe.inventory()
    loop = asyncio.new_event_loop()
    loop.call_later(60, print)
    (thing,) = new_things(probe, before, "event loop")
    loop.close()

    assert thing.detail == "not running, not closed, 1 callbacks scheduled"
    assert new_things(probe, before, "event loop") == []


def test_a_new_loop_never_bears_the_identity_of_an_old_one(probe):
    seen = set()
    for _ in range(3):
        loop = asyncio.new_event_loop()
        seen |= {key for key, thing in probe.inventory().items() if thing.noun == "event loop"}
        loop.close()
        del loop
        gc.collect()

    assert len(seen) >= 3


def test_an_open_transport_is_named(probe, loop):
    before = probe.inventory()
    transport, _ = loop.run_until_complete(
        loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    )
    (thing,) = new_things(probe, before, "transport")
    transport.close()

    assert "DatagramTransport" in thing.name


def test_an_unfinished_async_generator_is_named(probe, loop):
    async def numbers():
        yield 1
        yield 2

    before = probe.inventory()
    generator = numbers()
    loop.run_until_complete(generator.__anext__())
    (thing,) = new_things(probe, before, "async generator")
    loop.run_until_complete(generator.aclose())

    assert thing.name.endswith("numbers")
    assert f"not finalised, stopped at {__file__}:" in thing.detail


def test_a_task_of_another_threads_loop_is_waited_for(probe):
    before = probe.read()
    started = threading.Event()

    async def brief():
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


def test_the_descriptors_of_an_open_loop_are_said_to_be_its(loop):
    handles = HandlesProbe()
    nouns = [thing.noun for thing in handles.inventory().values()]
    handles.close()

    assert loop._selector.fileno() in loops_by_fd()
    assert nouns.count("event loop's epoll") >= 1
    assert nouns.count("event loop's socket") >= 2


def test_the_living_are_searched_only_when_there_must_be_a_new_loop(loop, monkeypatch):
    loops = Loops()
    known = loops.alive()
    searched = []
    monkeypatch.setattr(loops_module.gc, "get_objects", lambda generation: searched.append(generation) or [])
    again = loops.alive()
    assert (again, searched) == (known, [])

    asyncio.new_event_loop().close()
    assert loops.alive() == known
    assert searched == []

    monkeypatch.undo()
    other = asyncio.new_event_loop()
    assert [each for each in loops.alive() if each not in known] == [other]
    other.close()
