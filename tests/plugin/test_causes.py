"""What leaks is a cause, and a test may have several: each has a case with a verdict, a holder and lines of its own."""

from __future__ import annotations

import re

from plugin.plugin_harness import Example, Ran


def told(ran: Ran) -> set[tuple[str, str, str]]:
    """Who, what, and held by whom, for each case."""
    return {
        (
            case.suspect.name.partition("::")[2] or case.suspect.name,
            case.verdict.value,
            case.exhibit.holder.name if case.exhibit.holder is not None else "",
        )
        for case in ran.book.cases
    }


def test_a_bounded_cache_hides_no_leak_beside_it_and_is_none(spread: Example) -> None:
    ran = spread.run(
        "--leaktrace-hunt",
        files={
            "test_both.py": """
                import functools

                KEPT = []

                @functools.lru_cache(maxsize=2000)
                def is_open(call):
                    return False

                def test_both():
                    page = bytearray(b"x") * 300_000
                    is_open(lambda: page)
                    KEPT.append(bytearray(b"x") * 60_000)
                """
        },
    )

    assert told(ran) == {
        ("test_both", "LEAK", "test_both.KEPT"),
        ("test_both", "CACHE", "test_both.is_open (lru_cache)"),
    }
    leak, cache = sorted(ran.book.cases, key=lambda case: case.cause)
    assert abs(leak.per_run["heap_bytes"].estimate - 60_000) < 1_000
    assert re.search(r"at most 2000 entries of 300\.\d kB, 60\d\.\d MB when full", cache.reason)


def test_growth_that_a_full_container_has_ended_is_a_cache(spread: Example) -> None:
    ran = spread.run(
        "--leaktrace-hunt",
        files={
            "test_ring.py": """
                import collections

                class Thing: pass
                RING, BYTES = collections.deque(maxlen=150), collections.deque(maxlen=150)

                def test_things(): RING.append(Thing())
                def test_bytes(): BYTES.append(bytes(100))
                """
        },
    )

    assert {(name, verdict) for name, verdict, _holder in told(ran)} == {
        ("test_things", "CACHE"),
        ("test_bytes", "CACHE"),
    }


def test_a_module_that_empties_its_own_cache_at_a_limit_leaks_nothing(spread: Example) -> None:
    ran = spread.run(
        "--leaktrace-hunt",
        files={
            "patterns.py": """
                MOST, CACHE = 700, {}

                def compiled(text):
                    if text not in CACHE:
                        if len(CACHE) >= MOST:
                            shrink(CACHE)
                        CACHE[text] = [text]
                    return CACHE[text]

                def shrink(cache):
                    cache.clear()
                """,
            "test_patterns.py": """
                import patterns

                def test_it():
                    class Own(str):
                        __hash__ = object.__hash__
                        __eq__ = object.__eq__
                    patterns.compiled(Own("abc"))
                """,
        },
    )

    assert told(ran) == {("test_it", "CACHE", "patterns.CACHE")}


def test_timers_that_were_cancelled_are_swept_by_their_loop_and_live_ones_leak(spread: Example) -> None:
    ran = spread.run(
        "--leaktrace-hunt",
        files={
            "test_timers.py": """
                import asyncio

                LOOP, OTHER = asyncio.new_event_loop(), asyncio.new_event_loop()
                for _ in range(200):
                    OTHER.call_later(60, print)

                class Client:
                    def __init__(self): self.buffer = bytearray(50_000)
                    def tick(self): pass

                def test_live():
                    async def go():
                        asyncio.get_running_loop().call_later(3600, Client().tick)
                    LOOP.run_until_complete(go())

                def test_cancelled():
                    async def go():
                        asyncio.get_running_loop().call_later(3600, Client().tick).cancel()
                    OTHER.run_until_complete(go())
                """
        },
    )

    assert told(ran) == {
        ("test_live", "LEAK", "test_timers.LOOP._scheduled"),
        ("test_cancelled", "CACHE", "test_timers.OTHER._scheduled"),
    }


