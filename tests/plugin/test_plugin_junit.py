"""A hunt's repeats leave the junit file as a plain run writes it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from plugin.plugin_harness import Example


SUITE = """
    from hypothesis import given, strategies

    def test_tells_of_the_suite(record_testsuite_property): record_testsuite_property("suite", 1)
    def test_tells_of_itself(record_property): record_property("test", 1)
    def test_has_an_attribute(record_xml_attribute): record_xml_attribute("attribute", 1)

    @given(strategies.integers())
    def test_is_told_of_by_hypothesis(number): pass
    """


def told(path: Path) -> list[tuple[str, str, str | None, str | None]]:
    """What a junit file says, without times."""
    return [
        (each.tag, each.get("name", "").partition("::")[2], each.get("attribute"), each.text)
        for each in ET.parse(path).iter()
    ]


def test_a_hunt_writes_the_junit_file_of_a_plain_run(example: Example) -> None:
    common = ("-p", "_hypothesis_pytestplugin", "-o", "junit_family=xunit1")

    example.run("--no-leaktrace", "--junitxml=plain.xml", *common, files={"test_told.py": SUITE}, book=False, expect=0)
    example.run("--leaktrace-hunt", "--junitxml=hunt.xml", *common, book=False, expect=0)

    assert told(example.path / "hunt.xml") == told(example.path / "plain.xml")
