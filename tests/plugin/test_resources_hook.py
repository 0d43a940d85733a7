from __future__ import annotations

from plugin.plugin_harness import Example


CONFTEST = """
    from leaktrace.probes.model import Counter, Thing

    class Desks:
        counter = Counter(name="desks", unit="count", kind="desks")

        def read(self):
            return len(office.TAKEN)

        def inventory(self):
            return {number: Thing(kind="desks", noun="desk", name=f"number {number}") for number in office.TAKEN}

        def settle(self, grace_s, at_most=None):
            pass

    import office

    def pytest_leaktrace_probes(config):
        return [Desks()]
    """
OFFICE = """
    import itertools
    numbers, TAKEN = itertools.count(), set()

    def take():
        number = next(numbers)
        TAKEN.add(number)
        return number
    """
TESTS = """
    import pytest, office

    def test_leaves_one():
        office.take()

    @pytest.fixture(scope="module")
    def lent():
        number = office.take()
        yield
        office.TAKEN.remove(number)

    def test_borrows(lent):
        pass
    """
FILES = {"conftest.py": CONFTEST, "office.py": OFFICE, "test_a.py": TESTS}


def test_a_probe_of_others_is_watched_and_its_things_are_named(spread: Example) -> None:
    ran = spread.run(files=FILES, expect=0)

    assert [(each.name, each.kind) for each in ran.book.suspects] == [("test_a.py::test_leaves_one", "desks")]
    assert "LEFT OPEN desk number " in ran.report


def test_a_probe_of_others_is_judged_in_the_replay_child(example: Example) -> None:
    ran = example.run("--leaktrace", files=FILES, expect=0)

    [case] = ran.book.cases
    assert (case.suspect.kind, case.verdict.value, case.counter) == ("desks", "LEAK", "desks")
    assert case.things[0].noun == "desk"


def test_a_probe_that_fails_stops_nothing(example: Example) -> None:
    broken = """
        from leaktrace.probes.model import Counter

        class Broken:
            counter = Counter(name="broken", unit="count", kind="broken")

            def read(self):
                raise RuntimeError("no")

        class Nameless:
            pass

        def pytest_leaktrace_probes(config):
            return [Broken(), Nameless()]
        """

    ran = example.run(
        files={"conftest.py": broken, "test_a.py": "KEPT = []\ndef test_a(): KEPT.append(open('/dev/null'))\n"},
        expect=0,
    )

    assert [each.kind for each in ran.book.suspects] == ["fds"]
    assert "pytest_leaktrace_probes gave Nameless, which has no counter or no read()" in " ".join(ran.report.split())
