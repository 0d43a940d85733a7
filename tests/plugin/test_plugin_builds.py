"""Runs where a C library, or a build of CPython, leaves fewer counters to read."""

from __future__ import annotations

import pytest

from plugin.plugin_harness import Example


UNCOUNTED = """
    import psutil
    for module in (psutil, psutil._psplatform):
        vars(module).pop("heap_info", None)
"""
"""A C library that does not count its bytes, as musl's does not."""
SUITE = """
    KEPT = []
    class Thing: pass
    def test_keeps_one_object(): KEPT.append(Thing())
    def test_clean(): assert sorted(map(str, range(100)))
"""


@pytest.mark.parametrize("mode", ["--leaktrace", "--leaktrace-hunt"])
def test_where_nobody_counts_mallocs_bytes_a_report_says_so(example: Example, mode: str) -> None:
    suite = "KEPT = []\ndef test_leaks(): KEPT.append(bytearray(b'x') * 11_000_000)\n"
    files = {"test_a.py": suite, "plugins/sitecustomize.py": UNCOUNTED}

    ran = example.run(mode, files=files, expect=0)

    why = "heap_bytes could not be read in replays: psutil does not count what this C library's malloc has handed out"
    assert ran.book.warnings == (why,)
    assert f"warning: {why}" in " ".join(ran.text.split())


def test_where_nobody_counts_mallocs_bytes_a_hunt_finds_single_objects_by_their_blocks(spread: Example) -> None:
    ran = spread.run("--leaktrace-hunt", files={"test_a.py": SUITE, "plugins/sitecustomize.py": UNCOUNTED}, expect=0)

    assert ran.verdicts == {"test_keeps_one_object": "LEAK"}, ran.text
    assert ran.case("one_object").counter == "blocks"
