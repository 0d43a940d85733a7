"""Tracebacks, in every style and output, are those of a run without the plugin: no frame of ours is in them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from plugin.plugin_harness import Example


BREAKING = {
    "conftest.py": """
        import pytest

        @pytest.fixture
        def breaks_before(): raise ValueError("before")
        @pytest.fixture
        def breaks_after():
            yield
            raise ValueError("after")
        @pytest.fixture(scope="module")
        def wide_before():
            try: {}["x"]
            except KeyError as exc: raise ValueError("wide before") from exc
        @pytest.fixture(scope="module")
        def wide_after():
            yield
            raise ValueError("wide after")
        @pytest.fixture
        def outer(request):
            try: request.getfixturevalue("breaks_before")
            except ValueError as exc: raise RuntimeError("outer") from exc
        @pytest.fixture
        def skips(): pytest.skip("not today")
        @pytest.fixture(scope="module")
        def asks(request): return request.getfixturevalue("wide_before")
        def pytest_runtest_call(item):
            if item.name == "test_hooked": raise OSError("hook")
        """,
    "test_breaks.py": """
        def test_before(breaks_before): pass
        def test_after(breaks_after): pass
        def test_wide(wide_before): pass
        def test_wide_again(wide_before): pass
        def test_asks(asks): pass
        def test_asks_again(asks): pass
        def test_outer(outer): pass
        def test_in_the_call(request): request.getfixturevalue("breaks_before")
        def test_skips(skips): pass
        def test_hooked(): pass
        def test_fails(): assert 1 == 2
        def test_missing(nothing): pass
        def test_wide_after(wide_after): pass
        """,
}
STOPPING = {
    "conftest.py": """
        import os
        import pytest

        WHERE = os.environ["WHERE"]

        @pytest.fixture
        def interrupted(): raise KeyboardInterrupt
        def pytest_runtest_logreport(report):
            if WHERE == "logreport": raise OSError("hook")
        def pytest_sessionfinish():
            if WHERE == "sessionfinish": raise OSError("hook")
        def pytest_collection_modifyitems():
            if WHERE == "collection": raise OSError("hook")
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_protocol(item):
            result = yield
            if WHERE == "protocol":
                try: {}["x"]
                except KeyError as exc: raise OSError("hook") from exc
            return result
        """,
    "test_stops.py": """
        import os
        import pytest

        def test_stops(request):
            if os.environ["WHERE"] == "exit": pytest.exit("enough")
            if os.environ["WHERE"] == "interrupt": raise KeyboardInterrupt
            if os.environ["WHERE"] == "fixture": request.getfixturevalue("interrupted")
        """,
}
VARIES = (
    (r"\d+\.\d+s\b( \(\d:\d\d:\d\d\))?", "N s"),
    (r"0x[0-9a-f]+", "0xN"),
    (r'(time|timestamp)="[^"]*"', ""),
    # pytest's own lists of who answers a hook: every plugin that is loaded is in them.
    (r"(methods|hook_impls) *= \[(<|&lt;)HookImpl.*", ""),
    (r"(?m)^(leaktrace|plugins|configfile):.*\n", ""),
    (r"=+( .* )=+", r"\1"),
)


def plain(text: str) -> list[str]:
    for pattern, into in VARIES:
        text = re.sub(pattern, into, text)
    return text.splitlines()


def compared(
    example: Example, *args: str, files: Mapping[str, str], env: Mapping[str, str] | None = None
) -> list[tuple[int, list[str], list[str] | str]]:
    """What a run without us shows, and what one with us shows, on the terminal and in junit's file."""
    shown = []
    junit = example.path / "junit.xml"
    for switch in ("--no-leaktrace", "--leaktrace-limit=1GB"):  # of what a failed test has grown by we would tell
        ran = example.run(
            switch, "-p", "no:cacheprovider", f"--junitxml={junit}", *args, files=files, env=env, book=False
        )
        shown.append((ran.ret, plain(ran.text), plain(junit.read_text()) if junit.exists() else ""))
        junit.unlink(missing_ok=True)
    return shown


@pytest.mark.parametrize("style", ["long", "short", "native"])
def test_failing_fixtures_hooks_and_tests_show_no_frame_of_ours_in_any_style(example: Example, style: str) -> None:
    without, watched = compared(example, f"--tb={style}", files=BREAKING)

    assert watched == without
    assert "breaks_before" in str(without[1])


def test_nor_where_everything_is_shown(example: Example) -> None:
    without, watched = compared(example, "--full-trace", files=BREAKING)

    assert watched == without


def test_nor_in_what_a_worker_sends(example: Example) -> None:
    without, watched = compared(example, "-p", "xdist.plugin", "-n1", "--tb=native", files=BREAKING)

    assert watched == without


@pytest.mark.parametrize(
    ("where", "args"),
    [("logreport", ()), ("protocol", ("--full-trace",)), ("sessionfinish", ()), ("collection", ())],
)
def test_a_hook_of_a_conftest_that_fails_shows_no_frame_of_ours(
    example: Example, where: str, args: tuple[str, ...]
) -> None:
    without, watched = compared(example, *args, files=STOPPING, env={"WHERE": where})

    assert watched == without
    assert "hook" in str(without[1])


@pytest.mark.parametrize("where", ["fixture", "exit"])
def test_an_interruption_shows_no_frame_of_ours(example: Example, where: str) -> None:
    without, watched = compared(example, "--full-trace", files=STOPPING, env={"WHERE": where})

    assert watched == without


def test_pytest_itself_breaking_down_shows_no_frame_of_ours(example: Example) -> None:
    files = {
        "test_a.py": """
            import sys
            from unittest import mock

            def test_breaks_pytest():
                sys.exc_info = mock.MagicMock()
                assert 0
            """
    }

    without, watched = compared(example, files=files)

    assert "exc_info" in str(without[1]) or "Traceback" in str(without[1])
    assert watched == without


def test_what_the_watch_saw_is_told_though_a_hook_behind_the_last_test_breaks_down(spread: Example) -> None:
    files = {
        "conftest.py": """
            def pytest_unconfigure(config):
                if not hasattr(config, "workerinput"): raise OSError("hook")
            """,
        "test_a.py": "KEPT = []\ndef test_leaks(): KEPT.append(bytearray(b'x') * 20_000_000)\n",
    }

    ran = spread.run("--leaktrace", files=files, expect=1)

    assert "OSError: hook" in ran.text
    assert "LEAKED 20MB in test_a.py::test_leaks" in ran.text
    assert "leaktrace: not judged: 1" in ran.text
    assert "/leaktrace/" not in ran.text


def test_a_cause_that_was_never_raised_ends_no_run(spread: Example) -> None:
    suite = """
        import pytest

        @pytest.fixture
        def breaks(): raise ValueError("of a fixture") from KeyError("never raised")
        def test_setup(breaks): pass
        def test_call(): raise ValueError("of a test") from KeyError("never raised")
        def test_group(): raise ExceptionGroup("of a test", [KeyError("never raised")])
        def test_passes(): pass
        """

    ran = spread.same(files={"test_a.py": suite}, expect=1)

    assert "INTERNALERROR" not in ran.text
    assert ran.outcomes["test_passes"] == "passed"
