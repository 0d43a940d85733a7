from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leaktrace.probes.model import NamingProbe
from leaktrace.probes.processes import ChildrenMemoryProbe, ProcessesProbe
from leaktrace.probes.procfs import ON_LINUX
from leaktrace.probes.threads import ThreadsProbe
from probes.probe_readings import count_of, new_things, things_of


class Alone(ThreadsProbe):
    """Counted anew whenever somebody asks for children, as a keeper does."""

    @property
    def alone(self) -> bool:
        return self.read() == 1

    @alone.setter
    def alone(self, value: bool) -> None:
        pass


@pytest.fixture(params=["by exception", "by the list of the only thread"])
def probe(request: pytest.FixtureRequest) -> Iterator[ProcessesProbe]:
    made = ProcessesProbe(threads=None if request.param == "by exception" else Alone())
    yield made
    made.close()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "30"]) as process:
        cmdline = Path(f"/proc/{process.pid}/cmdline")
        # Popen returns when exec closes its pipe, which is before the kernel has set up the new command line.
        while ON_LINUX and not cmdline.read_bytes():
            time.sleep(0.001)
        yield process
        process.kill()


def test_it_is_a_naming_probe(probe: ProcessesProbe) -> None:
    assert isinstance(probe, NamingProbe)


def test_a_started_child_raises_the_count_until_it_is_waited_for(probe: ProcessesProbe) -> None:
    before = count_of(probe)
    with subprocess.Popen(["sleep", "30"]) as process:
        during = probe.read()
        process.kill()

    assert (during, probe.read()) == (before + 1, before)


def test_a_zombie_is_counted_and_left_for_its_parent_to_reap(probe: ProcessesProbe) -> None:
    before = count_of(probe)
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    known = things_of(probe)

    assert probe.read() == before + 1
    assert process.wait() == 0
    assert any(thing.noun == "zombie process" and "nobody has waited" in thing.detail for thing in known.values())


def test_a_child_is_counted_after_a_test_has_closed_every_descriptor() -> None:
    script = """
import os, subprocess
from leaktrace.probes.resources import probes_of_kinds
threads, processes = probes_of_kinds({"threads", "processes"})
counts = [threads.read() and processes.read()]
os.closerange(3, 1024)
counts.append(threads.read() and processes.read())
child = subprocess.Popen(["sleep", "30"])
counts.append(threads.read() and processes.read())
child.kill()
child.wait()
counts.append(threads.read() and processes.read())
print(counts)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "[0, 0, 1, 0]\n"


def test_a_child_started_by_another_thread_is_counted(probe: ProcessesProbe) -> None:
    before = count_of(probe)
    started, release = threading.Event(), threading.Event()

    def work() -> None:
        with subprocess.Popen(["sleep", "30"]) as process:
            started.set()
            release.wait(5)
            process.kill()

    thread = threading.Thread(target=work)
    thread.start()
    started.wait(5)
    try:
        assert probe.read() == before + 1
    finally:
        release.set()
        thread.join()


def test_a_child_is_named_by_its_command_line(probe: ProcessesProbe, sleeper: subprocess.Popen[bytes]) -> None:
    by_pid = {key[0]: thing for key, thing in things_of(probe).items() if isinstance(key, tuple)}
    thing = by_pid[sleeper.pid]

    assert (thing.kind, thing.noun, thing.name) == ("processes", "child process", "sleep 30")
    assert thing.detail.startswith(f"pid {sleeper.pid}, running, ")


def test_a_multiprocessing_child_bears_its_process_name(probe: ProcessesProbe) -> None:
    context = (
        multiprocessing.get_context("fork") if sys.version_info < (3, 12) else multiprocessing.get_context("spawn")
    )
    release = context.Event()
    before = things_of(probe)
    process = context.Process(target=release.wait, args=(5,), name="importer")
    process.start()
    try:
        things = new_things(probe, before)
    finally:
        release.set()
        process.join()
        process.close()

    assert any(thing.name.startswith("importer: ") for thing in things)


def test_settling_waits_for_a_child_that_is_about_to_be_reaped(probe: ProcessesProbe) -> None:
    before = count_of(probe)
    process = subprocess.Popen(["sleep", "0.05"])
    waiter = threading.Thread(target=process.wait)
    waiter.start()

    probe.settle(2, at_most=before)

    assert probe.read() == before
    waiter.join()


def test_the_memory_of_a_childs_whole_tree_is_read() -> None:
    probe = ChildrenMemoryProbe()
    before = count_of(probe)
    script = "import subprocess; p = subprocess.Popen(['sleep', '30']); print(flush=True); input(); p.kill(); p.wait()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert count_of(probe) > before + 5_000_000
        process.communicate(b"\n")


def test_the_helpers_that_multiprocessing_keeps_for_good_are_no_things() -> None:
    script = """
import multiprocessing.resource_tracker as tracker
from leaktrace.probes.handles import HandlesProbe
from leaktrace.probes.processes import ProcessesProbe
processes, handles = ProcessesProbe(), HandlesProbe()
before = handles.inventory().keys()
tracker.ensure_running()
print(processes.read(), len(processes.inventory()), len(handles.inventory().keys() - before))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["1", "0", "0"]
