from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from leaktrace.options import KINDS
from leaktrace.probes import words
from leaktrace.probes.model import NamingProbe, Probe, Unread
from leaktrace.probes.resources import probes_of_kinds
from leaktrace.suspects.things import COUNTERS
from leaktrace.verdict.words import NOUNS


RESOURCES = KINDS[2:]


def default_probes() -> tuple[Probe, ...]:
    return probes_of_kinds(RESOURCES)


def test_each_probe_reads_a_number_or_says_why_not() -> None:
    for probe in default_probes():
        value = probe.read()
        assert isinstance(value, (int, Unread))
        assert value is not True


def test_no_two_probes_share_a_counter() -> None:
    names = [probe.counter.name for probe in default_probes()]

    assert len(names) == len(set(names))


def test_reading_and_listing_twice_changes_nothing() -> None:
    gc.collect()
    # The inexact ones read what other processes change, too.
    probes = [probe for probe in default_probes() if isinstance(probe, NamingProbe) and probe.counter.exact]
    before = {probe.counter.name: probe.inventory() for probe in probes}
    counts = [probe.read() for probe in probes]

    assert {probe.counter.name: probe.inventory() for probe in probes} == before
    assert [probe.read() for probe in probes] == counts


def test_the_probes_import_nothing_that_a_suite_has_not_loaded() -> None:
    script = (
        "import psutil, sys, pytest; before = set(sys.modules); "
        f"from leaktrace.probes.resources import probes_of_kinds; [p.read() for p in probes_of_kinds({RESOURCES})]; "
        "print(sorted(name for name in set(sys.modules) - before if not name.startswith('leaktrace')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_a_forked_child_reads_its_own_descriptors_threads_and_children() -> None:
    script = """
import os
from leaktrace.options import KINDS
from leaktrace.probes.resources import probes_of_kinds
probes = {p.counter.name: p for p in probes_of_kinds(KINDS[2:])}
kept = [os.dup(0) for _ in range(5)]
before = probes["fds"].read()
pid = os.fork()
if pid == 0:
    for fd in kept:
        os.close(fd)
    # Its own windows on /proc are opened anew, and the inherited ones are left alone.
    print(before - probes["fds"].read() in (4, 5), probes["threads"].read(), probes["processes"].read(), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
print(before == probes["fds"].read(), flush=True)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "True 1 0\nTrue\n"


@pytest.mark.parametrize("kind", RESOURCES)
def test_each_kind_that_may_be_asked_for_is_read_by_a_probe(kind: str) -> None:
    assert probes_of_kinds([kind])


@pytest.mark.parametrize("kind", RESOURCES)
def test_each_kind_has_words_for_what_is_left(kind: str) -> None:
    assert kind in words._BY_KIND


def test_each_counter_has_a_noun_in_the_reasons_of_verdicts() -> None:
    counted = [probe.counter for probe in default_probes() if probe.counter.unit == "count"]
    assert [counter.name for counter in counted if counter.name not in NOUNS] == []


def test_each_kind_leads_to_its_counter() -> None:
    for probe in default_probes():
        kind = probe.counter.kind
        assert COUNTERS.get(kind, kind) in {each.counter.name for each in probes_of_kinds([kind])}
