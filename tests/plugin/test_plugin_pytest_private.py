"""What we use of pytest without a public name, against the pytest that is installed."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from leaktrace.child import pytest_private


pytestmark = pytest.mark.versions


SUITE = """
    import pytest

    def note(text):
        with open("log.txt", "a") as file: file.write(text + " ")

    @pytest.fixture(scope="session")
    def wide():
        note("wide+")
        yield
        note("wide-")

    @pytest.fixture
    def narrow(wide, tmp_path):
        note("narrow+")
        yield
        note("narrow-")

    def test_a(narrow, record_property):
        print("said")
        record_property("a", 1)
    def test_b(): pass
    def test_fails(): assert 0
    """


class Plugin:
    """Repeats each test three times in the place of pytest's own loop."""

    def __init__(self) -> None:
        self.quiet = pytest_private.QuietRuns()
        self.told: list[str] = []
        self.reports: list[Any] = []
        self.lengths: list[list[int]] = []
        self.sections: list[Any] = []
        self.properties: list[Any] = []
        self.ends: list[list[int]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.told.append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        lists = pytest_private.FinalizerLists(self.quiet.wide)
        for item in session.items:
            for _ in range(3):
                self.reports += self.quiet.run(item, item.parent)
                pytest_private.forget_run(item, 0)
                lists.trim()
                pytest_private.forget_ends(session)
                self.sections += item._report_sections
                self.properties += item.user_properties
                self.lengths.append([len(each._finalizers) for each in self.quiet.wide])
                self.ends.append([len(ends) for ends, _ in session._setupstate.stack.values()])
        pytest_private.tear_down(session, None)
        return True


@pytest.fixture
def plugin(pytester: pytest.Pytester) -> Plugin:
    plugin = Plugin()
    pytester.makepyfile(SUITE)
    pytester.inline_run(
        "-p",
        "no:randomly",
        "-p",
        "no:leaktrace",
        "-p",
        "no:asyncio",
        "-p",
        "no:rerunfailures",
        plugins=[plugin, plugin.quiet],
    )
    return plugin


def test_a_repeat_sets_up_calls_and_tears_down_and_tells_nobody(plugin: Plugin) -> None:
    assert [(report.nodeid.partition("::")[2], report.when, report.outcome) for report in plugin.reports[:9]] == [
        ("test_a", when, "passed") for _ in range(3) for when in ("setup", "call", "teardown")
    ]
    assert plugin.told == []
    assert [report.outcome for report in plugin.reports[-9:] if report.when == "call"] == ["failed"] * 3


def test_wider_fixtures_live_on_and_narrow_ones_do_not(pytester: pytest.Pytester, plugin: Plugin) -> None:
    log = (pytester.path / "log.txt").read_text(encoding="utf-8").split()

    assert log == ["wide+", *["narrow+", "narrow-"] * 3, "wide-"]


def test_the_finalizers_of_wider_fixtures_do_not_grow(plugin: Plugin) -> None:
    first, second, third = plugin.lengths[:3]

    assert first
    assert first == second == third


def test_the_ends_of_wider_fixtures_that_nodes_keep_do_not_grow(plugin: Plugin) -> None:
    first, second, third = plugin.ends[:3]

    assert sum(first) > 0
    assert first == second == third


def test_captured_output_and_properties_of_a_run_are_let_go(plugin: Plugin) -> None:
    assert plugin.sections == []
    assert plugin.properties == []


def test_what_comes_and_goes_in_a_stash_or_in_what_is_set_up_leaves_the_same_table_after_each_run(
    request: pytest.FixtureRequest,
) -> None:
    footprint = pytest_private.Footprint(request.node, ())
    tables: tuple[dict[Any, Any], ...] = (request.node.stash._storage, request.session._setupstate.stack)
    sizes = set()

    for _ in range(20):
        for table in tables:
            for key in [object() for _ in range(3)]:
                table[key] = None
                del table[key]
        footprint.erase()
        sizes.add(tuple(map(sys.getsizeof, tables)))

    assert len(sizes) == 1
