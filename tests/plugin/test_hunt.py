"""`pytest --leaktrace-hunt`: one object or a few native bytes a run, and nothing where nothing is kept."""

from __future__ import annotations

import pytest

from plugin.plugin_harness import Example


LEAKS = """
    import ctypes, os

    KEPT, COUNTS, BUFFER = [], {}, bytearray()
    LIBC = ctypes.CDLL(None)

    def every(n, name):
        COUNTS[name] = COUNTS.get(name, 0) + 1
        return COUNTS[name] % n == 0

    def test_keeps_one_object(): KEPT.append(object())
    def test_keeps_48_native_bytes(): LIBC.malloc(48)
    def test_keeps_one_in_two():
        if every(2, "two"): KEPT.append(object())
    def test_keeps_one_in_four():
        if every(4, "four"): KEPT.append(object())
    def test_grows_in_place(): BUFFER.extend(b"x" * 1000)
    def test_leaves_a_descriptor(): os.dup(1)
    def test_is_clean(): pass
    def test_fills_once(): COUNTS.setdefault("once", [object() for _ in range(500)])
    """
CLEAN = '''
    import asyncio, logging, sys, threading, unittest, warnings
    import pytest

    def test_nothing(): pass
    def test_tmp_path(tmp_path): (tmp_path / "a").write_text("x")
    def test_capsys(capsys):
        print("x")
        assert capsys.readouterr().out
    def test_caplog(caplog): logging.getLogger("a").warning("x")
    def test_prints(): print("hello")
    def test_monkeypatch(monkeypatch, tmp_path):
        monkeypatch.setenv("A", "b")
        monkeypatch.chdir(tmp_path)
    def test_warns(): warnings.warn("hm")
    def test_raises():
        with pytest.raises(ValueError): int("x")
    def test_records(record_property): record_property("a", 1)

    @pytest.fixture(scope="session", params=["a", "b"])
    def wide(request): yield request.param
    @pytest.fixture
    def narrow(wide, tmp_path): return wide
    def test_parametrised_fixture(narrow): pass
    @pytest.mark.parametrize("n", [1, 2])
    def test_parametrised(n): pass

    class TestClass:
        @classmethod
        def setup_class(cls): cls.shared = []
        def setup_method(self): self.own = 1
        def test_method(self): assert self.own

    class TestCase(unittest.TestCase):
        def setUp(self): self.own = [1] * 100
        def test_case(self):
            for i in range(3):
                with self.subTest(i=i): pass

    def test_subtests(subtests):
        for i in range(3):
            with subtests.test(i=i): pass
    def test_asyncio():
        async def main(): await asyncio.sleep(0)
        asyncio.run(main())
    def test_thread():
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
    def test_in_words():
        """
        >>> 1 + 1
        2
        """
    @pytest.mark.xfail
    def test_is_expected_to_fail(): assert 0
    def test_skips(): pytest.skip("no")
    def test_fails(): assert 0
    '''
UNREPEATABLE = """
    import pytest

    SEEN = []

    def test_only_once():
        assert not SEEN
        SEEN.append(1)

    @pytest.mark.leaktrace(off=True, reason="keeps by design")
    def test_left_out(kept=[]): kept.append(object())
    """
COLLECTOR = """
    import gc

    def test_sees_the_collector_as_it_is():
        assert gc.isenabled()
        assert gc.get_freeze_count() < 1000
        assert any(each is SEEN for each in gc.get_objects())

    SEEN = [object()]

    def test_disables(): gc.disable()
    def test_finds_it_disabled():
        assert not gc.isenabled()
        gc.enable()
    """


@pytest.mark.reads("heap_bytes")
def test_one_object_or_a_few_native_bytes_a_run_are_found(example: Example) -> None:
    ran = example.run("--leaktrace-hunt", files={"test_leaks.py": LEAKS}, expect=0)

    assert ran.verdicts == {
        "test_keeps_one_object": "LEAK",
        "test_keeps_48_native_bytes": "LEAK",
        "test_keeps_one_in_two": "LEAK",
        "test_keeps_one_in_four": "LEAK",
        "test_grows_in_place": "LEAK",
        "test_leaves_a_descriptor": "LEAK",
    }, ran.text
    # An object of 32 bytes and its place in a list.
    assert ran.case("test_keeps_one_object").per_run["heap_bytes"].estimate == pytest.approx(40, abs=8)
    assert ran.case("test_keeps_48_native_bytes").per_run["heap_bytes"].estimate == pytest.approx(
        64, rel=0.1
    )  # malloc's own size class
    assert ran.case("test_leaves_a_descriptor").per_run["fds"].estimate == 1


