"""What is made at first use, or once and late, and then stays as it is."""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import itertools
import re
import sys
import threading


TABLE: dict[str, list[int]] = {}
LATE: list[list[int]] = []
TURNS = itertools.count()
FEW = itertools.count()
WARM: list[object] = []
LOCAL = threading.local()
PATTERNS: dict[str, re.Pattern[str]] = {}


class Config:
    @functools.cached_property
    def options(self) -> dict[str, int]:
        return {f"option-{number}": number for number in range(100)}


CONFIG = Config()


@functools.cache
def primes() -> list[int]:
    return [n for n in range(2, 200) if all(n % d for d in range(2, n))]


def pattern(name: str) -> re.Pattern[str]:
    if name not in PATTERNS:
        PATTERNS[name] = re.compile(rf"{name}-(\d+)-[a-z]*")
    return PATTERNS[name]


def test_table_at_first_use() -> None:
    if not TABLE:
        TABLE["squares"] = [n * n for n in range(1000)]
    assert TABLE["squares"][3] == 9


def test_cached_property_of_a_module_object() -> None:
    assert CONFIG.options["option-7"] == 7


def test_cached_function_without_arguments() -> None:
    assert primes()[0] == 2


def test_pattern_at_first_use() -> None:
    assert pattern("order").match("order-12-eur")


def test_one_late_step() -> None:
    if next(TURNS) == 6:
        LATE.append(list(range(500)))
    assert len(LATE) <= 1


def test_first_three_runs() -> None:
    if next(FEW) < 3:
        WARM.append(object())
    assert len(WARM) <= 3


def test_thread_local_at_first_use() -> None:
    if not hasattr(LOCAL, "buffer"):
        LOCAL.buffer = bytearray(4096)
    assert len(LOCAL.buffer) == 4096


def test_lazy_import() -> None:
    import colorsys
    import sched

    assert colorsys.rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0)
    assert sched.scheduler()


def test_lazy_import_of_a_package() -> None:
    module = importlib.import_module("xml.dom.minidom")
    assert module.parseString("<a/>").documentElement.tagName == "a"


def test_module_imported_anew() -> None:
    sys.modules.pop("this_day", None)
    spec = importlib.machinery.ModuleSpec("this_day", None)
    module = importlib.util.module_from_spec(spec)
    exec("GREETING = 'hi'", module.__dict__)
    assert module.GREETING == "hi"
