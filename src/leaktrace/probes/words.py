"""What to say of a thing that was left behind, and what to do about it, in one imperative each."""

from __future__ import annotations

from dataclasses import dataclass

from leaktrace.probes.model import Thing


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How one noun is spoken of: what made it, what it still is, the order that ends it, and how best to obey."""

    made: str
    still: str
    order: str
    how: str = ""


_OPENED = Wording(made="was opened", still="is still open", order="close it")
_CREATED = Wording(made="was created", still="is still there", order="remove it")
_CHANGED = Wording(made="was changed", still="is still changed", order="set it back", how="best with `monkeypatch`")

_BY_KIND = {
    "fds": _OPENED,
    "sockets": _OPENED,
    "threads": Wording(made="was started", still="is still running", order="tell it to stop and join() it"),
    "processes": Wording(made="was started", still="is still running", order="terminate() it and wait() for it"),
    "tasks": Wording(
        made="was started", still="is still pending", order="cancel() it and await it", how="before its loop closes"
    ),
    "files": _CREATED,
    "gpu": Wording(
        made="was allocated", still="is still in use", order="drop the last reference to its tensors or arrays"
    ),
    "state": _CHANGED,
}

_BY_NOUN = {
    "directory": Wording(made="was opened", still="is still open", order="os.close() it"),
    "deleted file": Wording(
        made="was opened", still="is deleted but still open", order="close it", how="so that the disk is freed"
    ),
    "pipe": Wording(made="was opened", still="is still open", order="close both of its ends"),
    "memfd": Wording(made="was created", still="is still open", order="os.close() it"),
    "pty": Wording(made="was opened", still="is still open", order="close both of its ends"),
    "pool thread": Wording(
        made="was started", still="is still waiting", order="shutdown() its executor", how="or use it by `with`"
    ),
    "native thread": Wording(
        made="was started", still="is still running", order="stop it by the library that started it"
    ),
    "zombie process": Wording(made="was started", still="has ended but was never waited for", order="wait() for it"),
    "event loop": Wording(made="was made", still="is not closed", order="close() the loop", how="or use asyncio.run()"),
    "transport": Wording(made="was opened", still="is still open", order="close() it and let the loop run once more"),
    "async generator": Wording(made="was begun", still="is not finalised", order="await its aclose()"),
    "temporary file": Wording(
        made="was created", still="is still there", order="remove it", how="or make it under `tmp_path`"
    ),
    "temporary directory": Wording(
        made="was created", still="is still there", order="remove it", how="or make it under `tmp_path`"
    ),
    "shared memory": Wording(made="was created", still="is still there", order="close() and unlink() it"),
    "semaphore": Wording(made="was created", still="is still there", order="unlink it"),
    "SysV shared memory": Wording(made="was created", still="is still there", order="remove() it"),
    "sqlite connection": _OPENED,
    "log handler": Wording(made="was added", still="is still attached", order="removeHandler() it and close it"),
    "mock patch": Wording(made="was started", still="is still active", order="stop() it", how="or use it by `with`"),
    "module": Wording(
        made="was replaced",
        still="is still replaced",
        order="put the old one back",
        how="best with `monkeypatch.setitem`",
    ),
    "working directory": Wording(
        made="was changed", still="is still changed", order="change back", how="best with `monkeypatch.chdir`"
    ),
    "environment variable": Wording(
        made="was changed", still="is still changed", order="set it back", how="best with `monkeypatch.setenv`"
    ),
    "sys.path entry": Wording(
        made="was changed", still="is still changed", order="set it back", how="best with `monkeypatch.syspath_prepend`"
    ),
}


def wording(thing: Thing) -> Wording:
    """How to speak of a thing: by its noun, else by its kind, else as of something that can be opened and closed."""
    owner = thing.noun.partition("'s ")[0]  # an "event loop's socket" is closed by closing the loop
    return _BY_NOUN.get(owner) or _BY_KIND.get(thing.kind, _OPENED)


def remedy(thing: Thing, *, fixture: bool = False) -> str:
    """What to do, as an order; in a fixture with the place where to do it."""
    words = wording(thing)
    place = " after the `yield`" if fixture else ""
    return f"{words.order}{place}, {words.how}" if words.how else f"{words.order}{place}"


def sentence(thing: Thing, *, owner: str, fixture: bool = False) -> str:
    """One sentence: what it is, where it was made, what it still is, and what to do.

    Args:
        thing: what was left behind.
        owner: by whom, in the user's words: "fixture `db` (tests/conftest.py:31)", "the test".
        fixture: whether the owner is a fixture.
    """
    words = wording(thing)
    place = f" at {thing.where}" if thing.where else ""
    detail = f" ({thing.detail})" if thing.detail else ""
    name = f"{thing.noun} {thing.name}".rstrip()
    end = "after its teardown" if fixture else "after the test"
    order = remedy(thing, fixture=fixture)
    return f"{name}{detail} {words.made} in {owner}{place} and {words.still} {end}: {order}."