@pytest.mark.reads("heap_bytes")
def test_what_the_judge_makes_for_itself_is_no_growth_of_the_first_that_it_judges(example: Example) -> None:
    body = """
import itertools
TURNS, KEPT = itertools.count(), []
def test_keeps_one_in_two():
    if next(TURNS) % 2: KEPT.append(object())
"""

    ran = example.run("--leaktrace-hunt", files={"test_a.py": body}, expect=0)

    case = ran.case("test_keeps_one_in_two")
    assert case.verdict.name == "LEAK"
    # An object of 32 bytes and its place in a list, every second run.
    assert case.per_run["heap_bytes"].estimate == pytest.approx(20, abs=4)


def test_nothing_is_found_where_nothing_is_kept_and_every_outcome_stays(example: Example) -> None:
    args = ("--doctest-modules", "-p", "no:cacheprovider")
    plain = example.run("--no-leaktrace", *args, files={"test_clean.py": CLEAN}, book=False)
    hunted = example.run("--leaktrace-hunt", *args)

    leaks = {
        name: verdict for name, verdict in hunted.verdicts.items() if verdict not in {"STEADY", "CACHE", "ONE_TIME"}
    }
    assert leaks == {}, hunted.text
    assert sorted(hunted.reports) == sorted(plain.reports)
    assert hunted.ret == plain.ret == 1


def test_what_fails_when_repeated_cannot_be_judged_and_what_a_marker_leaves_out_is_not_repeated(
    example: Example,
) -> None:
    ran = example.run("--leaktrace-hunt", files={"test_unrepeatable.py": UNREPEATABLE}, expect=0)

    assert ran.verdicts == {"test_only_once": "UNREPLAYABLE"}
    assert "not repeatable: call failed: assert not [1]" in ran.case("test_only_once").reason


def test_a_test_sees_the_collector_as_the_user_left_it(example: Example) -> None:
    ran = example.run("--leaktrace-hunt", files={"test_collector.py": COLLECTOR}, expect=0)

    assert set(ran.outcomes.values()) == {"passed"}
    assert "LEAK" not in ran.verdicts.values()


def test_a_suite_that_breaks_what_the_hunt_calls_runs_on(example: Example) -> None:
    suite = """
        import random
        def test_breaks(): random.getstate = None
        def test_runs_on(): pass
        """
    ran = example.run("--leaktrace-hunt", files={"test_breaks.py": suite}, expect=0)

    assert set(ran.outcomes.values()) == {"passed"}
    assert ran.verdicts == {}


def test_a_budget_takes_one_variant_of_each_function_first_and_lists_what_it_left(example: Example) -> None:
    suite = """
        import time, pytest
        @pytest.mark.parametrize("n", range(40))
        def test_variant(n): time.sleep(0.15)
        def test_last(): time.sleep(0.15)
        """
    ran = example.run("--leaktrace-hunt", "--leaktrace-budget=9s", files={"test_slow.py": suite}, expect=0)

    assert ran.book.left_out
    assert "test_slow.py::test_variant[0]" not in ran.book.left_out
    assert all("test_variant" in name or "test_last" in name for name in ran.book.left_out)


SERVER = """
    import socket, threading, time
    import pytest

    class Server:
        '''Keeps what it is given for two seconds, as servers keep idle connections.'''

        def __init__(self):
            self.idle, self.over = [], threading.Event()
            self.thread = threading.Thread(target=self.serve)
            self.thread.start()

        def serve(self):
            while not self.over.wait(0.05):
                self.idle = [each for each in self.idle if time.monotonic() - each[0] < 2]

    KEPT = []

    @pytest.fixture(scope="module")
    def server():
        server = Server()
        yield server
        server.over.set()
        server.thread.join()

    def test_what_the_server_lets_go(server):
        server.idle.append((time.monotonic(), bytearray(20_000)))

    def test_what_nobody_lets_go(server):
        KEPT.append(bytearray(20_000))
    """


def test_what_a_server_lets_go_when_it_is_idle_is_no_leak(spread: Example) -> None:
    ran = spread.run("--leaktrace-hunt", files={"test_a.py": SERVER}, expect=0)

    memory = {case.suspect.name.rpartition("::")[2]: case for case in ran.book.cases if case.suspect.kind == "memory"}
    assert {name: case.verdict.name for name, case in memory.items()} == {
        "test_what_the_server_lets_go": "CACHE",
        "test_what_nobody_lets_go": "LEAK",
    }
    assert "went by itself when the runs had stopped" in memory["test_what_the_server_lets_go"].reason
