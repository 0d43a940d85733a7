from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import pytest

from plugin.plugin_harness import Example, Ran
from plugin.resources_specimens import LEAKING_FIXTURES, LEAKING_TESTS, files_of, kind_of


TOGETHER = ("fds", "sockets", "threads", "threads_waited", "processes", "tasks", "files")
ALONE = ("gpu", "state", "state_path", "state_logging", "state_cwd")


Owners: TypeAlias = dict[tuple[str, str], dict[str, set[str]]]


@pytest.fixture
def seen(spread: Example) -> Owners:
    """The suspects of all kinds that can share a run."""
    files = {name: text for each in TOGETHER for name, text in files_of(each).items()}
    kinds = ",".join(sorted({kind_of(each) for each in TOGETHER}))
    return owners(spread.run(f"--leaktrace-kinds={kinds}", files=files, env={"TMPDIR": str(folder(spread))}, expect=0))


def folder(example: Example) -> Path:
    made = example.path / "tmp"
    made.mkdir(exist_ok=True)
    return made


def owners(ran: Ran) -> Owners:
    """Names of suspects by kind, file and subject."""
    found: Owners = {}
    for suspect in ran.book.suspects:
        file = (suspect.where or suspect.name).partition(".py")[0]
        by_subject = found.setdefault((suspect.kind, file.removeprefix("test_")), {})
        by_subject.setdefault(suspect.subject, set()).add(suspect.name.rpartition("::")[2])
    return found


def test_each_owner_of_what_is_left_is_found_and_nobody_else(seen: Owners) -> None:
    files = seen.pop(("files", "files"))  # two workers share a folder, and who made a file there is not known
    assert files["test"] >= LEAKING_TESTS
    assert files["fixture"] >= LEAKING_FIXTURES
    for each in set(TOGETHER) - {"files"}:
        assert seen[kind_of(each), each] == {"test": LEAKING_TESTS, "fixture": LEAKING_FIXTURES}, each
    blamed = [names for (kind, _), by in seen.items() if kind != "files" for names in by.values()]
    assert set().union(*blamed) == LEAKING_TESTS | LEAKING_FIXTURES


@pytest.mark.parametrize("kit", ALONE)
def test_gpu_memory_and_state_have_the_same_owners(spread: Example, kit: str) -> None:
    kind = kind_of(kit)

    found = owners(spread.run(f"--leaktrace-kinds={kind}", files=files_of(kit), expect=0))

    assert found == {(kind, kit): {"test": LEAKING_TESTS, "fixture": LEAKING_FIXTURES}}


def test_files_in_one_process_are_told_exactly(example: Example) -> None:
    found = owners(
        example.run("--leaktrace-kinds=files", files=files_of("files"), env={"TMPDIR": str(folder(example))}, expect=0)
    )

    assert found == {("files", "files"): {"test": LEAKING_TESTS, "fixture": LEAKING_FIXTURES}}


def test_a_pattern_makes_things_nobodys_leak(example: Example) -> None:
    files = {
        "test_a.py": """
        import socket, pytest
        KEPT = []

        def test_ignored_by_option():
            KEPT.append(open("/dev/null"))

        @pytest.mark.leaktrace(ignore="^tox")
        def test_not_ignored():
            KEPT.append(open("/dev/zero"))

        @pytest.mark.leaktrace(ignore="tox.ini")
        def test_ignored_by_marker():
            KEPT.append(open("tox.ini"))
        """
    }

    ran = example.run("--leaktrace-ignore=^/dev/null", files=files, expect=0)

    assert owners(ran) == {("fds", "a"): {"test": {"test_not_ignored"}}}


ALLOWED = """
import pytest
KEPT = []

def test_one_file():
    KEPT.append(open("/dev/null"))

def test_two_files():
    KEPT.append((open("/dev/null"), open("/dev/zero")))

@pytest.mark.leaktrace(allow={"fds": 2})
def test_two_files_are_its_right():
    KEPT.append((open("/dev/null"), open("/dev/zero")))
"""


@pytest.mark.parametrize("mode", [(), ("--leaktrace",), ("--leaktrace-hunt",)])
def test_what_is_allowed_of_a_kind_is_nobodys_leak(example: Example, mode: tuple[str, ...]) -> None:
    ran = example.run(*mode, "--leaktrace-allow=fds:1", "--leaktrace-kinds=fds", files={"test_a.py": ALLOWED}, expect=0)

    assert owners(ran) == {("fds", "a"): {"test": {"test_two_files"}}}
    assert {case.suspect.name for case in ran.book.cases} <= {"test_a.py::test_two_files"}


def test_a_hunt_leaves_out_what_a_pattern_matches(example: Example) -> None:
    body = "KEPT = []\ndef test_one():\n    KEPT.append(open('/dev/null'))\n"

    ran = example.run("--leaktrace-hunt", "--leaktrace-ignore=^/dev/null", files={"test_a.py": body}, expect=0)

    assert not [suspect for suspect in ran.book.suspects if suspect.kind == "fds"]
    assert not [case for case in ran.book.cases if case.suspect.kind == "fds"]


