"""What suites and their plugins do around a test goes in a hunt as it goes without us."""

from __future__ import annotations

import os

import pytest

from plugin.plugin_harness import Example


HUNT = {"tox.ini": "[pytest]\nleaktrace = hunt\n"}
CLASSES = {
    "conftest.py": """
        import pytest

        current = None

        def pytest_runtest_setup(item):
            global current
            if current is None: current = item.getparent(pytest.Class)

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_teardown(item, nextitem):
            # As SQLAlchemy's own plugin: what belongs to a class ends where the next item is of another one.
            result = yield
            global current
            if current is not None and (nextitem is None or nextitem.getparent(pytest.Class) is not current):
                current = None
                item.cls.tables = None
            return result

        @pytest.fixture(scope="class")
        def tables(request): request.cls.tables = {"users"}
        """,
    "test_tables.py": """
        import pytest

        @pytest.mark.usefixtures("tables")
        class TestA:
            def test_one(self): assert self.tables == {"users"}

        @pytest.mark.usefixtures("tables")
        class TestB:
            def test_one(self): assert self.tables == {"users"}
            def test_two(self): assert self.tables == {"users"}
        """,
}
NONE = {
    "test_none.py": """
        import operator, sys

        get = operator.attrgetter("encode", "casefold", "isdecimal", "swapcase")

        def changed():
            before = sys.getrefcount(None)
            get("")
            return sys.getrefcount(None) - before

        def test_first():
            for _ in range(20): changed()
        def test_none_keeps_its_references(): assert changed() == 0
        """
}
DEPENDENCY = """
    import pytest

    PASSED = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(item, call):
        report = yield
        if report.when == "call" and report.passed: PASSED.add(item.name)
        return report

    def pytest_runtest_setup(item):
        if item.name == "test_leaks" and "test_first" not in PASSED: pytest.skip("needs test_first")
    """


@pytest.mark.versions
def test_a_plugin_that_ends_a_class_by_the_next_item_ends_none_too_early(spread: Example) -> None:
    ran = spread.same(*(("--dist=loadfile",) if spread.args else ()), files={**CLASSES, **HUNT}, expect=0)

    assert set(ran.verdicts.values()) <= {"STEADY", "ONE_TIME"}, ran.text


@pytest.mark.versions
def test_a_test_that_counts_references_to_none_sees_no_other_count(example: Example) -> None:
    ran = example.same(files={**NONE, **HUNT}, expect=0)

    assert set(ran.verdicts.values()) <= {"STEADY"}, ran.text


def test_a_test_that_depends_on_another_is_replayed_as_if_that_had_passed(example: Example) -> None:
    site = example.path / "site-packages"
    example.write({"site-packages/dependency_specimen.py": DEPENDENCY})
    files = {
        "test_a.py": "KEPT = []\ndef test_first(): pass\ndef test_leaks(): KEPT.append(bytearray(b'x') * 20_000_000)\n"
    }
    env = {"PYTHONPATH": os.pathsep.join([str(site), example.environ()["PYTHONPATH"]])}

    ran = example.run("--leaktrace", "-p", "dependency_specimen", files=files, env=env, expect=0)

    assert ran.outcomes == {"test_first": "passed", "test_leaks": "passed"}
    assert ran.verdicts == {"test_leaks": "LEAK"}, ran.text
