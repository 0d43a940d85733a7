"""How rows and sections become lines: nothing is lost, and nothing depends on what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from leaktrace.report.layout import section_lines
from leaktrace.report.model import Amounts, Code, Command, Path, Place, Row, Section, Step, Text, Value


MARGIN = " " * 16
LONG = "tests/integration/test_refunds_of_partially_shipped_orders.py::TestRefund::test_it[euro-1]"
SENTENCE = "the quick brown fox jumps over the lazy dog, and then it does so again, for the dog is lazy still"


def lines(*rows: Row, width: int = 80, **changes: Any) -> list[str]:
    return list(section_lines(Section(**{"kind": "case", "headline": Text("x"), "rows": rows, **changes}), width))


def under(*values: Value, label: str = "label", width: int = 80, depth: int = 1) -> list[str]:
    return lines(Row(label, values, depth), width=width)[1:]


def path(*steps: tuple[str, str, str, str]) -> Path:
    made = [
        Step(text=text, type=kind, status=status, reason=reason, marked=status == "UNKNOWN")
        for text, kind, status, reason in steps
    ]
    return Path(tuple(made))


@pytest.mark.parametrize(
    ("heading", "line"),
    [("LEAK", "LEAK  a"), ("STEADY", "STEADY a"), ("LEFT OPEN", "LEFT OPEN a"), ("", "a")],
)
def test_names_behind_short_headings_stand_in_one_column(heading: str, line: str) -> None:
    assert lines(heading=heading, headline=Text("a", whole=True)) == [line]


def test_a_whole_headline_is_one_line_however_long() -> None:
    assert lines(heading="LEAK", headline=Text(f"{SENTENCE} {LONG}", whole=True)) == [f"LEAK  {SENTENCE} {LONG}"]


def test_another_headline_is_wrapped_and_hangs() -> None:
    assert lines(heading="warning:", headline=Text(SENTENCE), width=60) == [
        "warning: the quick brown fox jumps over the lazy dog, and",
        "    then it does so again, for the dog is lazy still",
    ]


def test_a_command_ends_the_headline() -> None:
    assert lines(headline=Text("to go on:", whole=True), command=Command("pytest --x")) == ["to go on: pytest --x"]


def test_values_stand_in_a_column_behind_the_label() -> None:
    assert under(Text(SENTENCE), Text("a"), label="how much", width=70) == [
        "  how much      the quick brown fox jumps over the lazy dog, and then",
        f"{MARGIN}it does so again, for the dog is lazy still",
        f"{MARGIN}a",
    ]


def test_a_row_without_a_label_is_indented_by_its_depth() -> None:
    assert under(Text("a"), label="") == ["  a"]
    assert under(Text("a"), label="", depth=2) == ["    a"]


@pytest.mark.parametrize(("value", "indent"), [(Text, 4), (Command, 4), (lambda text: Place(text, ""), 3)])
def test_what_stands_below_a_first_value_hangs_where_it_is_wrapped(value: Callable[[str], Value], indent: int) -> None:
    assert under(Text("a"), value(SENTENCE), width=70)[1:] == [
        f"{MARGIN}the quick brown fox jumps over the lazy dog, and then",
        f"{MARGIN}{' ' * indent}it does so again, for the dog is lazy still",
    ]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 132])
@pytest.mark.parametrize("value", [Text, Command, lambda text: Place(text, "")])
def test_wrapping_loses_nothing_breaks_no_word_and_keeps_to_the_width(
    value: Callable[[str], Value], width: int
) -> None:
    text = f"{SENTENCE} {LONG} {SENTENCE}"
    shown = under(value(text), value(text), width=width)

    assert " ".join(shown).split() == ["label", *text.split(), *text.split()]
    assert [line for line in shown if len(line) > width and len(line[16:].split()) > 1] == []


def test_a_whole_text_is_one_line_however_long() -> None:
    assert under(Text("a"), Text(f"{SENTENCE} {LONG}", whole=True)) == [
        "  label         a",
        f"{MARGIN}{SENTENCE} {LONG}",
    ]


def test_code_keeps_its_columns_so_that_the_marks_below_it_fit() -> None:
    code = Code(("if x:  return f(y)", "              ^^^^"))

    assert under(Text("a"), code)[1:] == [f"{MARGIN}if x:  return f(y)", f"{MARGIN}              ^^^^"]


def test_code_is_never_wrapped() -> None:
    assert under(Text("a"), Code(("y" * 200,)), width=40)[1:] == [f"{MARGIN}{'y' * 24}"]


def test_a_path_is_a_step_a_line_and_what_is_marked_is_underlined() -> None:
    steps = path(
        ("shop", "module", "NO", "imported module"),
        (".BUS", "shop.Bus", "UNKNOWN", ""),
        ("._all", "", "UNKNOWN", "grows here"),
        ("[7]", "function", "YES", "new entry"),
    )

    assert under(steps, label="path") == [
        "  path          shop : module  [NO: imported module]",
        f"{MARGIN}|- .BUS : shop.Bus  [UNKNOWN]",
        f"{MARGIN}|  ~~~~",
        f"{MARGIN}|- ._all  [UNKNOWN: grows here]",
        f"{MARGIN}|  ~~~~~",
        f"{MARGIN}'> [7] : function  [YES: new entry]",
    ]


def test_a_long_step_is_wrapped_and_its_underline_ends_with_the_line() -> None:
    shown = under(path(("a", "", "NO", ""), ("b" * 60, "dict", "UNKNOWN", SENTENCE)), width=60)

    assert shown[1] == f"{MARGIN}'> {'b' * 60}"
    assert shown[2].startswith(f"{MARGIN}      : dict  [UNKNOWN: the quick")
    assert shown[-1] == f"{MARGIN}   {'~' * 41}"
    assert max(map(len, shown[2:])) <= 60


def test_amounts_are_aligned_to_the_right() -> None:
    assert under(Amounts(("41MB", "9.5MB"), "a"), label="") == ["      41MB    9.5MB  a"]
    assert under(Amounts(("1234MB",), "b c"), label="") == ["    1234MB  b c"]


@pytest.mark.parametrize(
    "value",
    [
        Text("a\x1b[31mb"),
        Text("a\x1b[31mb", whole=True),
        Command("a\x1b[31mb"),
        Place("a\x1b[31mb", ""),
        Code(("a\x1b[31mb",)),
        Amounts(("1MB",), "a\x1b[31mb"),
        path(("a\x1b[31mb", "", "NO", "")),
    ],
)
def test_what_would_move_the_cursor_is_spelled_out_in_each_kind_of_value(value: Value) -> None:
    shown = "\n".join([*under(value), *lines(headline=Text("a\x1b[31mb", whole=True))])

    assert "\x1b" not in shown
    assert shown.count(r"a\x1b[31mb") == 2
