"""Hypothesis under a hunt: every repeat draws the same examples, none is hurried, and its caches are its own."""

from __future__ import annotations

from plugin.plugin_harness import Example


SUITE = """
    import itertools, time
    from hypothesis import given, settings, strategies

    SEEN, EACH, NUMBER = {}, itertools.count(), itertools.count()

    @given(strategies.integers())
    def test_remembers_what_it_saw(number): SEEN[number] = None

    class TestOfAClass:
        @given(strategies.text())
        def test_remembers_too(self, text): SEEN[text] = None

    @given(strategies.data())
    def test_makes_strategies(data): data.draw(strategies.just(next(EACH)))

    @settings(deadline=100, max_examples=2)
    @given(strategies.booleans())
    def test_is_slow_when_repeated(flag):
        if 4 < next(NUMBER) < 8: time.sleep(0.15)
    """


def test_what_is_kept_of_examples_and_strategies_is_no_growth(example: Example) -> None:
    ran = example.run("--leaktrace-hunt", "-p", "_hypothesis_pytestplugin", files={"test_seen.py": SUITE}, expect=0)

    # The first draws fill what Hypothesis keeps for good; a busy machine may not find the time to see it end.
    assert set(ran.verdicts.values()) <= {"ONE_TIME", "CACHE", "UNDECIDED"}, ran.text
