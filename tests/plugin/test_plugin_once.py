"""The user's process runs each test once; what is run again is run in children, when pytest has said all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from plugin.plugin_harness import Example, Ran


pytestmark = pytest.mark.versions


NOTES = '''
import os

os.environ.setdefault("MAIN", str(os.getpid()))  # what a child finds there is what its parent has begun with

def note(name):
    """Write down who runs a test; a controller's workers are the user's processes, too."""
    users = os.environ["MAIN"] in (str(os.getpid()), str(os.getppid()))
    os.system(f"echo {'user' if users else 'child'} {name} >> $NOTES")  # what Python itself writes is put back in a child
'''
SUITE = """
    import unittest
    import pytest
    from notes import note

    KEPT = []

    @pytest.fixture(scope="module", autouse=True)
    def wide():
        note("wide")
        yield
    @pytest.fixture
    def narrow(): note("narrow")

    def test_leaks(narrow):
        note("test_leaks")
        KEPT.append(bytearray(3_000_000))
    @pytest.mark.parametrize("n", [1, 2])
    def test_clean(n): note(f"test_clean{n}")
    class TestCase(unittest.TestCase):
        def test_method(self):
            note("test_method")
            KEPT.append(bytearray(2_000_000))
    def test_fails():
        note("test_fails")
        assert 0
    def test_skips():
        note("test_skips")
        pytest.skip("no")
    """
LIMIT = "--leaktrace-limit=1MB"


Noted: TypeAlias = Callable[..., tuple[Ran, Counter[str], Counter[str]]]


@pytest.fixture
def noted(spread: Example) -> Noted:
    """How often each test and fixture was run, in the user's processes and in children."""
    spread.write({"conftest.py": "import notes\n", "plugins/notes.py": NOTES})
    notes = spread.path.parent / f"{spread.path.name}-notes.txt"

    def run(*args: str, **changes: Any) -> tuple[Ran, Counter[str], Counter[str]]:
        by_file = ("--dist=loadfile",) if spread.args else ()
        ran = spread.run(*args, *by_file, env={"NOTES": str(notes)}, **changes)
        lines = [line.split() for line in notes.read_text(encoding="utf-8").splitlines()]
        counts = {who: Counter(name for whose, name in lines if whose == who) for who in ("user", "child")}
        return ran, counts["user"], counts["child"]

    return run


@pytest.mark.parametrize("mode", ["--leaktrace", "--leaktrace-hunt"])
def test_each_test_runs_once_in_the_users_process_whatever_is_judged(noted: Noted, mode: str) -> None:
    ran, user, child = noted(mode, LIMIT, files={"test_suite.py": SUITE}, expect=1)

    assert {name: verdict for name, verdict in ran.verdicts.items() if verdict != "STEADY"} == {
        "test_leaks": "LEAK",
        "TestCase::test_method": "LEAK",
    }
    tests = ("test_leaks", "test_clean1", "test_clean2", "test_method", "test_fails", "test_skips")
    assert user == dict.fromkeys([*tests, "wide", "narrow"], 1)
    assert min(child["test_leaks"], child["test_method"]) > 3
    assert child["test_fails"] == child["test_skips"] == 0
    assert bool(child["test_clean1"]) is (mode == "--leaktrace-hunt")


def test_a_watch_runs_nothing_anywhere_else(noted: Noted) -> None:
    _ran, _user, child = noted(LIMIT, files={"test_suite.py": SUITE}, expect=1)

    assert child == {}


ODD = """
    import os, signal, sys, time
    import pytest

    KEPT, RUNS = [], {}

    def again(name):
        '''Whether this is a later run: of the user's process a child knows nothing, but for the file that it left.'''
        if os.path.exists(os.environ["SEEN"] + name): return True
        open(os.environ["SEEN"] + name, "w").close()

    def test_leaks(): KEPT.append(object())
    def test_aborts():
        if again("aborts"): os.abort()
    def test_goes_away():
        if again("goes"): os._exit(0)
    def test_exits():
        if again("exits"): sys.exit(3)
    def test_is_interrupted():
        if again("interrupted"): raise KeyboardInterrupt
    def test_ends_pytest():
        if again("pytest"): pytest.exit("enough")
    def test_hangs():
        if again("hangs"): time.sleep(600)
    def test_kills_its_parent_group_only():
        if again("kills"): os.kill(os.getpid(), signal.SIGTERM)
    def test_clean(): pass
    """


def test_what_goes_wrong_at_its_second_run_changes_its_own_case_alone(example: Example) -> None:
    example.write({"test_odd.py": ODD})
    plain = example.run("--no-leaktrace", env={"SEEN": str(example.path / "plain-")}, book=False, expect=0)

    ran = example.run("--leaktrace-hunt", "--leaktrace-timeout=3s", env={"SEEN": str(example.path / "hunt-")}, expect=0)

    assert ran.reports == plain.reports
    assert ran.verdicts == {
        "test_leaks": "LEAK",
        "test_aborts": "UNREPLAYABLE",
        "test_goes_away": "UNREPLAYABLE",
        "test_exits": "UNREPLAYABLE",
        "test_is_interrupted": "UNREPLAYABLE",
        "test_ends_pytest": "UNREPLAYABLE",
        "test_hangs": "UNREPLAYABLE",
        "test_kills_its_parent_group_only": "UNREPLAYABLE",
    }, ran.text
    assert "SIGABRT" in ran.case("test_aborts").reason
    assert "--leaktrace-timeout" in ran.case("test_hangs").reason
    assert "SIGTERM" in ran.case("test_kills_its_parent_group_only").reason
    assert "KeyboardInterrupt" in ran.case("test_is_interrupted").reason
    assert "Traceback" not in ran.text
