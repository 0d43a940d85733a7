"""What a suite does to the process, to its descriptors, forks and threads, ends as it would without us."""

from __future__ import annotations

import json
import sys

import pytest

from plugin.plugin_harness import Example


FORKS = {
    "test_a.py": """
        import os
        KEPT = []
        def test_before(): pass
        def test_forks():
            # The child goes on running pytest to its end, and only then its parent does.
            if pid := os.fork(): os.waitpid(pid, 0)
        def test_leaks(): KEPT.append(bytearray(b"x") * 20_000_000)
        """
}


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_fork_that_goes_on_running_pytest_judges_nothing_and_writes_nothing(example: Example) -> None:
    ran = example.run("--leaktrace-dir=kept", "-p", "no:cacheprovider", files=FORKS, expect=0)

    assert ran.text.count(" passed") == 2
    assert ran.text.count("= leaktrace: ") == 1
    assert ran.text.count("LEAKED") == 1
    assert ran.ended() == ["test_before", "test_forks", "test_leaks"]
    lines = next(example.path.glob("kept/runs/*/main.jsonl")).read_text().splitlines()
    kinds = [json.loads(line)["t"] for line in lines]
    assert kinds == ["run", "collected", "test", "test", "test", "end"]


def test_a_thread_that_works_on_after_the_last_test_is_waited_for_as_pytest_does(example: Example) -> None:
    files = {
        "test_a.py": """
            import pathlib, threading, time
            def work():
                time.sleep(5)
                pathlib.Path("done.txt").write_text("done")
            def test_starts_work(): threading.Thread(target=work).start()
            """
    }

    example.run("--leaktrace", files=files, book=False)

    assert (example.path / "done.txt").read_text() == "done"


STOLEN = {
    "test_a.py": """
        import os, resource
        KEPT, FDS = [], []
        def test_takes_every_number(tmp_path_factory):
            os.closerange(3, 10_000)
            path = os.path.join(os.environ["STOLEN"], "file")
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            while True:
                try: FDS.append(os.open(f"{path}{len(FDS)}", os.O_RDWR | os.O_CREAT))
                except OSError: break
            os.close(FDS.pop()), os.close(FDS.pop()), os.close(FDS.pop())
        def test_leaks(): KEPT.append(bytearray(b"x") * 20_000_000)
        def test_ends(): pass
        """
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="descriptors held in /proc")
def test_a_file_that_gets_the_number_of_one_of_our_descriptors_is_never_written_to(example: Example) -> None:
    stolen = example.path / "stolen"
    stolen.mkdir()
    calm = ("-s", "-p", "no:logging", "-p", "no:faulthandler", "-p", "no:cacheprovider", "--leaktrace-dir=kept")

    example.run(*calm, files=STOLEN, env={"STOLEN": str(stolen)}, book=False, launcher=limited(300))

    found = {path.name: path.read_bytes() for path in stolen.iterdir()}
    assert len(found) > 200
    assert set(found.values()) == {b""}


def limited(count: int, what: str = "RLIMIT_NOFILE") -> tuple[str, ...]:
    """pytest in a process that may open so many files, or have as much of what else is limited."""
    script = (
        f"import resource, pytest; resource.setrlimit(resource.{what}, ({count}, {count})); "
        "raise SystemExit(pytest.main())"
    )
    return (sys.executable, "-c", script, "-p", "reports_recorder")


@pytest.mark.skipif(sys.platform == "win32", reason="limits")
@pytest.mark.parametrize("count", [14, 20])
def test_a_suite_that_may_open_few_files_runs(example: Example, count: int) -> None:
    files = {
        "test_a.py": "KEPT = []\ndef test_a(): pass\ndef test_leaks(): KEPT.append(bytearray(b'x') * 20_000_000)\n"
    }

    without = example.run("--no-leaktrace", files=files, book=False, launcher=limited(count))
    watched = example.run(book=False, launcher=limited(count))

    assert (watched.ret, watched.reports) == (without.ret, without.reports), watched.text
    assert "INTERNALERROR" not in watched.text


def test_a_watch_that_cannot_begin_is_told_and_the_suite_runs(example: Example) -> None:
    files = {
        "conftest.py": "import leaktrace.plugin.shared as shared\nshared.register_plugins = None\n",
        "test_a.py": "def test_a(): pass\n",
    }

    ran = example.run(files=files, book=False, expect=0)

    assert "leaktrace: warning: nothing is watched in this run: TypeError" in ran.text


def test_tests_that_run_in_a_fork_of_their_own_are_told_to_be_out_of_reach(example: Example) -> None:
    files = {
        "conftest.py": """
            def pytest_addoption(parser): parser.addoption("--forked", action="store_true")
            def pytest_configure(config): config.addinivalue_line("markers", "forked: as pytest-forked has it")
            """,
        "test_a.py": """
            import pytest
            @pytest.mark.forked
            def test_a(): pass
            def test_b(): pass
            """,
    }

    some = example.run(files=files)
    every = example.run("--forked")

    assert some.book.warnings == (
        "1 test runs in a fork of its own (pytest-forked): what they keep is out of reach, and goes with the fork",
    )
    assert every.book.warnings[0].startswith("2 tests run in forks of their own (pytest-forked)")


def test_where_the_watch_stops_the_journal_says_so(example: Example) -> None:
    files = {
        "conftest.py": """
            def pytest_runtest_teardown(item):
                # Stands for any fault of ours.
                watch = item.config.pluginmanager.get_plugin("leaktrace-watch")
                if item.name == "test_b": watch._recorder._clock_ns = None
            """,
        "test_a.py": "def test_a(): pass\ndef test_b(): pass\ndef test_c(): pass\n",
    }

    ran = example.run("--leaktrace-dir=kept", files=files, expect=0)

    lines = next(example.path.glob("kept/runs/*/main.jsonl")).read_text().splitlines()
    stopped = [record for record in map(json.loads, lines) if record["t"] == "stopped"]
    assert [record["why"].partition(":")[0] for record in stopped] == ["TypeError"]
    assert ran.book.warnings[0].startswith("the watch stopped: TypeError")


def test_a_thread_that_makes_a_fork_unsafe_is_told_in_the_report(example: Example) -> None:
    files = {
        "test_a.py": """
            import threading
            KEPT = []
            threading.Thread(target=threading.Event().wait, name="poller", daemon=True).start()
            def test_leaks(): KEPT.append(bytearray(b"x") * 20_000_000)
            """
    }

    ran = example.run("--leaktrace", files=files, expect=0)

    assert ran.verdicts["test_leaks"] == "LEAK"
    [told] = [each for each in ran.book.warnings if "a fork was not safe" in each]
    assert "poller" in told
    assert "a fork was not safe" in " ".join(ran.report.split())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of address space")
@pytest.mark.parametrize("megabytes", [120, 200, 300, 500, 700])
def test_a_suite_that_may_have_little_address_space_ends_as_without_us(example: Example, megabytes: int) -> None:
    files = {
        "test_a.py": """
            KEPT = []
            def test_a(): pass
            def test_leaks(): KEPT.append(bytearray(b"x") * 20_000_000)
            def test_fails(): assert 0
            """
    }
    launcher = limited(megabytes << 20, "RLIMIT_AS")

    without = example.run("--no-leaktrace", files=files, book=False, launcher=launcher)
    ours = example.run("--leaktrace", book=False, launcher=launcher)

    assert (ours.ret, ours.reports) == (without.ret, without.reports), ours.text
    assert "INTERNALERROR" not in ours.text
    assert "Traceback" not in ours.text
