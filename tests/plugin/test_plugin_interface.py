"""What a user asks for and what he is told: markers, exit status, `-v`, JSON, the folder of journals."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest

from leaktrace.casebook import wire
from plugin.plugin_harness import Example


pytestmark = pytest.mark.versions


LEAKY = """
    import pytest
    KEPT = []
    def test_leaks(): KEPT.append(bytearray(3_000_000))
    def test_clean(): pass
    @pytest.mark.leaktrace(limit="20MB")
    def test_may_keep(): KEPT.append(bytearray(3_000_000))
    @pytest.mark.leaktrace(limit="100 kB", reason="it is small")
    def test_may_not_keep(): KEPT.append(bytearray(600_000))
    @pytest.mark.leaktrace(off=True, reason="known")
    def test_is_left_out(): KEPT.append(bytearray(3_000_000))
    """
FILES = {"test_a.py": LEAKY}
LIMIT = "--leaktrace-limit=1MB"


def test_a_watch_reports_who_kept_how_much_and_writes_its_casebook(spread: Example) -> None:
    ran = spread.run(LIMIT, "-v", files=FILES, expect=0)

    assert ran.suspects == {"test_leaks", "test_may_not_keep"}
    assert re.search(r"^LEAKED 3\.[0-2]MB in test_a.py::test_leaks$", ran.report, re.MULTILINE)
    assert "LEAKED 0.6MB in test_a.py::test_may_not_keep" in ran.report.splitlines()
    assert "Are they leaks, and what keeps them alive? Run: pytest --leaktrace" in ran.report
    assert "limit 1MB (--leaktrace-limit)" in ran.text
    assert [line for line in ran.report.splitlines() if len(line) > 80] == []

    assert [case.verdict for case in ran.book.cases] == []
    assert {span.nodeid for span in ran.book.tests} == {nodeid for nodeid, _when, _outcome in ran.reports}
    leaks = next(span for span in ran.book.tests if span.nodeid.endswith("test_leaks"))
    assert leaks.phases["call"]["heap_bytes"] == pytest.approx(3e6, rel=0.02)
    assert wire.from_json(json.loads(json.dumps(wire.to_json(ran.book)))) == ran.book
    assert {process.worker for process in ran.book.processes} == ({"gw0", "gw1"} if spread.args else {"main"})
    if not spread.args:
        shown = {line.split("::")[1].split(" ")[0]: line for line in ran.text.splitlines() if " PASSED" in line}
        assert re.search(r"\[\+[23]\.\d MB\]", shown["test_leaks"])
        assert "MB]" not in shown["test_clean"]


def test_a_quiet_run_says_one_line(example: Example) -> None:
    ran = example.run(files={"test_a.py": "def test_a(): pass\ndef test_b(): pass\n"}, expect=0)

    assert ran.report.splitlines()[0] == "leaktrace: 2 tests watched, none kept more than 10MB"
    assert "= leaktrace" not in ran.text


def test_nothing_is_done_when_it_is_off(example: Example) -> None:
    ran = example.run("--no-leaktrace", "--leaktrace-dir=kept", "-v", files=FILES, expect=0)

    assert ran.report == ""
    assert ran.written is None
    assert not (example.path / "kept").exists()
    assert "MB]" not in ran.text


@pytest.mark.parametrize(
    ("args", "status", "last"),
    [
        (("--leaktrace-fail-on=suspect",), 1, "leaktrace: exit status 1, by --leaktrace-fail-on=suspect"),
        (("--leaktrace-fail-on=leak,undecided",), 0, None),
        (("--leaktrace-fail-on=suspect", "-k", "clean"), 0, None),
        (
            ("--leaktrace", "--leaktrace-fail-on=leak", "-k", "leaks"),
            1,
            "leaktrace: exit status 1, by --leaktrace-fail-on=leak",
        ),
    ],
)
def test_the_exit_status_is_ours_only_if_something_asked_for_was_found(
    example: Example, args: tuple[str, ...], status: int, last: str | None
) -> None:
    ran = example.run(LIMIT, *args, files=FILES, expect=status)

    said = [line for line in ran.text.splitlines() if "exit status" in line]
    assert said == ([last] if last else [])
    if last:
        assert ran.text.rstrip().splitlines()[-1] == last


def test_the_exit_status_is_pytests_own_where_that_is_not_0(example: Example) -> None:
    files = {"test_a.py": LEAKY + "\n    def test_fails(): assert 0\n"}
    ran = example.run(LIMIT, "--leaktrace-fail-on=suspect", files=files, expect=1)
    assert "by --leaktrace-fail-on" not in ran.text

    example.run(LIMIT, "--leaktrace-fail-on=suspect", "-k", "no_such_test", expect=5)


@pytest.mark.parametrize(
    ("args", "env", "message"),
    [
        (("--leaktrace-limit=ten",), {}, "--leaktrace-limit"),
        ((), {"LEAKTRACE_LIMIT": "ten"}, "LEAKTRACE_LIMIT"),
        (("-o", "leaktrace_limit=ten"), {}, "leaktrace_limit"),
    ],
)
def test_a_bad_value_is_a_usage_error_that_names_its_source(
    example: Example, args: tuple[str, ...], env: dict[str, Any], message: str
) -> None:
    ran = example.run(*args, env=env, files=FILES, expect=4)

    assert message in ran.text
    assert "'ten'" in ran.text
    assert "Traceback" not in ran.text


@pytest.mark.parametrize(
    ("marker", "message"), [("limit='ten'", "'ten'"), ("colour=1", "colour"), ("'10MB'", "takes keywords only")]
)
def test_a_bad_marker_is_a_usage_error_that_names_the_test(example: Example, marker: str, message: str) -> None:
    files = {"test_a.py": f"import pytest\n@pytest.mark.leaktrace({marker})\ndef test_a(): pass\n"}

    ran = example.run(files=files, expect=4)

    assert message in ran.text
    assert "test_a.py::test_a" in ran.text
    assert "Traceback" not in ran.text


def test_journals_lie_in_pytests_cache_and_old_ones_are_pruned(example: Example) -> None:
    runs = example.path / ".pytest_cache" / "d" / "leaktrace" / "runs"
    for day in range(1, 8):
        (runs / f"2020010{day}-120000-4194305").mkdir(parents=True)

    ran = example.run("--leaktrace-keep=3", files=FILES, expect=0)

    left = sorted(each.name for each in runs.iterdir())
    assert left[:2] == ["20200106-120000-4194305", "20200107-120000-4194305"]
    assert len(left) == 3
    journal = ran.journals["main"]
    assert (journal.complete, len(journal), len(journal.span(0).phases)) == (True, 5, 3)
    assert ran.ended() == sorted(ran.outcomes)


def test_keeping_one_journal_keeps_this_runs_alone(example: Example) -> None:
    for _ in range(2):
        example.run("--leaktrace-keep=1", "--leaktrace-dir=kept", files=FILES, expect=0)

    assert len(list((example.path / "kept" / "runs").iterdir())) == 1
    assert not (example.path / ".pytest_cache" / "d").exists()


@pytest.mark.parametrize("args", [(), ("-p", "no:cacheprovider")])
def test_where_the_cache_cannot_be_had_the_journal_lies_among_the_temporary_files_while_it_is_needed(
    example: Example, args: tuple[str, ...]
) -> None:
    temporary = example.path / "temporary"
    temporary.mkdir()
    (example.path / ".pytest_cache").write_text("not a folder", encoding="utf-8")
    looks = """
        import os, pathlib
        def test_looks(): assert len([*pathlib.Path(os.environ["TMPDIR"]).rglob("main.jsonl")]) == 1
        """

    ran = example.run(*args, LIMIT, env={"TMPDIR": str(temporary)}, files={**FILES, "test_b.py": looks}, expect=0)

    assert re.search(r"^LEAKED 3\.[0-2]MB in test_a.py::test_leaks$", ran.report, re.MULTILINE)
    assert list(temporary.rglob("main.jsonl")) == []


@pytest.mark.parametrize("argument", ["--leaktrace-dir=file", "--leaktrace-json=file/book.json"])
def test_a_path_that_cannot_be_written_is_a_usage_error_before_the_first_test(example: Example, argument: str) -> None:
    (example.path / "file").write_text("not a folder", encoding="utf-8")

    ran = example.run(LIMIT, argument, files=FILES, book=False, expect=4)

    assert argument.partition("=")[0] in ran.text
    assert "Traceback" not in ran.text
    assert ran.reports == []


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")
def test_nothing_is_left_beside_the_cache(example: Example) -> None:
    before = {each.name for each in example.path.iterdir()}

    example.run(
        LIMIT, "--leaktrace", "-k", "leaks", files=FILES, book=False, env={"TMPDIR": str(example.path)}, expect=0
    )

    after = {each.name for each in example.path.iterdir()} - {"__pycache__", "test_a.py", "reports-1.txt"}
    assert {name for name in after - before if not name.startswith("pytest-of-")} == {".pytest_cache"}


def test_growth_that_is_spread_thin_over_the_suite_is_told_with_what_its_tests_have_in_common(
    spread: Example,
) -> None:
    conftest = """
        import pytest
        KEPT = []

        @pytest.fixture(autouse=True)
        def database(): KEPT.append(bytearray(b"x") * 120_000)
        """
    module = "import pytest\n@pytest.mark.parametrize('n', range(4))\ndef test_a(n): pass\n"
    files = {"conftest.py": conftest, **{f"test_{number}.py": module for number in range(8)}}

    ran = spread.run("--leaktrace-limit=1MB", files=files, expect=0)

    assert ran.suspects == {"the whole suite"}, ran.text
    assert "all of them use fixture database" in ran.report
