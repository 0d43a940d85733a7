"""Native leaks: with memray the C functions that allocate, without it the Python line that was running."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys

import pytest

from plugin.plugin_harness import Example


BLOB = """
    #include <stdlib.h>
    #include <string.h>
    static void *reserve(size_t size) { void *block = malloc(size); memset(block, 1, size); return block; }
    int blob_open(int size) { reserve(size); return 0; }
    """
FILES = {
    "blobs.py": """
        import ctypes, pathlib
        LIBRARY = ctypes.CDLL(str(pathlib.Path(__file__).with_name("libblob.so")))
        KEPT = []
        def load(size): return LIBRARY.blob_open(size)
        """,
    "test_a.py": """
        import blobs
        def test_native(): blobs.load(3_000_000)
        def test_python(): blobs.KEPT.append(bytearray(3_000_000))
        """,
    "plugins/no_memray.py": "import sys; sys.modules['memray'] = None",
    "blob.c": BLOB,
}
COMPILER = shutil.which("cc") or shutil.which("gcc")


@pytest.fixture
def suite(example: Example) -> Example:
    if sys.platform != "linux" or COMPILER is None:
        pytest.skip("needs Linux, where native memory is counted exactly, and a C compiler")
    example.write(FILES)
    arguments = ["-g", "-O0", "-shared", "-fPIC", "-o", "libblob.so", "blob.c"]
    subprocess.run([COMPILER, *arguments], cwd=example.path, check=True)
    return example


@pytest.mark.skipif(importlib.util.find_spec("memray") is None, reason="needs memray, the extra native")
def test_the_c_functions_that_allocate_are_named_out_to_the_tests_own_line(suite: Example) -> None:
    ran = suite.run("--leaktrace", "--leaktrace-limit=1MB", expect=0)

    case = ran.case("test_native")
    assert (case.verdict.value, case.exhibit.native, case.exhibit.holder) == ("LEAK", True, None)
    in_c = case.exhibit.sites[0]
    assert [frame.function for frame in in_c.stack] == ["reserve", "blob_open", "load", "test_native"]
    assert (in_c.stack[0].file, in_c.stack[0].line) == ("blob.c", 4)
    assert (in_c.stack[-1].file, in_c.stack[-1].line) == ("test_a.py", 3)
    assert in_c.bytes_per_run == pytest.approx(3e6, rel=0.01)
    said = " ".join(ran.report.split())
    assert "made in C reserve (blob.c:4), 3.0 MB a run by blob_open (blob.c:5) by load (blobs.py:5) by" in said
    assert "pip install" not in said
    assert not ran.case("test_python").exhibit.native


@pytest.mark.reads("heap_bytes")
def test_without_memray_the_line_that_was_running_is_named_and_how_to_see_more(suite: Example) -> None:
    ran = suite.run("-p", "no_memray", "--leaktrace", "--leaktrace-limit=1MB", "-k", "native", expect=0)

    [site] = ran.case("test_native").exhibit.sites
    assert (site.file, site.line, site.function) == ("blobs.py", 5, "load")
    assert site.bytes_per_run == pytest.approx(3e6, rel=0.01)
    assert 'pip install "pytest-leaktrace[native]" shows the native frames' in " ".join(ran.report.split())
