"""`leaktrace bisect` as a user runs it: children of real suites, and the words that come of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest


SUITE = {
    "shop.py": """
        SPIES, KEPT = set(), []

        def serve():
            if {"a", "b"} <= SPIES:
                KEPT.append(bytearray(3_000_000))
        """,
    "test_early.py": """
        import pytest, shop

        @pytest.mark.parametrize("spy", ["a"])
        def test_spies(spy): shop.SPIES.add(spy)
        def test_fails(): assert 0
        def test_last_spy(): shop.SPIES.add("b")
        """,
    "test_late.py": """
        import shop

        def test_serves(): shop.serve()
        def test_quiet(): pass
        def test_grows(): shop.KEPT.append(bytearray(3_000_000))
        """,
    "pytest.ini": "[pytest]\n",
}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    for name, text in SUITE.items():
        (tmp_path / name).write_text(textwrap.dedent(text), encoding="utf-8")
    return tmp_path


def environ() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "LEAKTRACE_"))}
    return {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "leaktrace", *args]


def run(folder: Path, *args: str, plugin: bool = True) -> subprocess.CompletedProcess[str]:
    ours = args if "--" in args or not plugin else (*args, "--", "-p", "leaktrace.plugin")
    return subprocess.run(command(*ours), cwd=folder, env=environ(), capture_output=True, text=True, check=False)


def trials(ran: subprocess.CompletedProcess[str]) -> tuple[int, int]:
    """How many were made, and how many were known."""
    last = ran.stdout.splitlines()[-1]
    found = re.search(r"^(\d+) trials?(?: and (\d+) known from earlier calls \(--fresh.*\))?, \d+ s$", last)
    assert found is not None, last
    return int(found[1]), int(found[2] or 0)


def test_the_tests_that_matter_are_found_and_the_leak_is_explained_after_them(suite: Path) -> None:
    ran = run(suite, "bisect", "test_late.py::test_serves")

    assert ran.stderr == ""
    assert ran.returncode == 0, ran.stdout
    said = " ".join(ran.stdout.split())
    needed = "test_early.py::test_spies[a] test_early.py::test_last_spy"
    assert f"test_late.py::test_serves leaks after these tests: {needed} Without any of them it does not" in said
    assert "among the 3 tests before it, in the order of collection" in said
    assert "held by shop.KEPT" in said
    command = "pytest --leaktrace-hunt 'test_early.py::test_spies[a]' test_early.py::test_last_spy"
    assert f"again {command} test_late.py::test_serves" in said
    assert re.search(r"\n\d+ trials, \d+ s\n$", ran.stdout)
    assert max(map(len, ran.stdout.splitlines())) <= 80


def test_what_is_known_from_an_earlier_call_starts_no_child_until_it_is_dropped_or_the_code_changes(
    suite: Path,
) -> None:
    before = ("--after", "test_early.py::test_spies[a]", "--after", "test_early.py::test_last_spy")
    asked = ("bisect", "test_late.py::test_serves", *before)
    first, again = run(suite, *asked), run(suite, *asked)
    more = run(suite, *asked, "--after", "test_early.py::test_fails")
    fresh = run(suite, *asked, "--fresh")
    with (suite / "shop.py").open("a") as file:
        file.write("SPIES_EXPECTED = 2\n")
    changed = run(suite, *asked)

    assert trials(first) == (5, 0), first.stdout
    assert trials(again) == (0, 5), again.stdout
    assert trials(fresh) == trials(changed) == (5, 0)
    assert trials(more)[0] < 5 <= sum(trials(more))
    assert first.stdout.splitlines()[:-1] == again.stdout.splitlines()[:-1]
    assert first.stdout.splitlines()[0] == fresh.stdout.splitlines()[0]


def test_a_test_that_leaks_alone_needs_no_other(suite: Path) -> None:
    ran = run(suite, "bisect", "test_late.py::test_grows", "--after", "test_late.py::test_quiet")

    assert ran.returncode == 1
    assert "needs no other test to leak. Alone, too: grew by" in " ".join(ran.stdout.split())
    assert "pytest --leaktrace test_late.py::test_grows" in ran.stdout


def test_tests_that_are_given_and_do_not_bring_it_back_are_told(suite: Path) -> None:
    ran = run(suite, "bisect", "test_late.py::test_serves", "--after", "test_early.py::test_last_spy")

    assert ran.returncode == 1
    assert "does not leak, neither alone nor after the 1 test before it, as given." in " ".join(ran.stdout.split())


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("bisect", "test_late.py::test_gone"), "no test test_late.py::test_gone is collected among 6"),
        (("bisect", "test_late.py::test_serves", "--", "--no-such-flag"), "unrecognized arguments: --no-such-flag"),
        (("bisect", "test_late.py::test_serves", "--", "-q"), "does not load leaktrace with these arguments"),
        (("bisect", "x", "--budget", "soon"), "argument --budget: got 'soon'"),
        (("bisect",), "the following arguments are required: NODEID"),
        ((), "required: COMMAND"),
    ],
)
def test_what_the_user_has_to_mend_is_told_without_a_traceback(suite: Path, args: tuple[str, ...], said: str) -> None:
    ran = run(suite, *args, plugin="bisect" in args and "NODEID" not in said)

    assert ran.returncode == 2
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_one_line_tells_how_far_it_is_and_is_wiped_at_the_end(suite: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    args = ("bisect", "test_late.py::test_quiet", "--after", "test_early.py::test_fails")
    with subprocess.Popen(
        command(*args, "--", "-p", "leaktrace.plugin"), cwd=suite, env=environ(), stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 10_000)
            except OSError:  # its other end is closed
                break
            if not part:
                break
            shown += part
        process.wait()
    os.close(ours)

    lines = [line for line in shown.decode().split("\r\x1b[K") if line]
    assert lines == [
        "leaktrace bisect: collecting",
        "leaktrace bisect: trial 1: test_late.py::test_quiet alone",
        "leaktrace bisect: trial 2: test_late.py::test_quiet after 1 other test",
    ]
    assert shown.endswith(b"\r\x1b[K")
