"""Outcomes, their order and the exit status are the same with the plugin and without, whatever the suite does."""

from __future__ import annotations

import re

import pytest

from plugin.plugin_harness import Example


pytestmark = pytest.mark.versions


COMPANY = {
    "test_company.py": """
        import asyncio, os, unittest
        import pytest
        from hypothesis import given, settings, strategies

        KEPT, TRIES = [], []

        def test_passes(): pass
        def test_fails(): assert 0
        def test_skips(): pytest.skip("not today")
        @pytest.mark.xfail
        def test_xfails(): assert 0
        @pytest.mark.xfail
        def test_xpasses(): pass

        @pytest.fixture
        def breaks_before(): raise ValueError("before")
        @pytest.fixture
        def breaks_after():
            yield
            raise ValueError("after")
        def test_setup_breaks(breaks_before): pass
        def test_teardown_breaks(breaks_after): pass

        @pytest.mark.flaky(reruns=2)
        def test_passes_at_the_third_try():
            TRIES.append(bytearray(2_000_000))
            assert len(TRIES) == 3

        @pytest.mark.asyncio
        async def test_asyncio(): await asyncio.sleep(0)
        @pytest.mark.asyncio
        async def test_asyncio_fails(): assert 0

        @pytest.fixture(params=["asyncio", "trio"])
        def anyio_backend(request): return request.param
        @pytest.mark.anyio
        async def test_anyio(anyio_backend): pass

        class TestCase(unittest.TestCase):
            @classmethod
            def setUpClass(cls): cls.big = bytearray(2_000_000)
            @classmethod
            def tearDownClass(cls): del cls.big
            def test_unittest(self): self.assertTrue(self.big)
            def test_unittest_fails(self): self.fail()
            @unittest.skip("not today")
            def test_unittest_skips(self): pass
            @unittest.expectedFailure
            def test_unittest_xfails(self): self.fail()
            def test_unittest_subtests(self):
                for number in range(3):
                    with self.subTest(number=number): self.assertNotEqual(number, 1)

        class TestAsync(unittest.IsolatedAsyncioTestCase):
            async def test_isolated(self): await asyncio.sleep(0)

        def test_subtests(subtests):
            for number in range(3):
                with subtests.test(number=number): assert number != 1

        @settings(max_examples=20, database=None, derandomize=True)
        @given(strategies.integers())
        def test_hypothesis(number): assert number < 1000

        @pytest.fixture(scope="module", params=[1, 2])
        def param(request): yield bytearray(request.param)
        def test_param_a(param): pass
        def test_param_b(param): pass

        def test_fills_the_cwd(tmp_path, monkeypatch, capsys): monkeypatch.chdir(tmp_path)
        def test_leaks(): KEPT.append(bytearray(3_000_000))
        """,
    "documented.py": '''
        def double(number):
            """
            >>> double(2)
            4
            >>> double(3)
            7
            """
            return 2 * number
        ''',
    "test_broken.txt": ">>> 1 + 1\n2\n",
}


def test_a_suite_with_all_sorts_of_tests_runs_as_before(spread: Example) -> None:
    ran = spread.with_all_plugins("-p", "no:randomly").same(
        "--doctest-modules", "--leaktrace-limit=1MB", "-v", files=COMPANY, expect=1
    )

    names = {span.nodeid: span.outcome for span in ran.book.tests}
    assert len(names) == len({nodeid for nodeid, when, _ in ran.reports if when == "setup"})
    outcomes = {nodeid.rpartition("::")[2]: outcome for nodeid, outcome in names.items()}
    assert outcomes["test_passes_at_the_third_try"] == "passed"
    assert outcomes["test_setup_breaks"] == outcomes["test_teardown_breaks"] == "error"
    assert outcomes["test_unittest_skips"] == "skipped"
    assert outcomes["test_xfails"] == outcomes["test_unittest_xfails"] == "xfailed"
    assert outcomes["test_unittest_subtests"] == "failed"
    assert outcomes["test_subtests"] == ("failed" if hasattr(pytest, "Subtests") else "error")  # pytest 9 brings them
    assert {"test_leaks", "test_passes_at_the_third_try"} <= ran.suspects
    assert "TestCase" not in str(ran.suspects)
    if not spread.args:
        assert re.search(r"test_leaks PASSED .*\[\+[23]\.\d MB\]", ran.text)


FEW = {
    "test_a.py": "KEPT = []\ndef test_one(): KEPT.append(bytearray(3_000_000))\ndef test_two(): assert 0\ndef test_three(): assert 0\n",
    "test_b.py": "def test_four(): pass\n",
}


