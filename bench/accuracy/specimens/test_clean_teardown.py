"""Growth during the test that its teardown takes back."""

from __future__ import annotations

import logging
import unittest
from collections.abc import Iterator
from contextlib import ExitStack

import pytest


REGISTRY: dict[str, list[object]] = {}
SUBSCRIBERS: list[object] = []
EVENTS: list[bytes] = []
PATCHED: list[int] = []


@pytest.fixture
def registered() -> Iterator[list[object]]:
    REGISTRY["specimen"] = [object() for _ in range(100)]
    yield REGISTRY["specimen"]
    del REGISTRY["specimen"]


@pytest.fixture
def big() -> Iterator[bytearray]:
    buffer = bytearray(2_000_000)
    yield buffer
    buffer.clear()


@pytest.fixture(autouse=True)
def no_events_left() -> Iterator[None]:
    yield
    EVENTS.clear()


@pytest.fixture
def quiet_handler() -> Iterator[logging.Handler]:
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


class TestMethods:
    def setup_method(self) -> None:
        SUBSCRIBERS.extend(object() for _ in range(10))

    def teardown_method(self) -> None:
        SUBSCRIBERS.clear()

    def test_setup_and_teardown_methods(self) -> None:
        assert SUBSCRIBERS


class TestAttributes(unittest.TestCase):
    def setUp(self) -> None:
        self.rows = [object() for _ in range(500)]

    def test_attribute_of_a_test_case(self) -> None:
        assert self.rows


def test_entry_taken_back(registered: list[object]) -> None:
    assert len(registered) == 100


def test_big_buffer(big: bytearray) -> None:
    assert len(big) == 2_000_000


def test_autouse_clears() -> None:
    EVENTS.extend(bytes(100) for _ in range(20))


def test_handler_taken_off(quiet_handler: logging.Handler) -> None:
    assert quiet_handler in logging.getLogger().handlers


def test_patched_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.PATCHED", [1, 2, 3])
    PATCHED.append(4)
    assert PATCHED[-1] == 4


def test_exit_stack() -> None:
    with ExitStack() as stack:
        SUBSCRIBERS.append(object())
        stack.callback(SUBSCRIBERS.clear)
    assert not SUBSCRIBERS
