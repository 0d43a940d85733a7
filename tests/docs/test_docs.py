"""The documentation names what is there, all of it, and nothing else."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import tomllib
import typing
from pathlib import Path
from typing import Any

import pytest

from builders import make_casebook
from docs.options_page import PAGE as OPTIONS_PAGE
from docs.options_page import generated, parts
from leaktrace.casebook.model import Case, Casebook
from leaktrace.casebook.wire import SUSPECT_KEYS, to_json
from leaktrace.explain.fix import FIXES
from leaktrace.explain.model import Exhibit, Leaking
from leaktrace.options import KINDS, TABLE
from leaktrace.probes.model import Unread
from leaktrace.verdict.model import Verdict


ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FLAG = re.compile(r"(?<![\w-])--(?:no-)?leaktrace[a-z-]*")
INI = re.compile(r"(?<![\w.-])leaktrace_[a-z_]+")
ENVIRON = re.compile(r"\bLEAKTRACE(?:_[A-Z_]+)?\b")
LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)")


def text_of(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def headings(text: str, level: int) -> list[str]:
    return re.findall(rf"^{'#' * level} (.+)$", text, flags=re.MULTILINE)


def section(text: str, heading: str) -> str:
    """What stands below a heading of the second level."""
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def anchors(text: str) -> set[str]:
    """The anchors of all headings, as the forge makes them."""
    return {
        re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-")
        for each in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    }


def slugs() -> set[str]:
    """Every slug that an error or a note of the source may have."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword):
                named = node.arg == "slug"
            elif isinstance(node, ast.Assign):
                named = any(isinstance(target, ast.Name) and target.id == "slug" for target in node.targets)
            else:
                continue
            if named and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                found.add(node.value.value)
    return found


