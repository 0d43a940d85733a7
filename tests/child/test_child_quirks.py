"""What an interpreter keeps of each call or path, and does not have to."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from leaktrace.child.cpython_quirks import mortal_paths


def blocks_kept_of_a_thousand_paths(within: str) -> int:
    script = textwrap.dedent(
        f"""
        import contextlib, gc, pathlib, sys
        from leaktrace.child.cpython_quirks import mortal_paths

        def make(start):
            for number in range(start, start + 1000):
                pathlib.Path("/nowhere/of_" + str(number), "file").parent.name

        with {within}():
            make(0)
            before = sys.getallocatedblocks()
            make(1000)
            print(sys.getallocatedblocks() - before)
        """
    )
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    return int(ran.stdout)


def test_no_path_is_remembered() -> None:
    assert blocks_kept_of_a_thousand_paths("mortal_paths") < 100


@pytest.mark.skipif(sys.version_info[:2] != (3, 12), reason="only CPython 3.12 keeps what it interned")
def test_3_12_would_remember_each_path() -> None:
    assert blocks_kept_of_a_thousand_paths("contextlib.nullcontext") >= 1000


def test_pathlib_is_itself_again_afterwards() -> None:
    import pathlib

    with mortal_paths():
        assert pathlib.Path("a/b").name == "b"

    assert pathlib.Path("a/b").parts == ("a", "b")
    assert getattr(pathlib, "sys", sys) is sys