def test_a_hunt_sets_a_wider_fixture_up_again(spread: Example) -> None:
    ran = spread.run(
        "--leaktrace-hunt",
        files={
            "test_pool.py": """
                import pytest

                class Order: pass
                POOL = []

                @pytest.fixture(scope="module")
                def pool():
                    POOL.append([Order() for _ in range(300)])
                    yield POOL[-1]

                @pytest.fixture(scope="module")
                def tidy():
                    yield [Order() for _ in range(300)]

                def test_it_is_filled(pool, tidy): assert len(pool) == 300
                """
        },
    )

    leaks = {(name, holder) for name, verdict, holder in told(ran) if verdict == "LEAK"}
    assert leaks == {("pool", "test_pool.POOL")}
    assert "LEAK  fixture pool (module scope, test_pool.py:" in ran.report
    assert "tidy" not in ran.report


def test_a_trickle_explains_no_megabytes(spread: Example) -> None:
    ran = spread.run(
        "--leaktrace",
        *(("--dist=loadfile",) if spread.args else ()),
        files={
            "test_order.py": """
                RECORDING, APPS, TRICKLE = [False], [], []

                class App:
                    def __init__(self):
                        self.me, self.cache = self, bytearray(b"x") * 12_000_000
                        TRICKLE.append("x" * 2000)
                        if RECORDING[0]:
                            APPS.append(self)

                def test_before(): App()
                def test_switch(): App(); RECORDING[0] = True
                def test_after(): App()
                """
        },
    )

    verdicts = ran.verdicts
    assert verdicts["test_after"] == "LEAK"
    assert "test_before" not in verdicts or verdicts["test_before"] != "LEAK"
    assert any(name.endswith("test_switch") for name in ran.case("test_after").after)


def test_what_pytest_keeps_of_a_tests_instance_is_told_by_name(spread: Example) -> None:
    ran = spread.run(
        "--leaktrace",
        "--leaktrace-limit=2MB",
        files={
            "test_page.py": """
                import pytest

                class TestPage:
                    def setup_method(self): self.shown = bytearray(b"x") * 6_000_000

                    @pytest.mark.parametrize("n", range(3))
                    def test_it(self, n): assert self.shown[n] == 120
                """
        },
    )

    assert {case.verdict.value for case in ran.book.cases} == {"ONE_TIME"}
    assert all(
        "and with it TestPage.shown, 6.0 MB a test: delete it in teardown_method" in case.reason
        for case in ran.book.cases
    )


def test_what_lies_in_no_heap_is_convicted_by_resident_memory_though_a_trickle_is_counted(spread: Example) -> None:
    ran = spread.run(
        "--leaktrace",
        "--leaktrace-limit=2MB",
        files={
            "test_map.py": """
                import mmap

                KEPT = []

                def test_keeps_a_map():
                    KEPT.append(mmap.mmap(-1, 6_000_000))
                    KEPT[-1].write(b"x" * 6_000_000)
                """
        },
    )

    [case] = ran.book.cases
    assert (case.verdict.value, case.counter) == ("LEAK", "rss_bytes")
    assert "outside the heaps of Python and malloc" in case.reason


def test_a_class_that_is_its_own_class_holds_itself(spread: Example) -> None:
    ran = spread.run(
        "--leaktrace-hunt",
        files={
            "test_itself.py": """
                class Meta(type):
                    def __new__(cls, name, bases, namespace):
                        made = super().__new__(cls, name, bases, namespace)
                        made.__class__ = made
                        return made

                def test_it():
                    class Own(Meta, metaclass=Meta):
                        pass
                """
        },
    )

    [case] = ran.book.cases
    holder = case.exhibit.holder
    assert holder is not None, case.exhibit.notes
    assert (case.verdict.value, holder.kind) == ("LEAK", "self-class")
    assert "its __class__ is itself" in holder.path[0].reason
    assert [site.line for site in case.exhibit.sites][:1] == [4]
