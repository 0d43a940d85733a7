"""What a replay leaves behind: the tree that a plain run leaves, and nothing anywhere else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="records are kept on POSIX only")
WRITES = {
    "adds to a file": "open('count.txt', 'a').write('1')",
    "removes a file": "pathlib.Path('there.txt').unlink(missing_ok=True)",
    "makes folders": "pathlib.Path('a/b').mkdir(parents=True, exist_ok=True)",
    "fills pytest's cache": "request.config.cache.set('runs', request.config.cache.get('runs', 0) + 1)",
    "keeps a database": "sqlite3.connect('runs.db').execute('create table if not exists t (a)').connection.commit()",
    "makes a name of its own": "tempfile.mkstemp(dir='.')",
}


def picture(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder but our own and bytecode, with its content, and every folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.endswith((".pyc", "__pycache__")) or name.startswith((".pytest_cache/d", "test_", "tmp")):
            continue
        found[name] = path.read_bytes() if path.is_file() else None
    return found


Left: TypeAlias = Callable[..., tuple[dict[str, bytes | None], int, pytest.RunResult]]


@pytest.fixture
def left(pytester: pytest.Pytester) -> Left:
    """Run a test that leaks and does something on disk, and say what is there afterwards."""

    def run(*arguments: str) -> tuple[dict[str, bytes | None], int, pytest.RunResult]:
        body = ["KEPT.append(b'x' * 20_000_000)", *WRITES.values()]
        test = "import pathlib, sqlite3, tempfile\nKEPT = []\ndef test_keeps(request):\n    " + "\n    ".join(body)
        pytester.makepyfile(test_it=test)
        (pytester.path / "there.txt").write_text("there")
        result = pytester.runpytest_subprocess("-p", "no:randomly", *arguments)
        assert result.ret == 0
        return picture(pytester.path), len(list(pytester.path.glob("tmp*"))), result

    return run


def test_what_replayed_tests_do_on_disk_is_put_back(left: Left) -> None:
    files, names, result = left("--leaktrace")

    result.stdout.fnmatch_lines(["*LEAK*test_it.py::test_keeps*"])
    assert names == 1
    assert files["count.txt"] == b"1"
    assert files[".pytest_cache/v/runs"] == b"1"
    assert "there.txt" not in files
    assert "a/b" in files


def test_a_replay_draws_what_the_run_drew(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_randomly")
    pytester.makepyfile(
        """
        import pathlib, random
        KEPT = []

        def test_keeps():
            told = pathlib.Path("drawn.txt")
            drawn = str(random.random())
            if not told.exists():
                told.write_text(drawn)
            assert told.read_text() == drawn
            KEPT.append(b"x" * 20_000_000)
        """
    )

    result = pytester.runpytest_subprocess("--leaktrace")

    result.stdout.fnmatch_lines(["*LEAK*test_*::test_keeps*"])


def test_shared_memory_of_replayed_tests_goes_with_them(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os
        from multiprocessing import resource_tracker, shared_memory
        KEPT = []

        def test_keeps():
            KEPT.append(shared_memory.SharedMemory(f"leaktrace-{os.getpid()}-{len(KEPT)}", create=True, size=4096))
            with open("names.txt", "a") as file:
                file.write(KEPT[-1].name + "\\n")
            resource_tracker.unregister(KEPT[-1]._name, "shared_memory")  # nobody else removes it
        """
    )

    pytester.runpytest_subprocess("-p", "no:randomly", "--leaktrace")

    names = (pytester.path / "names.txt").read_text().split()
    left = [each.name for each in Path("/dev/shm").glob("leaktrace-*")]
    for name in names:
        Path(f"/dev/shm/{name}").unlink(missing_ok=True)
    assert len(names) == 1, "the runs of a child are told in no file"
    assert [name for name in left if name not in names] == []
