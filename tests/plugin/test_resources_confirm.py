from __future__ import annotations

import pytest

from plugin.plugin_harness import Example, Ran
from plugin.resources_specimens import files_of


PROJECT = {
    "conftest.py": """
        import socket, threading
        import pytest

        @pytest.fixture(scope="session")
        def server():
            with socket.create_server(("127.0.0.1", 0)) as listening:
                yield listening.getsockname()

        KEPT = []

        @pytest.fixture
        def db(server):
            KEPT.append(socket.create_connection(server))
            yield KEPT[-1]

        @pytest.fixture(scope="module")
        def log():
            KEPT.append(open(__file__))
            yield KEPT[-1]
        """,
    "test_app.py": """
        import os, subprocess, tempfile, threading
        from concurrent.futures import ThreadPoolExecutor

        KEPT = []
        POOL = ThreadPoolExecutor(max_workers=3)
        STOP = threading.Event()

        def test_query(db):
            pass

        def test_reads(log):
            pass

        def test_serves():
            threading.Thread(target=STOP.wait, daemon=True).start()

        def test_pool():
            gate = threading.Barrier(3)
            if POOL._threads:
                POOL.submit(int).result()
            else:
                for _ in range(3):
                    POOL.submit(gate.wait)

        def test_starts():
            KEPT.append(subprocess.Popen(["sleep", "300"]))

        def test_only_once():
            if not KEPT:
                KEPT.append(open(__file__))
        """,
}


@pytest.fixture
def confirmed(spread: Example) -> Ran:
    return spread.run("--leaktrace", files=PROJECT, expect=0)


def test_each_leak_is_proved_named_and_told_with_its_remedy(confirmed: Ran) -> None:
    cases = {(case.suspect.name.rpartition("::")[2], case.suspect.kind): case for case in confirmed.book.cases}
    leaks = {key for key, case in cases.items() if case.verdict.value == "LEAK"}

    assert leaks == {
        ("test_query", "sockets"),
        ("log", "fds"),
        ("test_serves", "threads"),
        ("test_starts", "processes"),
    }
    [connection, *_] = cases["test_query", "sockets"].things
    assert connection.owner == "fixture `db` (conftest.py:12)"
    assert connection.where == "conftest.py:14"
    assert cases["test_query", "sockets"].exhibit.fix == "close it after the `yield`"
    assert cases["log", "fds"].things[0].where == "conftest.py:19"
    assert cases["test_serves", "threads"].things[0].where == "test_app.py:16"
    assert cases["test_starts", "processes"].things[0].name == "sleep 300"
    report = " ".join(confirmed.report.split())
    assert (
        "was opened in fixture `db` (conftest.py:12) at conftest.py:14 and is still open after its teardown" in report
    )
    # A path stands whole on its line, however long it is.
    assert [line for line in confirmed.report.splitlines() if len(line) > 80 and " /" not in line] == []


def test_what_a_modules_fixture_leaves_until_a_sessions_fixture_ends_is_proved_too(spread: Example) -> None:
    body = """
import pytest

@pytest.fixture(scope="session")
def pool():
    files = []
    yield files
    for file in files:
        file.close()

@pytest.fixture(scope="module")
def connection(pool):
    pool.append(open(__file__))
    yield pool[-1]

def test_connects(connection):
    pass
"""

    ran = spread.run("--leaktrace", files={"test_a.py": body, "test_b.py": "def test_last(): pass"}, expect=0)

    assert [
        (case.suspect.subject, case.suspect.name, case.suspect.kind, case.verdict.name) for case in ran.book.cases
    ] == [("fixture", "connection", "fds", "LEAK")]