def words_of_the_report() -> set[str]:
    """Every word in capitals that a line of the report may begin with, beside the verdicts."""
    constants = {
        node.value
        for path in (ROOT / "src/leaktrace/report").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    words = {text.strip() for text in constants if re.fullmatch(r"[A-Z]{4,}( [A-Z]{4,})? ?", text)}
    return words - set(typing.get_args(Leaking))


def nouns(hint: Any = Casebook, known: frozenset[object] = frozenset()) -> set[type]:
    """Every dataclass that a casebook is made of, but those that are written in another form."""
    found: set[type] = set()
    if hint in known:
        return found
    if dataclasses.is_dataclass(hint) and hint is not Unread:
        if hint is not Exhibit:
            found.add(typing.cast("type", hint))
        for each in typing.get_type_hints(hint).values():
            found |= nouns(each, known | {hint})
    for each in typing.get_args(hint):
        found |= nouns(each, known)
    return found


def keys_of(noun: type) -> set[str]:
    """Its keys in the JSON."""
    names = {field.name for field in dataclasses.fields(noun)}
    if noun is Case:
        names |= {field.name for field in dataclasses.fields(Exhibit)} | set(SUSPECT_KEYS)
        names -= {"exhibit", "suspect", "beside"}
    if noun is Casebook:
        names = set(to_json(make_casebook()))
    return names


def test_the_page_of_options_is_the_one_that_follows_from_the_table() -> None:
    between = parts(OPTIONS_PAGE.read_text(encoding="utf-8"))[1]
    assert between == generated(), "run: python tests/docs/options_page.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_flag_key_and_variable_in_the_docs_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    flags = {option.flag for option in TABLE.values()} | {flag for o in TABLE.values() for flag in o.switches}
    assert set(FLAG.findall(text)) <= flags
    assert set(INI.findall(text)) <= {option.ini for option in TABLE.values()}
    assert set(ENVIRON.findall(text)) <= {option.env for option in TABLE.values()}


def test_every_slug_verdict_and_word_has_its_place_among_the_messages_and_no_other_has() -> None:
    told = [heading.lower() for heading in headings(text_of("messages.md"), 3)]
    words = {verdict.value for verdict in Verdict} | words_of_the_report() | {"LEAKED", "not judged"}
    assert len(told) == len(set(told))
    assert set(told) == slugs() | {word.lower() for word in words}


def test_every_kind_of_leak_is_explained() -> None:
    told = re.findall(r"^\| `(\w+)` \|", section(text_of("options.md"), "Kinds of leak"), flags=re.MULTILINE)
    assert told == list(KINDS)


def test_every_kind_of_holder_is_explained() -> None:
    assert set(headings(text_of("fixing-a-leak.md"), 3)) == set(FIXES)


def test_the_casebook_has_a_section_for_each_of_its_nouns() -> None:
    assert set(headings(text_of("casebook.md"), 2)) == {noun.__name__ for noun in nouns()}


@pytest.mark.parametrize("noun", sorted(nouns(), key=repr), ids=lambda noun: noun.__name__)
def test_a_section_of_the_casebook_lists_its_keys(noun: type) -> None:
    told = re.findall(r"^\| `(\w+)` \|", section(text_of("casebook.md"), noun.__name__), flags=re.MULTILINE)
    assert len(told) == len(set(told))
    assert set(told) == keys_of(noun)


def test_every_record_of_a_journal_is_described_with_all_its_keys(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import threading, pytest

        KEPT = []

        @pytest.fixture(scope="module")
        def wide():
            yield bytearray(3_000_000)

        def test_that_keeps(wide):
            import colorsys
            KEPT.append(b"x" * 3_000_000)

        def test_that_starts_a_thread():
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        """
    )
    pytester.runpytest_subprocess("--leaktrace-dir=j", "--leaktrace-limit=1MB", "-p", "no:randomly", "-p", "no:asyncio")
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| (.+) \|$", text_of("journal.md"), flags=re.MULTILINE)
    told = {kind: {"t", *re.findall(r"`(\w+)`", keys)} for kind, keys in rows}
    (journal,) = pytester.path.glob("j/runs/*/main.jsonl")
    records = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    assert {record["t"] for record in records} >= {"run", "collected", "test", "fixture", "end"}
    for record in records:
        assert set(record) <= told[record["t"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target, anchor in LINK.findall(text):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{target}#{anchor}"


def test_the_readme_leads_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= {
        target for target, _ in LINK.findall(readme)
    }


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_the_files_that_a_page_for_developers_names_are_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:\w+/)+(?:\w+\.(?:py|md))?)`", text))
    assert len(named) > 5
    for each in named:
        assert any((base / each).exists() for base in (ROOT, ROOT / "src/leaktrace")), each


def test_the_names_that_the_architecture_tells_to_extend_are_there() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    for file, names in re.findall(r"`((?:\w+/)+\w+\.py)` \((`[^)]+`)\)", text):
        source = (ROOT / "src/leaktrace" / file).read_text(encoding="utf-8")
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"\b{name}\b", source), f"{name} in {file}"


def test_the_order_of_packages_is_that_of_the_linter() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = next(each for each in project["tool"]["importlinter"]["contracts"] if each["type"] == "layers")
    layers = [name.strip() for layer in contract["layers"] for name in layer.split("|")]
    told = re.findall(r"`(\w+)`", text.partition("From the top: ")[2].partition("\n\n")[0])
    known = {each for each in told if each not in ("files", "fixture_names", "masking", "words")}
    assert [each for each in layers if each in known] == [each for each in told if each in known]
    assert set(layers) - {"__main__"} == set(told)


def test_the_commands_of_the_readme_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    [name] = re.findall(r'^name = "(.+)"$', project, flags=re.MULTILINE)[:1]
    assert re.findall(r"^\$ (.+)$", readme, flags=re.MULTILINE) == [f"pip install {name}", "pytest --leaktrace"]
    for command in re.findall(r"`((?:scripts|\.ci)/\w+)`", readme):
        assert (ROOT / command).stat().st_mode & 0o111, command


def test_the_change_log_has_a_place_for_what_is_not_released_yet() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
