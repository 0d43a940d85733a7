from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaktrace.options import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("10MB", 10_000_000),
        ("64 KiB", 65_536),
        ("1.5GiB", 1_610_612_736),
        ("500kB", 500_000),
        ("1048576", 1_048_576),
        ("0", 0),
        (" 12 b ", 12),
        ("2mib", 2_097_152),
        ("0.1kB", 100),
        ("0.3KiB", 307),
    ],
)
def test_a_size_reads_as_its_bytes(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "  ", "-1MB", "10XB", "MB", "1,5MB", "1e6", "ten", "\u0661MB", "10 M B", "nan"])
def test_anything_else_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=r"write .*KiB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0B"),
        (999, "999B"),
        (1_500, "1.5kB"),
        (10_000_000, "10MB"),
        (65_536, "64KiB"),
        (102_400, "100KiB"),
        (1_610_612_736, "1.5GiB"),
        (1_234_567, "1234567B"),
    ],
)
def test_a_size_is_written_with_the_fewest_digits(size_bytes: int, text: str) -> None:
    assert format_size(size_bytes) == text


@given(st.integers(min_value=0, max_value=10**18))
def test_every_size_reads_back_as_the_same_bytes(size_bytes: int) -> None:
    assert parse_size(format_size(size_bytes)) == size_bytes


@pytest.mark.parametrize(
    ("text", "duration_s"), [("60s", 60), ("2m", 120), ("1h", 3600), ("500ms", 0.5), ("60", 60), ("1.5 s", 1.5)]
)
def test_a_duration_reads_as_its_seconds(text: str, duration_s: float) -> None:
    assert parse_duration(text) == duration_s


@pytest.mark.parametrize("text", ["", "0", "0s", "0.1ms", "-5s", "5 days", "soon"])
def test_no_time_at_all_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse_duration(text)


@given(st.integers(min_value=1, max_value=10**12))
def test_every_duration_reads_back_to_the_millisecond(milliseconds: int) -> None:
    duration_s = milliseconds / 1000

    assert parse_duration(format_duration(duration_s)) == duration_s
