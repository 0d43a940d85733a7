"""Ctrl-C, SIGTERM and budgets while suspects are replayed: nothing finished is lost, and nothing passes unjudged."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from leaktrace.casebook import wire
from plugin.plugin_harness import Example


SUITE = """
    import os, time
    KEPT = []

    def test_leaks_at_once(): KEPT.append(bytearray(5_000_000))
    def test_leaks_slowly():
        KEPT.append(bytearray(3_000_000))
        if os.environ["MAIN"] in (str(os.getpid()), str(os.getppid())):  # the user's process, or a worker of it
            time.sleep(0.6)  # which puts it behind the other
        elif "FAST" not in os.environ:
            open("replaying", "w").close()
            time.sleep(600)
    def test_fails(): assert 0, "of the user's"
    """
MAIN = {"conftest.py": "import os\nos.environ.setdefault('MAIN', str(os.getpid()))\n"}
ARGS = (
    "--leaktrace",
    "--leaktrace-jobs=1",
    "--leaktrace-limit=1MB",
    "--leaktrace-json=book.json",
    "--junitxml=junit.xml",
)


def replaying(example: Example, process: subprocess.Popen[bytes]) -> str:
    """Wait until the slow suspect is being replayed; all that has been printed until then."""
    for _ in range(6000):
        assert process.poll() is None, (example.path / "output.txt").read_text(encoding="utf-8")
        if (example.path / "replaying").exists():
            return (example.path / "output.txt").read_text(encoding="utf-8")
        time.sleep(0.02)
    raise AssertionError("nothing was replayed")


def ended(example: Example, process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """The exit status, and all that was printed."""
    status = process.wait(120)
    return status, (example.path / "output.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interruption_of_the_replays_costs_what_is_not_judged_yet_and_nothing_else(
    spread: Example, number: signal.Signals
) -> None:
    process = spread.start(*ARGS, files={**MAIN, "test_a.py": SUITE})
    said = replaying(spread, process)

    # All of pytest's own is out before the first replay, and so is what the watch has seen.
    assert "1 failed, 2 passed" in said
    assert "of the user's" in (spread.path / "junit.xml").read_text(encoding="utf-8")
    assert "2 suspects, to be replayed" in said
    assert "in test_a.py::test_leaks_slowly" in said

    process.send_signal(number)
    status, text = ended(spread, process)

    assert status == 1
    assert "Traceback" not in text
    report = text[text.index("to be replayed") :]
    assert "LEAK  test_a.py::test_leaks_at_once" in report
    assert "not judged: 1; to go on: pytest --leaktrace --leaktrace-resume\n  test_a.py::test_leaks_slowly\n" in report
    assert f"warning: the replays were interrupted by {number.name}" in report
    book = wire.read(spread.path / "book.json")
    assert [(case.suspect.name, case.verdict.name) for case in book.cases] == [
        ("test_a.py::test_leaks_at_once", "LEAK")
    ]
    assert book.left_out == ("test_a.py::test_leaks_slowly",)

    ran = spread.run("--leaktrace", "--leaktrace-limit=1MB", "--leaktrace-resume", env={"FAST": "1"}, expect=0)

    assert ran.outcomes == {"test_leaks_slowly": "passed"}
    assert ran.verdicts == {"test_leaks_slowly": "LEAK"}
    assert "leaktrace: resume: 1 left unjudged by the last run" in ran.text


PASSING = SUITE.replace("assert 0", "assert 1")
FAIL_ON = "--leaktrace-fail-on=leak,unjudged"


def test_a_second_interruption_costs_neither_report_nor_casebook_and_nothing_passes_unjudged(example: Example) -> None:
    process = example.start(*ARGS, FAIL_ON, files={**MAIN, "test_a.py": PASSING})
    replaying(example, process)

    process.send_signal(signal.SIGINT)
    time.sleep(0.1)  # two at once may count as one
    process.send_signal(signal.SIGINT)
    status, text = ended(example, process)

    assert status == 1
    assert "Traceback" not in text
    assert "leaktrace: exit status 1, by --leaktrace-fail-on=" in text
    assert "test_a.py::test_leaks_slowly" in wire.read(example.path / "book.json").left_out


INTERRUPTS = """
    import os, signal
    import leaktrace.confirm.steps
    from leaktrace.casebook import wire

    write = wire.write
    def interrupt():
        signal.raise_signal(signal.SIGINT)
    def replayed(*args, **options):
        interrupt()
        interrupt()
        raise AssertionError("not interrupted")
    def written(*args):
        if os.environ["TIMES"] == "3": interrupt()
        write(*args)
    leaktrace.confirm.steps.confirm, wire.write = replayed, written
    """


@pytest.mark.parametrize("mode", ["--leaktrace", "--leaktrace-hunt"])
def test_what_a_second_interruption_of_the_replays_leaves_is_told_remembered_and_meets_the_word(
    example: Example, mode: str
) -> None:
    files = {"conftest.py": MAIN["conftest.py"] + INTERRUPTS.replace("\n    ", "\n"), "test_a.py": PASSING}

    ran = example.run(mode, "--leaktrace-limit=1MB", FAIL_ON, files=files, env={"TIMES": "2"}, expect=1)

    everything = {"test_a.py::test_leaks_at_once", "test_a.py::test_leaks_slowly"}
    everything |= {"test_a.py::test_fails"} if mode == "--leaktrace-hunt" else set()
    assert set(ran.book.left_out) == everything
    assert "leaktrace: exit status 1, by --leaktrace-fail-on=unjudged" in ran.report
    [note] = example.path.rglob("unjudged.json")
    assert set(json.loads(note.read_text(encoding="utf-8"))["nodeids"]) == everything


def test_a_third_interruption_ends_the_report_and_pytests_status_stands(example: Example) -> None:
    files = {"conftest.py": MAIN["conftest.py"] + INTERRUPTS.replace("\n    ", "\n"), "test_a.py": PASSING}

    ran = example.run("--leaktrace", "--leaktrace-limit=1MB", FAIL_ON, files=files, env={"TIMES": "3"}, expect=0)

    assert "interrupted three times" in ran.text
    assert "Traceback" not in ran.text


@pytest.mark.parametrize("mode", ["--leaktrace", "--leaktrace-hunt"])
def test_what_is_given_up_for_time_is_not_judged_and_a_resumed_run_judges_it(spread: Example, mode: str) -> None:
    args = (mode, "--leaktrace-limit=1MB", "--leaktrace-timeout=2s", "--leaktrace-fail-on=unjudged")

    ran = spread.run(*args, files={**MAIN, "test_a.py": PASSING}, expect=1)

    assert ran.book.left_out == ("test_a.py::test_leaks_slowly",)
    assert ran.verdicts["test_leaks_slowly"] == "UNREPLAYABLE"
    assert "it took longer than --leaktrace-timeout" in ran.case("test_leaks_slowly").reason
    assert "leaktrace: not judged: 1; to go on: " in ran.report
    assert ran.text.rstrip().splitlines()[-1] == "leaktrace: exit status 1, by --leaktrace-fail-on=unjudged"

    again = spread.run(*args, "--leaktrace-resume", env={"FAST": "1"}, expect=0)

    assert again.outcomes == {"test_leaks_slowly": "passed"}
    assert again.verdicts == {"test_leaks_slowly": "LEAK"}
    assert again.book.left_out == ()


def test_a_run_that_was_interrupted_is_not_replayed_and_its_suspects_are_unjudged(example: Example) -> None:
    suite = """
        KEPT = []
        def test_leaks(): KEPT.append(bytearray(3_000_000))
        def test_is_interrupted(): raise KeyboardInterrupt
        """

    ran = example.run("--leaktrace", "--leaktrace-limit=1MB", files={"test_a.py": suite}, expect=2)

    assert ran.book.cases == ()
    assert ran.book.left_out == ("test_a.py::test_leaks",)
    assert "in test_a.py::test_leaks" in ran.report


UNJUDGED = """
    import time

    KEPT = []

    def test_slow_and_leaking():
        time.sleep(0.03)
        KEPT.append(object())

    def test_note():
        time.sleep(0.03)
        KEPT.append(object())
    """


def test_what_a_budget_leaves_unjudged_does_not_pass_and_a_resumed_run_judges_it(spread: Example) -> None:
    hunt = ("--leaktrace-hunt", "--leaktrace-fail-on=leak,unjudged")

    ran = spread.run(*hunt, "--leaktrace-budget=100ms", files={"test_budget.py": UNJUDGED}, expect=1)

    assert sorted(ran.book.left_out) == ["test_budget.py::test_note", "test_budget.py::test_slow_and_leaking"]
    assert "leaktrace: not judged: 2; to go on: pytest --leaktrace-hunt --leaktrace-resume" in ran.report
    assert "warning: --leaktrace-budget ran out while screening" in ran.report
    assert ran.text.rstrip().splitlines()[-1] == "leaktrace: exit status 1, by --leaktrace-fail-on=unjudged"

    again = spread.run(*hunt, "--leaktrace-resume", expect=1)

    assert again.verdicts == {"test_slow_and_leaking": "LEAK", "test_note": "LEAK"}
    assert again.book.left_out == ()
    assert again.text.rstrip().splitlines()[-1] == "leaktrace: exit status 1, by --leaktrace-fail-on=leak"

    third = spread.run("--leaktrace-resume", expect=0)
    assert "leaktrace: resume: nothing was left unjudged" in third.text


def test_a_note_of_what_was_left_that_cannot_be_read_is_a_usage_error(example: Example) -> None:
    example.write({"test_a.py": "def test_a(): pass", "kept/unjudged.json": "{"})

    ran = example.run("--leaktrace-resume", "--leaktrace-dir=kept", expect=4)

    assert "unjudged.json" in ran.text
    assert "run without --leaktrace-resume" in ran.text


def test_when_the_controller_dies_no_process_of_the_run_lives_on(tmp_path: Path) -> None:
    from plugin.plugin_harness import Example

    suite = SUITE.replace(
        'open("replaying", "w").close()', 'os.system(f"echo {os.getpid()} {os.getppid()} > part; mv part replaying")'
    )
    example = Example(tmp_path, ("-n2",))
    process = example.start(*ARGS, files={**MAIN, "test_a.py": suite})
    replaying(example, process)

    process.kill()
    process.wait(60)

    for pid in (example.path / "replaying").read_text(encoding="utf-8").split():
        for _ in range(1000):
            if not Path(f"/proc/{pid}").exists():
                break
            time.sleep(0.01)
        else:
            pytest.fail(f"{pid} lives on")


def test_an_interruption_that_comes_as_the_interpreter_ends_does_not_change_the_exit_status() -> None:
    script = """
        import atexit, signal
        from leaktrace.plugin.interruptions import Interruptions
        atexit.register(lambda: print(signal.getsignal(signal.SIGINT).name))  # the first to be registered is asked last
        with Interruptions():
            signal.raise_signal(signal.SIGINT)
        """

    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=True
    )

    assert ran.stdout.split() == ["SIG_IGN"]


@pytest.mark.parametrize("mode", ["--leaktrace-limit=1MB", "--leaktrace"])
def test_a_second_interruption_while_an_interrupted_run_ends_costs_nothing_of_pytests_summary(
    spread: Example, mode: str
) -> None:
    conftest = """
        import os, signal

        def pytest_terminal_summary():
            if "PYTEST_XDIST_WORKER" not in os.environ: os.kill(os.getpid(), signal.SIGINT)
        """
    suite = "def test_passes(): pass\ndef test_is_interrupted(): raise KeyboardInterrupt\n"

    ran = spread.run(mode, "-v", files={"conftest.py": conftest, "test_a.py": suite}, book=False, expect=2)

    assert "1 passed in " in ran.text
    assert "pytest/__main__.py" not in ran.text
