"""What a terminal would obey is spelled out, in the report and in JSON."""

from __future__ import annotations

import json

import pytest

from leaktrace.words import escaped, json_safe


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred", r"a\x1b[31mred"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\nb\r\tc\0", r"a\nb\r\tc\x00"),
        ("a\ud800", r"a\ud800"),
        ("secret-\udcff.txt", r"secret-\xff.txt"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\u2066a\u2069\u2028\ufeff", r"\u2066a\u2069\u2028\ufeff"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_moves_a_cursor_or_turns_a_line_is_spelled_out(text: str, shown: str) -> None:
    assert escaped(text) == shown


@pytest.mark.parametrize("text", ["tests/test_a.py::test_b[é-😀]", "日本語", "👩\u200d💻", "→ …", r"C:\new"])
def test_what_is_a_text_is_shown_as_it_is(text: str) -> None:
    assert escaped(text) == text


def test_a_text_that_was_spelled_out_is_not_spelled_out_again() -> None:
    assert escaped(escaped("\x1b\n")) == r"\x1b\n"


@pytest.mark.parametrize("text", ["\ud800", "secret-\udcff", "\x7f\x9b", "\u202e", "\U000e0041", "é😀日", 'a"\\\n\x1b'])
def test_json_shows_as_it_is_and_gives_back_the_very_text(text: str) -> None:
    safe = json_safe(json.dumps([text], ensure_ascii=False, indent=1))

    safe.encode()
    assert json.loads(safe) == [text]
    assert escaped(safe.replace("\n", "")) == safe.replace("\n", "")
