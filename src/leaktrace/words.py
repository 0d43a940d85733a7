"""The words that everything of ours is written in: sizes, counts, plurals, lines, and names from elsewhere.

In those, what could move a cursor, ring a bell or turn a line around is spelled out.
"""

from __future__ import annotations

import re


_UNSHOWN = (
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
"""Control characters of both sets (ANSI and OSC sequences begin with one), what has no width, what changes the
direction of writing, ends of lines and paragraphs, and surrogates. Joiners (U+200C, U+200D) belong to words."""
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_UNDECODED = range(0xDC80, 0xDD00)
"""A byte of a file's name that is no UTF-8 stands as one of these."""


def escaped(text: str) -> str:
    r"""The text on one line, with all that a terminal would not show as it is spelled out: `\n`, `\x1b`, `\u202e`.

    A byte that is no text, as in a file's name, is spelled as that byte. What has nothing of the kind stays as it is.
    """
    return re.sub(_UNSHOWN, _spelled, text)


def _spelled(found: re.Match[str]) -> str:
    sign = found[0]
    code = ord(sign)
    if sign in _NAMED:
        return _NAMED[sign]
    if code in _UNDECODED:
        return f"\\x{code - 0xDC00:02x}"
    if code <= 0xFF:  # noqa: PLR2004 - two digits
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - four digits


def json_safe(text: str) -> str:
    r"""A JSON text that is valid UTF-8 and shows as it is: the same signs, which stand in its strings, as `\uXXXX`.

    Whoever reads it as JSON gets the very names. Ends of lines and tabs between values stay.
    """
    return re.sub(_UNSHOWN, _as_json, text)


def _as_json(found: re.Match[str]) -> str:
    sign = found[0]
    if sign in "\n\r\t":
        return sign
    code = ord(sign)
    if code > 0xFFFF:  # noqa: PLR2004 - JSON spells it as two halves
        code -= 0x10000
        return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
    return f"\\u{code:04x}"


def size(value: float) -> str:
    """Bytes in the decimal unit that leaves two to four digits: `20.0 MB`, `1.9 kB`, `32 bytes`."""
    for unit, bytes_ in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if abs(value) >= bytes_:
            return f"{value / bytes_:,.1f} {unit}"
    return "1 byte" if value == 1 else f"{number(value)} bytes"


def megabytes(value: float) -> str:
    """Bytes as the oldest line of the report has them, `712MB`, with one decimal below ten: `9.5MB`."""
    amount = value / 1_000_000
    return f"{amount:.0f}MB" if round(abs(amount), 1) >= 10 else f"{amount:.1f}MB"  # noqa: PLR2004


def number(value: float) -> str:
    """Whole where it is whole or large, else two significant digits or so."""
    if value == round(value) or abs(value) >= 100:  # noqa: PLR2004 - three digits say enough
        return f"{round(value):,}"
    return f"{value:.1f}".removesuffix(".0") if abs(value) >= 1 else f"{value:.2g}"


def count(value: int, noun: str, plural: str | None = None) -> str:
    """`1 run`, `9 runs`, `3 batches`."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def wrapped(text: str, *, indent: str, width: int, first: str | None = None) -> list[str]:
    """Lines of at most `width` columns; a word longer than a line (a node id) stands on its own, whole.

    What a terminal would not show as it is gets spelled out first: a line's end in a name does not end the line.
    """
    import textwrap  # noqa: PLC0415 - the process that is watched needs it only at its end

    return textwrap.wrap(
        escaped(text),
        width=width,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first or indent]
