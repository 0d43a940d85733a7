from __future__ import annotations

import asyncio
import weakref

from leaktrace.explain.dead_entries import are_dead


class Part:
    pass


def test_weak_references_to_what_is_gone_are_dead() -> None:
    alive = Part()

    assert are_dead([weakref.ref(Part()), 5, weakref.ref(Part())])
    assert not are_dead([weakref.ref(Part()), weakref.ref(alive)])


def test_timers_are_dead_once_they_are_cancelled() -> None:
    loop = asyncio.new_event_loop()
    try:
        due, gone = loop.call_later(60, print), loop.call_later(60, print)
        gone.cancel()

        assert are_dead([gone])
        assert are_dead([(60.0, 1, gone)])
        assert not are_dead([gone, due])
    finally:
        loop.close()


def test_tasks_are_dead_once_they_are_done() -> None:
    async def nothing() -> None:
        pass

    async def look() -> tuple[bool, bool]:
        task = asyncio.ensure_future(nothing())
        before = are_dead([task])
        await task
        return before, are_dead([task])

    assert asyncio.run(look()) == (False, True)


def test_plain_values_alone_are_not_dead() -> None:
    assert not are_dead([1, "two", b"three"])
    assert not are_dead([])


def test_anything_else_is_alive() -> None:
    assert not are_dead([Part()])
