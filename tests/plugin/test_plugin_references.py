"""A hunt for references alone: no byte is lost, and still it is a leak that names its object."""

from __future__ import annotations

import pytest

from plugin.plugin_harness import Example


FILES = {
    "test_a.py": """
        import ctypes, fractions

        take = ctypes.pythonapi.Py_IncRef
        take.argtypes, take.restype = [ctypes.py_object], None

        class Thing:
            pass

        def test_forgets():
            take(Thing)

        def test_forgets_what_lives_anyway():
            take(fractions.Fraction)

        def test_uses():
            Thing()
        """,
}


@pytest.mark.reads("refs")
def test_a_forgotten_reference_is_a_leak_that_names_the_object_and_the_line(example: Example) -> None:
    ran = example.run("--leaktrace-hunt", files=FILES, expect=0)

    assert [name for name, verdict in ran.verdicts.items() if verdict == "LEAK"] == ["test_forgets"]
    case = ran.case("test_forgets")
    assert case.counter == "refs"
    assert case.per_run["refs"].estimate == 1.0
    assert case.exhibit.holder is not None
    assert case.exhibit.holder.name == "references to class test_a.Thing"
    said = " ".join(ran.report.split())
    assert "how much 1 reference a run" in said
    assert "taken test_a.py:11 in test_forgets take(Thing)" in said


@pytest.mark.reads("refs")
def test_a_forgotten_reference_to_what_lives_anyway_is_no_leak_and_is_in_the_casebook(example: Example) -> None:
    ran = example.run("--leaktrace-hunt", files=FILES, expect=0)

    case = ran.case("test_forgets_what_lives_anyway")
    assert (case.verdict.value, case.counter) == ("STEADY", "refs")
    assert case.exhibit.holder is not None
    assert case.exhibit.holder.name == "references to class fractions.Fraction"
    assert "fractions.Fraction" not in ran.report