@pytest.mark.parametrize("mode", [(), ("--leaktrace",), ("--leaktrace-hunt",)])
def test_memory_is_nobodys_leak_where_only_other_kinds_are_looked_for(example: Example, mode: tuple[str, ...]) -> None:
    body = "KEPT = []\ndef test_one():\n    KEPT.append(bytearray(30_000_000))\n"

    ran = example.run(*mode, "--leaktrace-kinds=fds", files={"test_a.py": body}, expect=0)

    assert (ran.book.suspects, ran.book.cases, ran.book.notes) == ((), (), ())


def test_a_failing_test_accuses_nobody(example: Example) -> None:
    ran = example.run(files={"test_a.py": "def test_fails():\n    kept = open('/dev/null')\n    assert not kept\n"})

    assert owners(ran) == {}


def test_changed_state_is_told_where_it_is_asked_for(example: Example) -> None:
    files = {"test_a.py": "import os\ndef test_changes(): os.environ['A_NEW_ONE'] = 'x'\n"}

    example.run("--leaktrace-fail-on=suspect", files=files, expect=0)
    asked = example.run("--leaktrace-fail-on=state", files=files, expect=1)

    assert "CHANGED environment variable A_NEW_ONE (added) by test_a.py::test_changes" in asked.report


STATES = {
    "an entry of sys.path": ("import sys", 'sys.path.append("/one")'),
    "the working directory": ("import os", 'os.chdir("/usr")'),
    "a log handler": ("import logging", "logging.getLogger().addHandler(logging.NullHandler())"),
}


@pytest.mark.parametrize("state", STATES)
def test_changed_state_is_its_tests_though_pytest_puts_it_back_at_the_end(spread: Example, state: str) -> None:
    first, then = STATES[state]
    body = f"{first}\ndef test_changes():\n    {then}\ndef test_fine():\n    pass\n"

    ran = spread.run("-p", "no:randomly", "--leaktrace-kinds=state", files={"test_a.py": body}, expect=0)

    assert owners(ran) == {("state", "a"): {"test": {"test_changes"}}}


LIKE = """
import logging, os, pytest
L, H = logging.getLogger(), logging.NullHandler

def test_leaves():
    L.addHandler(H())

@pytest.fixture(scope="session")
def lent():
    h, before = H(), os.getcwd()
    L.addHandler(h)
    os.chdir("/usr")
    yield
    L.removeHandler(h)
    os.chdir(before)

def test_loan(lent):
    pass

def test_leaves_too():
    L.addHandler(H())

def test_moves_on(lent):
    os.chdir("/")
"""


def test_state_that_looks_like_anothers_is_told_apart(example: Example) -> None:
    ran = example.run("-p", "no:randomly", "--leaktrace-kinds=state", files={"test_a.py": LIKE}, expect=0)

    assert owners(ran) == {("state", "a"): {"test": {"test_leaves", "test_leaves_too"}}}


def test_the_journal_of_a_killed_run_tells_the_things_that_were_left(example: Example) -> None:
    files = {
        "test_a.py": """
        import os, signal
        KEPT = []
        def test_one(): KEPT.append(open("/dev/null"))
        def test_two(): os.kill(os.getpid(), signal.SIGKILL)
        """
    }

    ran = example.run("-p", "no:randomly", "--leaktrace-dir=kept", files=files)

    [recording] = ran.journals.values()
    [things] = recording.things.values()
    assert [thing.name for thing in things if thing.kind == "fds"] == ["/dev/null"]


def test_a_resource_warning_is_credited_to_the_test_that_made_the_object(spread: Example) -> None:
    files = {
        "test_a.py": """
        import gc, socket

        def test_leaves_garbage():
            gc.disable()
            ring = [socket.socket(), open(__file__)]
            ring.append(ring)

        def test_innocent():
            gc.enable()
            gc.collect()
        """
    }

    together = ("--dist=loadfile",) if "-n2" in spread.args else ()
    ran = spread.run("-Walways::ResourceWarning", *together, files=files, expect=0)

    assert [(note.slug, note.nodeid) for note in ran.book.notes] == [("unclosed", "test_a.py::test_leaves_garbage")] * 2
    assert "UNCLOSED in test_a.py::test_leaves_garbage: socket" in ran.report
    assert "which closed it in test_a.py::test_innocent" in " ".join(ran.report.split())


def test_a_setup_function_in_xunits_style_is_told_by_its_own_line(example: Example) -> None:
    files = {
        "test_a.py": """
        import unittest
        KEPT = []

        def setup_module():
            KEPT.append(open("/dev/null"))

        class TestPlain:
            @classmethod
            def setup_class(cls):
                KEPT.append(open("/dev/zero"))

            def test_one(self):
                pass

        class TestCased(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                KEPT.append(open("/dev/random"))

            def test_two(self):
                pass
        """
    }

    found = {suspect.name: suspect.where for suspect in example.run(files=files, expect=0).book.suspects}

    assert found == {"setup_module": "test_a.py:5", "setup_class": "test_a.py:9", "setUpClass": "test_a.py:17"}
