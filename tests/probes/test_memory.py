from __future__ import annotations

import os

import pytest

from leaktrace.probes.memory import HeapProbe
from leaktrace.probes.model import Value
from leaktrace.probes.procfs import ON_LINUX


pytestmark = pytest.mark.skipif(not ON_LINUX, reason="only glibc counts so")
PAGE = os.sysconf("SC_PAGE_SIZE") if ON_LINUX else 0


def read_all(*mapped: int) -> list[Value]:
    counts = iter(mapped)
    probe = HeapProbe(lambda: (100, next(counts)))
    return [probe.read() for _ in mapped]


@pytest.mark.reads("heap_bytes")
def test_bytes_in_use_are_those_of_the_heap_and_of_its_mappings() -> None:
    assert read_all(0, 5 * PAGE) == [100, 100 + 5 * PAGE]


@pytest.mark.reads("heap_bytes")
def test_what_glibc_adds_whenever_a_mapping_is_resized_is_no_growth() -> None:
    drifting = [5 * PAGE + 16 * resizes for resizes in range(1000)]

    assert set(read_all(*drifting)) == {100 + 5 * PAGE}


@pytest.mark.reads("heap_bytes")
def test_a_mapping_that_grows_by_pages_grows_though_the_sum_has_drifted() -> None:
    assert read_all(PAGE + 32, 3 * PAGE + 48) == [100 + PAGE, 100 + 3 * PAGE]
