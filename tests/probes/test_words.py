from __future__ import annotations

from typing import Any

import pytest

from leaktrace.probes.model import Thing
from leaktrace.probes.words import remedy, sentence


def thing(kind: str, noun: str, name: str = "x", **more: Any) -> Thing:
    return Thing(kind=kind, noun=noun, name=name, **more)


def test_a_fixtures_socket_is_told_in_one_sentence() -> None:
    socket = thing("sockets", "socket", "127.0.0.1:41234 → 127.0.0.1:5432 (ESTABLISHED)")

    assert sentence(socket, owner="fixture `db` (tests/conftest.py:31)", fixture=True) == (
        "socket 127.0.0.1:41234 → 127.0.0.1:5432 (ESTABLISHED) was opened in fixture `db` (tests/conftest.py:31) "
        "and is still open after its teardown: close it after the `yield`."
    )


def test_the_line_that_made_it_is_told_where_it_is_known() -> None:
    text = sentence(thing("threads", "thread", "poller", where="shop/poll.py:12"), owner="the test")

    assert (
        text
        == "thread poller was started in the test at shop/poll.py:12 and is still running after the test: tell it to stop and join() it."
    )


def test_how_to_obey_comes_after_where() -> None:
    assert remedy(thing("state", "umask"), fixture=True) == "set it back after the `yield`, best with `monkeypatch`"


@pytest.mark.parametrize(
    ("subject", "order"),
    [
        (thing("fds", "file"), "close it"),
        (thing("sockets", "event loop's socket"), "close() the loop, or use asyncio.run()"),
        (thing("processes", "zombie process"), "wait() for it"),
        (thing("tasks", "asyncio task"), "cancel() it and await it, before its loop closes"),
        (thing("files", "shared memory"), "close() and unlink() it"),
        (thing("state", "umask"), "set it back, best with `monkeypatch`"),
        (thing("connections", "PostgreSQL connection"), "close it"),
    ],
)
def test_each_noun_has_its_order(subject: Thing, order: str) -> None:
    assert remedy(subject) == order
