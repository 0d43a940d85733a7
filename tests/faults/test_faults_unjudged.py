"""What budget, time-out or interruption left out is told, counts for the exit status, and can be gone on with."""

from __future__ import annotations

import re

from faults.faults_harness import Suite


SLOW = """
import os, time
KEPT, SLEEP_S = [], float(os.environ.get("SLEEP_S", "0.4"))
def test_slow_and_leaking():
    time.sleep(SLEEP_S)
    KEPT.append(object())
def test_note():
    time.sleep(SLEEP_S)
    KEPT.append(object())
"""


def test_what_the_budget_left_out_is_listed_and_fails_the_run_where_asked(suite: Suite) -> None:
    ours = suite.run(
        "--leaktrace-hunt", "--leaktrace-budget=1s", "--leaktrace-fail-on=leak,unjudged", files={"test_budget.py": SLOW}
    )

    assert ours.status == 1
    assert re.search(r"^leaktrace: not judged: [12]\b", ours.output, re.MULTILINE)
    assert "--leaktrace-resume" in ours.output
    assert "none kept more than" not in ours.output


def test_what_the_budget_left_out_passes_where_only_leaks_fail_but_is_told(suite: Suite) -> None:
    ours = suite.run(
        "--leaktrace-hunt", "--leaktrace-budget=1s", "--leaktrace-fail-on=leak", files={"test_budget.py": SLOW}
    )

    assert re.search(r"^leaktrace: not judged: [12]\b", ours.output, re.MULTILINE)
    assert ours.status in (0, 1)


def test_what_was_not_judged_is_gone_on_with_and_nothing_else(suite: Suite) -> None:
    suite.run("--leaktrace-hunt", "--leaktrace-budget=1s", files={"test_budget.py": SLOW})
    cache = suite.root / ".pytest_cache"
    kept = suite.path / "kept"
    cache.rename(kept)
    # Each run of the harness begins without a cache folder: this one gets its own back.
    files = {
        "conftest.py": f"import os, shutil\nif not os.path.exists({str(cache / 'd')!r}): shutil.copytree({str(kept)!r}, {str(cache)!r}, dirs_exist_ok=True)\n"
    }

    ours = suite.run("--leaktrace-hunt", "--leaktrace-resume", files=files, env={"SLEEP_S": "0"})

    assert "test_budget.py::test_note" in ours.ours
    assert "not judged" not in ours.output


def test_a_longer_time_out_decides_what_was_undecided_for_want_of_time(suite: Suite) -> None:
    body = """
    import functools, itertools, time
    RUNS = itertools.count()
    KEPT = []
    def test_a_report_is_made():
        time.sleep(0.02)
        n = next(RUNS)
        KEPT.append(bytearray(60_000 // (1 + n // 12)))
    """
    short = suite.run("--leaktrace-hunt", "--leaktrace-timeout=1s", files={"test_time.py": body})
    longer = suite.run("--leaktrace-hunt", "--leaktrace-timeout=60s")

    assert short.book is not None, short.output
    assert longer.book is not None, longer.output
    assert [case["verdict"] in {"UNDECIDED", "UNREPLAYABLE"} for case in short.book["cases"]] == [True]
    assert [case["verdict"] in {"UNDECIDED", "UNREPLAYABLE"} for case in longer.book["cases"]] == [False], longer.output
