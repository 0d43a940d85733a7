"""Hypothesis under a hunt: every repeat draws the same examples, and none is hurried."""

from __future__ import annotations


SUITE = """
    import itertools, time
    from hypothesis import given, settings, strategies

    SEEN, NUMBER = {}, itertools.count()

    @given(strategies.integers())
    def test_remembers_what_it_saw(number): SEEN[number] = None

    class TestOfAClass:
        @given(strategies.text())
        def test_remembers_too(self, text): SEEN[text] = None

    @settings(deadline=100, max_examples=2)
    @given(strategies.booleans())
    def test_is_slow_when_repeated(flag):
        if 4 < next(NUMBER) < 8: time.sleep(0.15)
    """


def test_what_is_kept_of_each_example_is_no_growth_as_the_examples_are_the_same(example):
    ran = example.run("--leaktrace-hunt", "-p", "_hypothesis_pytestplugin", files={"test_seen.py": SUITE}, expect=0)

    assert ran.verdicts == {}, ran.text
