"""What a suite leaves patched, replaced or removed makes no difference to the report: it does not reach us."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from plugin.plugin_harness import Example, Ran
from plugin.pristine_specimens import CLASSES_PATCHED, HOWS, MODULES_REPLACED, NAMES_PATCHED, SMASHED, names_used


def told(ran: Ran) -> list[str]:
    """What a report says, without the figures that differ from run to run."""
    lines = [re.sub(r"\d+(\.\d+)?", "N", line) for line in ran.report.splitlines()]
    ours = [line for line in lines if re.match(r"LEAKED|LEFT|warning|leaktrace|=+ leaktrace|Are they", line)]
    return [re.sub(r"[0-9a-f]{7,}", "N", line) for line in ours]


def recorded(example: Example, suite: str, *args: str) -> tuple[Ran, list[str]]:
    """Run a suite that records who calls what it has patched: what it says, and what was called by us."""
    hits = example.path / "hits.txt"
    names = json.dumps({module: sorted(names) for module, names in names_used().items()})
    example.write({"test_a.py": suite})
    ran = example.run(
        "-s", "-p", "no:cacheprovider", "--leaktrace-dir=kept", *args, env={"NAMES": names, "HITS": str(hits)}
    )
    return ran, hits.read_text().splitlines()


@pytest.mark.parametrize(
    "suite", [NAMES_PATCHED, CLASSES_PATCHED, MODULES_REPLACED], ids=["names", "classes", "modules"]
)
@pytest.mark.parametrize("mode", ["--leaktrace-watch", "--leaktrace"])
def test_nothing_that_a_suite_has_patched_or_replaced_is_ever_called_by_us(
    example: Example, suite: str, mode: str
) -> None:
    calm = suite.replace("def test_patches", "def test_patches(): pass\n    def not_called")
    untouched, _ = recorded(example, calm, mode)
    ran, hits = recorded(example, suite, mode)

    assert sorted(set(hits)) == []
    [patched, *_] = re.findall(r"patched (\d+)", ran.text)
    assert int(patched) > 30
    assert ran.ret == untouched.ret == 0, ran.text
    assert told(ran) == told(untouched)
    assert ran.suspects == {"test_leaks"}
    assert ran.verdicts.get("test_leaks") == ("LEAK" if mode == "--leaktrace" else None)
    assert ran.book.warnings == ()
    assert len(ran.ended()) == 6
    assert ran.journals["main"].complete


def test_the_names_that_we_use_are_found() -> None:
    names = names_used()

    assert {"dumps", "loads"} <= names["json"]
    assert {"pread", "fstat", "getpid", "open"} <= names["os"]
    assert "enumerate" in names["threading"]
    assert "collect" in names["gc"]


@pytest.mark.parametrize("how", HOWS.values(), ids=HOWS)
def test_a_suite_that_breaks_the_standard_library_leaves_the_report_whole(example: Example, how: str) -> None:
    example.write({"plugins/reports_recorder.py": ""})  # it uses what is broken
    calm = ("-s", "-p", "no:cacheprovider", "-p", "no:logging", "-p", "no:faulthandler", "--leaktrace-dir=kept")

    ran = example.run(*calm, files={"test_a.py": SMASHED}, env={"HOW": how}, expect=0)

    assert re.search(r"^LEAKED \d+MB in test_a.py::test_leaks$", ran.report, re.MULTILINE), ran.text
    assert "Traceback" not in ran.text
    assert ran.book.warnings == ()
    assert ran.suspects == {"test_leaks"}
    assert len(ran.ended()) == 3
    assert ran.journals["main"].complete


@pytest.mark.parametrize(
    "what",
    ["json.loads", "json.dumps", "pathlib.Path.read_text", "pathlib.Path.mkdir", "tempfile.mkdtemp", "time.sleep"],
)
def test_a_patch_that_was_never_stopped_changes_no_replay(example: Example, what: str) -> None:
    files = {
        "test_a.py": f"""
            from unittest import mock
            KEPT = []
            def test_leaks(): KEPT.append(bytearray(b"x") * 11_000_000)
            def test_patch_never_stopped(): mock.patch({what!r}).start()
            """
    }

    # pytest's own cache could not be written either, nor what the harness writes down.
    example.write({"plugins/reports_recorder.py": ""})
    ran = example.run("--leaktrace", "-p", "no:cacheprovider", "--leaktrace-dir=kept", files=files, expect=0)

    assert ran.verdicts["test_leaks"] == "LEAK", ran.text
    assert ran.book.warnings == ()


@pytest.mark.parametrize("what", ["subprocess.Popen", "os.kill", "os.killpg", "signal.pidfd_send_signal", "os.waitpid"])
def test_a_patched_call_that_starts_or_ends_processes_is_never_reached(example: Example, what: str) -> None:
    module = what.rpartition(".")[0]
    files = {
        "test_a.py": f"""
            import os, {module}
            KEPT = []
            REAL = {what}

            def recorded(*args, write=os.write, **kwargs):
                # Nothing is ended, nothing started: it is only written down that somebody asked.
                write(2, b"REACHED {what}\\n")
                raise ProcessLookupError("recorded")

            def test_leaks(): KEPT.append(bytearray(b"x") * 11_000_000)
            def test_patch_never_stopped(): {what} = recorded
            """
    }

    ran = example.run("--leaktrace", "-s", files=files, expect=0)

    assert "REACHED" not in ran.text
    assert ran.verdicts["test_leaks"] == "LEAK", ran.text


@pytest.mark.parametrize("where", ["", "def pytest_configure(config): "], ids=["imported", "configured"])
def test_modules_that_a_conftest_replaces_do_not_reach_us(spread: Example, where: str) -> None:
    fake = 'sys.modules.update({name: mock.MagicMock() for name in ("gc", "psutil", "time")})'
    suite = "KEPT = []\ndef test_leaks(): KEPT.append(bytearray(b'x') * 20_000_000)\ndef test_b(): pass\n"
    spread.write({"plugins/reports_recorder.py": ""})
    calm = ("-p", "no:cacheprovider", "-p", "no:logging", "--leaktrace-dir=kept", "--leaktrace")

    without = spread.run(*calm, files={"test_a.py": suite}, expect=0)
    ran = spread.run(*calm, files={"conftest.py": f"import sys\nfrom unittest import mock\n{where}{fake}\n"}, expect=0)

    assert ran.verdicts == {"test_leaks": "LEAK"}, ran.text
    assert told(ran) == told(without)
    assert ran.book.warnings == ()


def test_what_the_suite_had_is_put_in_again_exactly() -> None:
    script = """
        import json, pathlib, statistics, sys, warnings
        sys.modules.pop("statistics"); sys.modules.pop("fractions")
        from leaktrace.snapshot import Snapshot

        snapshot, real = Snapshot(), (json.dumps, pathlib.Path.read_text, sys.path)
        import statistics
        fakes = [object() for _ in range(5)]
        json.dumps, pathlib.Path.read_text, sys.path, statistics.median, sys.modules[5] = fakes
        pathlib.PosixPath.mkdir = fakes[0]
        sys.modules["shlex"] = fakes[1]
        del json.loads
        modules, theirs = dict(sys.modules), statistics

        with snapshot.put_back():
            assert (json.dumps, pathlib.Path.read_text, tuple(sys.path)) == (*real[:2], tuple(real[2]))
            assert "mkdir" not in vars(pathlib.PosixPath) and json.loads("1") == 1 and 5 not in sys.modules
            import statistics
            assert statistics is not theirs and statistics.median([1, 2, 3]) == 2
            own = statistics
        with snapshot.put_back():
            import statistics
            assert statistics is own

        assert [json.dumps, pathlib.Path.read_text, sys.path, theirs.median, sys.modules[5]] == fakes
        assert vars(pathlib.PosixPath)["mkdir"] is fakes[0] and not hasattr(json, "loads")
        assert sys.modules == modules and sys.modules["statistics"] is theirs
    """

    done = subprocess.run([sys.executable, "-c", "if 1:" + script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_whatever_the_rooms_load_late_is_known_to_be_loaded_late() -> None:
    script = """
        import pytest, sys
        import leaktrace.plugin.shared, leaktrace.plugin.report, leaktrace.plugin.xdist
        from leaktrace.snapshot import LATE, _is_python

        before = set(sys.modules)
        import leaktrace.confirm.part, leaktrace.casebook.wire, leaktrace.report.terminal, leaktrace.bisection.trial_cache
        import leaktrace.replay.scheduler, leaktrace.explain.known_leaks
        leaktrace.explain.known_leaks.table()
        late = {
            name for name in set(sys.modules) - before
            if name.partition(".")[0] in sys.stdlib_module_names and (getattr(sys.modules[name], "__file__", None) or "").endswith(".py")
        }
        print(sorted(late - LATE))
    """

    done = subprocess.run([sys.executable, "-c", "if 1:" + script], capture_output=True, text=True, check=False)

    assert done.stdout == "[]\n", done.stdout + done.stderr


@pytest.mark.parametrize(
    "what", ["gc.get_objects", "gc.get_referents", "gc.freeze", "sys._current_frames", "time.perf_counter"]
)
def test_what_a_conftest_patches_is_not_asked_what_keeps_a_leak_alive(example: Example, what: str) -> None:
    module, _, name = what.partition(".")
    files = {
        "conftest.py": f"""
            import {module}
            from unittest import mock
            def pytest_configure(config): {module}.{name} = mock.MagicMock(return_value=1)
            """,
        "test_a.py": "KEPT = []\ndef test_leaks(): KEPT.append([bytearray(b'x') * 11_000_000])\n",
    }
    calm = ("-p", "no:cacheprovider", "--leaktrace-dir=kept", "--leaktrace")

    ran = example.run(*calm, files=files, expect=0)

    assert ran.verdicts == {"test_leaks": "LEAK"}, ran.text
    holder = ran.case("test_leaks").exhibit.holder
    assert holder is not None, ran.text
    assert holder.name == "test_a.KEPT", ran.text


def test_a_socket_class_that_a_conftest_replaces_does_not_cut_off_a_child(example: Example) -> None:
    files = {
        "conftest.py": """
            import os, socket
            class Refuses(socket.socket):  # which is a class still: from 3.14 on pytest itself imports ssl after this
                def __init__(self, *_, **__): raise RuntimeError("patched by the suite")
            if "LEAKTRACE_REPLAY_REQUEST" in os.environ: socket.socket = Refuses
            """,
        "test_a.py": "KEPT = []\ndef test_leaks(): KEPT.append(bytearray(b'x') * 11_000_000)\n",
    }

    ran = example.run("--leaktrace", files=files, expect=0)

    assert ran.verdicts == {"test_leaks": "LEAK"}, ran.text


def test_what_a_test_patches_before_its_leak_is_explained_changes_no_explanation(example: Example) -> None:
    suite = """
        import re
        from unittest import mock
        KEPT = []
        def test_leaks():
            re.compile = mock.MagicMock(side_effect=RuntimeError("patched by the suite"))
            KEPT.append([bytearray(b"x") * 11_000_000])
        """

    ran = example.run("--leaktrace", files={"test_a.py": suite}, expect=0)

    holder = ran.case("test_leaks").exhibit.holder
    assert holder is not None, ran.text
    assert holder.name == "test_a.KEPT", ran.text
    assert not any("failed" in note for note in ran.case("test_leaks").exhibit.notes)
