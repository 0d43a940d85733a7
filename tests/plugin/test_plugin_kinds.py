"""Tests of every kind that pytest and its plugins know are replayed, and convicted where they keep something."""

from __future__ import annotations

from plugin.plugin_harness import Example


KEEP = "bytearray(b'x') * 20_000_000"
FILES = {
    "tox.ini": "[pytest]\nasyncio_default_fixture_loop_scope = function\naddopts = --doctest-modules\n",
    "conftest.py": f"""
        import pytest

        KEPT = []

        class OwnFile(pytest.File):
            def collect(self):
                yield OwnItem.from_parent(self, name="keeps")
                yield Once.from_parent(self, name="once")

        class OwnItem(pytest.Item):
            def runtest(self): KEPT.append({KEEP})

        class Once(pytest.Item):
            runs = 0
            def runtest(self):
                KEPT.append({KEEP})
                Once.runs += 1
                if Once.runs > 1: raise RuntimeError("this item runs once")

        def pytest_collect_file(file_path, parent):
            if file_path.suffix == ".own": return OwnFile.from_parent(parent, path=file_path)
        """,
    "a.own": "",
    "test_kinds.py": f"""
        import asyncio, unittest
        import anyio, pytest

        KEPT = []
        def keep(): KEPT.append({KEEP})

        def documented():
            '''
            >>> number = 1
            >>> keep()
            >>> number += 1
            >>> number
            2
            '''

        @pytest.mark.asyncio
        async def test_asyncio():
            await asyncio.sleep(0)
            keep()

        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
        async def test_anyio(anyio_backend):
            await anyio.sleep(0)
            keep()

        class TestIsolated(unittest.IsolatedAsyncioTestCase):
            async def test_isolated(self):
                await asyncio.sleep(0)
                keep()

        class TestUnit(unittest.TestCase):
            def test_sub(self):
                for number in range(2):
                    with self.subTest(number=number): number or keep()

        def test_subtests(subtests):
            for number in range(2):
                with subtests.test(number=number): number or keep()

        class TestClass:
            def test_method(self): keep()
        """,
}


def test_tests_of_every_kind_are_replayed_and_an_item_that_runs_once_says_so(example: Example) -> None:
    ran = example.with_all_plugins().run("--leaktrace", files=FILES, expect=0)

    kept = (
        *("test_kinds.documented", "test_asyncio", "test_anyio[asyncio]", "test_anyio[trio]"),
        *("TestIsolated::test_isolated", "TestUnit::test_sub", "test_subtests", "TestClass::test_method", "keeps"),
    )
    assert ran.verdicts == {**dict.fromkeys(kept, "LEAK"), "once": "UNREPLAYABLE"}, ran.text
    assert "RuntimeError: this item runs once" in ran.case("once").reason
