"""Known leaks of others: shown apart, and never a reason to fail."""

from __future__ import annotations

import json

import pytest

from plugin.plugin_harness import Example, known_toml


POOL = "somelib keeps each request"
ROW = {
    "id": "somelib-pool",
    "package": "SomeLib",
    "from": "2.0",
    "fixed": "2.2",
    "holder": r"^somelib\.POOL$",
    "blame": POOL,
    "remedy": "upgrade somelib to 2.2",
}
FILES = {
    "plugins/somelib.py": """
        POOL = []
        def get(): POOL.append(bytearray(3_000_000))
        """,
    "plugins/somelib-2.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: somelib\nVersion: 2.1\n",
    "test_a.py": """
        import somelib
        OWN = []
        def test_theirs(): somelib.get()
        def test_ours(): OWN.append(bytearray(3_000_000))
        """,
    "known.toml": known_toml(ROW),
}
CONFIRM = ("--leaktrace", "--leaktrace-limit=1MB")


def test_a_known_leak_of_another_is_shown_apart_and_fails_nothing(spread: Example) -> None:
    ran = spread.run(
        *CONFIRM,
        "--leaktrace-known=known.toml",
        "--leaktrace-fail-on=leak,suspect,undecided",
        "-k",
        "theirs",
        files=FILES,
        expect=0,
    )

    assert "= leaktrace: 1 KNOWN =" in ran.text
    said = " ".join(ran.report.split())
    assert "KNOWN test_a.py::test_theirs somelib 2.1: somelib keeps each request (somelib-pool)" in said
    assert "held by somelib.POOL remedy upgrade somelib to 2.2" in said
    case = ran.case("test_theirs")
    assert case.known is not None
    assert (case.verdict.value, case.status, case.known.version) == ("LEAK", "known", "2.1")
    assert ran.book.verdicts() == {"KNOWN": 1}


def test_a_leak_of_ones_own_beside_it_comes_first_and_still_fails_the_run(example: Example) -> None:
    ran = example.run(
        *CONFIRM, "--leaktrace-known=known.toml", "--leaktrace-fail-on=leak", files=FILES, expect=1, book=False
    )

    assert "= leaktrace: 1 LEAK, 1 KNOWN =" in ran.text
    assert ran.report.index("LEAK  test_a.py::test_ours") < ran.report.index("KNOWN test_a.py::test_theirs")


def test_a_table_named_as_json_is_read_as_json(example: Example) -> None:
    args = (*CONFIRM, "--leaktrace-known=known.json", "-k", "theirs")

    ran = example.run(*args, files={**FILES, "known.json": json.dumps([ROW])}, expect=0)

    assert ran.case("test_theirs").status == "known"


def test_the_version_that_is_installed_may_have_it_mended(example: Example) -> None:
    table = known_toml({**ROW, "fixed": "2.1"})

    ran = example.run(
        *CONFIRM,
        "--leaktrace-known=known.toml",
        "--leaktrace-fail-on=leak",
        "-k",
        "theirs",
        files={**FILES, "known.toml": table},
        expect=1,
    )

    assert ran.case("test_theirs").known is None


def test_a_path_in_an_ini_file_begins_at_its_folder(example: Example) -> None:
    (example.path / "below").mkdir()
    files = {**FILES, "tox.ini": "[pytest]\nleaktrace_known = known.toml\n"}
    args = (*CONFIRM, f"--rootdir={example.path}", "-c", "../tox.ini", "../test_a.py", "-k", "theirs")

    ran = example.run(*args, files=files, expect=0, cwd="below")

    assert ran.case("test_theirs").status == "known"


@pytest.mark.parametrize("text", [None, "{", known_toml({**ROW, "holder": "("}), json.dumps([ROW])])
def test_a_table_that_cannot_be_read_is_a_usage_error(example: Example, text: str | None) -> None:
    files = {"test_a.py": "def test_a(): pass", **({} if text is None else {"mine.toml": text})}

    ran = example.run("--leaktrace-known=mine.toml", files=files, expect=4)

    assert "leaktrace: the known leaks in" in ran.text
    assert "mine.toml cannot be read: " in ran.text
    assert ("must be TOML, or JSON in a file named *.json" in ran.text) is (text in ("{", json.dumps([ROW])))
    assert "Traceback" not in ran.text
