from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from leaktrace.probes.model import NamingProbe
from leaktrace.probes.threads import POOL_THREAD, ThreadsProbe
from probes.probe_readings import count_of, new_things, things_of


@pytest.fixture
def probe() -> Iterator[ThreadsProbe]:
    probe = ThreadsProbe()
    probe.settle(0.2, at_most=threading.active_count())
    yield probe
    probe.close()


@contextmanager
def waiting_thread(**options: Any) -> Iterator[threading.Thread]:
    release = threading.Event()
    thread = threading.Thread(target=wait_for_release, args=(release,), **options)
    thread.start()
    try:
        yield thread
    finally:
        release.set()
        thread.join()


def wait_for_release(release: threading.Event) -> None:
    release.wait(5)


def test_it_is_a_naming_probe(probe: ThreadsProbe) -> None:
    assert isinstance(probe, NamingProbe)


def test_a_started_thread_raises_the_count_by_one(probe: ThreadsProbe) -> None:
    before = count_of(probe)
    with waiting_thread():
        assert probe.read() == before + 1


def test_a_joined_thread_is_gone_after_settling(probe: ThreadsProbe) -> None:
    before = count_of(probe)
    with waiting_thread():
        pass
    probe.settle(0.2, at_most=before)

    assert probe.read() == before


def test_a_thread_that_ends_late_is_waited_for(probe: ThreadsProbe) -> None:
    before = count_of(probe)
    thread = threading.Thread(target=time.sleep, args=(0.05,))
    thread.start()

    probe.settle(1, at_most=before)

    assert not thread.is_alive()


def test_settling_gives_up_when_the_grace_is_spent(probe: ThreadsProbe) -> None:
    before = count_of(probe)
    with waiting_thread():
        probe.settle(0.01, at_most=before)
        assert probe.read() == before + 1


def test_a_thread_is_named_with_target_and_what_it_does_now(probe: ThreadsProbe) -> None:
    before = things_of(probe)
    with waiting_thread(name="poller", daemon=True):
        (thing,) = new_things(probe, before)

    assert (thing.kind, thing.noun, thing.name) == ("threads", "thread", "poller")
    assert "daemon, target test_threads.wait_for_release" in thing.detail
    assert f"now in wait_for_release at {__file__}:" in thing.detail


def test_a_subclass_is_named_by_its_run_method(probe: ThreadsProbe) -> None:
    release = threading.Event()

    class Poller(threading.Thread):
        def run(self) -> None:
            release.wait(5)

    before = things_of(probe)
    poller = Poller()
    poller.start()
    try:
        (thing,) = new_things(probe, before)
    finally:
        release.set()
        poller.join()

    assert "Poller.run" in thing.detail


def test_a_target_without_a_module_is_named_all_the_same(probe: ThreadsProbe) -> None:
    lock = threading.Lock()
    lock.acquire()
    before = things_of(probe)
    thread = threading.Thread(target=lock.acquire, kwargs={"timeout": 5})
    thread.start()
    try:
        (thing,) = new_things(probe, before)
    finally:
        lock.release()
        thread.join()

    assert "target lock.acquire" in thing.detail


def test_a_thread_unknown_to_threading_is_called_native(probe: ThreadsProbe) -> None:
    release = _thread.allocate_lock()
    release.acquire()
    before = things_of(probe)
    _thread.start_new_thread(release.acquire, (True, 5))
    try:
        (thing,) = new_things(probe, before)
    finally:
        release.release()

    assert thing.noun == "native thread"


def test_an_executors_idle_worker_is_a_pool_thread_with_its_bound(probe: ThreadsProbe) -> None:
    before = things_of(probe)
    with ThreadPoolExecutor(max_workers=4, thread_name_prefix="db") as executor:
        executor.submit(int).result()
        executor._idle_semaphore.acquire(timeout=5)  # the worker has gone back to its queue
        (thing,) = new_things(probe, before)

    assert thing.noun == POOL_THREAD
    assert thing.detail == "one of 1, at most 4, workers of ThreadPoolExecutor 'db', idle now"


def test_an_executors_busy_worker_tells_where_it_is(probe: ThreadsProbe) -> None:
    release = threading.Event()
    before = things_of(probe)
    with ThreadPoolExecutor(max_workers=1) as executor:
        executor.submit(wait_for_release, release)
        while not release._cond._waiters:  # type: ignore[attr-defined]  # private
            time.sleep(0.001)
        (thing,) = new_things(probe, before)
        release.set()

    assert "now in wait_for_release at" in thing.detail


def test_the_count_survives_the_loss_of_our_descriptor(probe: ThreadsProbe) -> None:
    import os

    before = count_of(probe)
    os.close(probe.tasks.fd)
    assert probe.read() == before


def test_another_file_under_our_descriptors_number_is_not_believed(probe: ThreadsProbe, tmp_path: Path) -> None:
    import os

    before = count_of(probe)
    ours = probe.tasks.fd
    theirs = os.open(tmp_path, os.O_RDONLY)
    os.dup2(theirs, ours)
    try:
        assert probe.read() == before
    finally:
        os.close(theirs)
        os.close(ours)
