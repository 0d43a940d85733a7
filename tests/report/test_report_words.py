"""Sizes, counts and amounts as a person would write them."""

from __future__ import annotations

import pytest

from leaktrace.verdict.words import named_amount
from leaktrace.words import count, megabytes, size, wrapped


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [
        (712_000_000, "712MB"),
        (9_500_000, "9.5MB"),
        (9_960_000, "10MB"),
        (10_000_000, "10MB"),
        (40_000, "0.0MB"),
        (-2_500_000, "-2.5MB"),
        (1_234_567_890, "1235MB"),
    ],
)
def test_megabytes_have_one_decimal_below_ten(bytes_: int, text: str) -> None:
    assert megabytes(bytes_) == text


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [(32, "32 bytes"), (1_900, "1.9 kB"), (20e6, "20.0 MB"), (3.21e9, "3.2 GB"), (-1_900, "-1.9 kB"), (0, "0 bytes")],
)
def test_a_size_has_the_unit_that_suits_it(bytes_: float, text: str) -> None:
    assert size(bytes_) == text


def test_amounts_and_plurals_read_as_written_by_hand() -> None:
    assert (named_amount("blocks", 1234.5), named_amount("blocks", 3.0), named_amount("heap_bytes", 3.0)) == (
        "1,234",
        "3",
        "3 bytes",
    )
    assert (count(1, "test"), count(1200, "test")) == ("1 test", "1,200 tests")


def test_wrapping_breaks_no_word() -> None:
    assert wrapped("a " + "b" * 90, indent="  ", width=80) == ["  a", "  " + "b" * 90]
    assert wrapped("", indent="  ", width=80) == ["  "]