@pytest.mark.parametrize("args", [("--maxfail=1", "-k", "not four"), ("--deselect=test_a.py::test_one",)])
def test_a_run_that_selects_or_stops_early_does_so_as_before(example: Example, args: tuple[str, ...]) -> None:
    example.same(*args, files=FEW)


def test_tests_that_failed_last_are_run_alone_or_first_as_before(example: Example) -> None:
    every = example.run(files=FEW, book=False).reports
    failed = [each for each in every if "two" in each[0] or "three" in each[0]]

    assert example.run("--lf", book=False).reports == failed
    assert example.run("--ff", book=False).reports == failed + [each for each in every if each not in failed]


def test_collection_errors_stop_the_run_as_before(example: Example) -> None:
    files = {**FEW, "test_c.py": "import not_there\n"}

    example.same(files=files, expect=2)
    example.same("--continue-on-collection-errors", expect=1)


def test_a_run_without_tests_exits_as_before(example: Example) -> None:
    ran = example.same(files={"test_a.py": "def helper(): pass\n"}, expect=5)

    assert ran.report == ""


def test_collecting_only_shows_no_report_and_leaves_nothing(example: Example) -> None:
    ran = example.same(
        "--collect-only", "-p", "no:cacheprovider", f"--leaktrace-dir={example.path / 'kept'}", files=FEW, expect=0
    )

    assert not (example.path / "kept").exists()
    assert ran.report == ""


def test_an_interrupted_run_ends_as_before_and_is_reported(example: Example) -> None:
    files = {"test_a.py": FEW["test_a.py"] + "def test_stop(): raise KeyboardInterrupt\ndef test_later(): pass\n"}

    ran = example.same("--leaktrace-limit=1MB", files=files, env={"LEAKTRACE": "confirm"}, expect=2)

    assert re.search(r"^LEAKED 3\.[0-2]MB in test_a.py::test_one$", ran.report, re.MULTILINE)
    assert ran.ended() == ["test_one", "test_stop", "test_three", "test_two"]


ODD = {
    "test_odd.py": """
        import builtins, gc, os, sys, time

        KEPT = []

        def test_closes_descriptors():
            os.closerange(3, 256)

        def test_closes_all_descriptors():
            os.closerange(3, 100_000)

        def test_forks():
            pid = os.fork()
            if not pid:
                KEPT.append(bytearray(5_000_000))
                os._exit(0)
            os.waitpid(pid, 0)

        def test_exits():
            sys.exit(3)

        def test_goes_away():
            os.chdir("/")

        def broken(*args, **kwargs):
            raise RuntimeError("patched")

        def test_patches_while_it_runs(monkeypatch):
            for name in ("getpid", "open", "close", "write", "pread", "pwrite", "stat", "fstat"):
                monkeypatch.setattr(os, name, broken)
            for name in ("time", "monotonic", "perf_counter", "perf_counter_ns"):
                monkeypatch.setattr(time, name, broken)
            monkeypatch.setattr(gc, "collect", broken)

        def test_patches_for_good():
            builtins.open = broken
            os.open = os.write = os.pread = os.pwrite = broken
            time.time = time.monotonic = time.strftime = broken

        def test_disables_the_collector():
            gc.disable()

        def test_empties_sys():
            sys.argv.clear()
            sys.path.clear()

        def test_leaks():
            KEPT.append(bytearray(3_000_000))
        """,
}


def test_tests_that_break_the_process_leave_the_report_whole(example: Example) -> None:
    example.write({"plugins/reports_recorder.py": ""})
    calm = ("-s", "-p", "no:logging", "-p", "no:faulthandler", "-p", "no:cacheprovider", "--leaktrace-dir=kept")

    ran = example.same(*calm, "--leaktrace-limit=1MB", files=ODD, expect=1)

    assert re.search(r"^LEAKED 3\.[0-2]MB in test_odd.py::test_leaks$", ran.report, re.MULTILINE)
    assert ran.book.warnings == ()
    assert ran.suspects == {"test_leaks"}
    assert len(ran.ended()) == len(ran.book.tests) == 10


def test_a_thread_that_is_no_daemon_is_waited_for_as_without_us(example: Example) -> None:
    suite = """
        import threading, time
        KEPT = []

        def work():
            threading.main_thread().join()
            time.sleep(1)
            open("worked", "w").close()

        def test_leaves_work(): threading.Thread(target=work).start()
        def test_leaks(): KEPT.append(bytearray(20_000_000))
        """

    example.run("--leaktrace", files={"test_a.py": suite}, expect=0)

    assert (example.path / "worked").exists()


def test_a_closed_standard_output_harms_nothing(example: Example) -> None:
    files = {"test_a.py": "import os\ndef test_closes(): os.close(1)\ndef test_two(): pass\n"}

    ran = example.same(files=files)

    assert ran.ended() == ["test_closes", "test_two"]
