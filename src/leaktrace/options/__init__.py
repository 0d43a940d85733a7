"""The option table, and the way from four sources to one frozen `Options`."""

from __future__ import annotations

from leaktrace.options.resolve import declare, describe, refused, resolve, to_argv, with_marker
from leaktrace.options.sizes import format_duration, format_size, parse_duration, parse_size
from leaktrace.options.table import TABLE, Option, Options, Source
from leaktrace.options.values import FAIL_ON_WORDS, KINDS, Mode


__all__ = [
    "FAIL_ON_WORDS",
    "KINDS",
    "TABLE",
    "Mode",
    "Option",
    "Options",
    "Source",
    "declare",
    "describe",
    "format_duration",
    "format_size",
    "parse_duration",
    "parse_size",
    "refused",
    "resolve",
    "to_argv",
    "with_marker",
]