@pytest.mark.parametrize("kit", ["state", "state_path", "state_logging", "state_cwd"])
def test_state_that_a_small_fixture_has_changed_is_told_as_that_fixtures(spread: Example, kit: str) -> None:
    ran = spread.run("--leaktrace", "--leaktrace-kinds=state", files=files_of(kit), expect=0)

    owners = {suspect.name.rpartition("::")[2]: suspect.things[0].owner for suspect in ran.book.suspects}
    assert owners.pop("test_function_fixture").startswith(f"fixture `function_leak` (test_{kit}.py:")
    assert set(owners) >= {"test_body", "class_leak", "module_leak", "session_leak"}
    assert set(owners.values()) == {""}
    assert f"by fixture `function_leak` (test_{kit}.py:" in " ".join(ran.report.split())


def test_what_the_body_and_a_fixture_change_is_told_apart(example: Example) -> None:
    body = """
import os, pytest

@pytest.fixture
def either():
    os.environ["SPECIMEN_FIXTURE"] = "x"

def test_changes_it_too(either):
    os.environ["SPECIMEN_BODY"] = "x"
"""

    ran = example.run("--leaktrace", "--leaktrace-kinds=state", files={"test_a.py": body}, expect=0)

    owners = {thing.name: thing.owner for suspect in ran.book.suspects for thing in suspect.things}
    assert owners.pop("SPECIMEN_FIXTURE").startswith("fixture `either` (test_a.py:")
    assert owners == {"SPECIMEN_BODY": ""}


def test_files_that_each_run_leaves_are_proved(example: Example) -> None:
    files = {"test_a.py": "import tempfile\ndef test_leaves(): tempfile.mkdtemp()\n"}
    folder = example.path / "tmp"
    folder.mkdir()

    ran = example.run("--leaktrace", "--leaktrace-kinds=files", files=files, env={"TMPDIR": str(folder)}, expect=0)

    [case] = ran.book.cases
    assert (case.suspect.kind, case.verdict.value) == ("files", "LEAK")
    assert case.things[0].noun == "temporary directory"
    assert case.things[0].where == "test_a.py:2"


def test_a_file_of_another_process_is_no_leak_of_the_test_that_runs_beside_it(example: Example) -> None:
    body = """
import os, subprocess, sys, tempfile, time
WRITER = "import tempfile, time\\nfor _ in range(20): tempfile.mkdtemp(); time.sleep(0.05)"

def test_starts_a_writer_that_stays():
    before = len(os.listdir(os.environ["TMPDIR"]))
    subprocess.Popen([sys.executable, "-c", WRITER], env={"TMPDIR": os.environ["TMPDIR"]})
    for _ in range(1000):
        if len(os.listdir(os.environ["TMPDIR"])) > before:
            break
        time.sleep(0.01)

def test_clean():
    time.sleep(0.15)
"""
    folder = example.path / "tmp"
    folder.mkdir()

    ran = example.run(
        "-p", "no:randomly", "--leaktrace", "--leaktrace-kinds=files", files={"test_a.py": body},
        env={"TMPDIR": str(folder)}, expect=0,
    )  # fmt: skip

    assert "test_a.py::test_clean" in [suspect.name for suspect in ran.book.suspects]
    assert [case.verdict.name for case in ran.book.cases if case.suspect.name == "test_a.py::test_clean"] == ["STEADY"]


SHARED = {
    "test_shm.py": """
        from multiprocessing import shared_memory
        ALL = []
        def test_shared_memory():
            one = shared_memory.SharedMemory(create=True, size=3_000_000)
            one.buf[:3_000_000] = b"x" * 3_000_000
            ALL.append(one)
        """
}


def test_shared_memory_is_called_that_and_its_pages_are_no_case_of_their_own(example: Example) -> None:
    ran = example.run("--leaktrace", "--leaktrace-limit=1MB", files=SHARED, expect=0)

    assert [(case.suspect.kind, case.verdict.value) for case in ran.book.cases] == [("fds", "LEAK")]
    assert "shared memory /dev/shm/" in ran.report
    assert "close() and unlink()" in ran.report
    assert "STEADY" not in ran.report
