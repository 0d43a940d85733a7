"""Process-global state that a test may leave changed: what it is now, and what differs from before.

Values of environment variables are compared but never shown: reports travel further than secrets should.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from leaktrace.probes.facts import SECRET_NOUN, facts_now, is_users_handler, working_directory
from leaktrace.probes.model import Counter, Thing, Unread, Value


STATE = Counter(name="state", unit="count", kind="state", exact=False)

IGNORED_VARIABLES = frozenset({"PYTEST_CURRENT_TEST", "PYTEST_VERSION"})
_IGNORED_KEYS = IGNORED_VARIABLES | {name.encode() for name in IGNORED_VARIABLES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of the process at one instant.

    Attributes:
        facts: values by noun and name; a noun's missing name means "not set".
        modules: `sys.modules` itself, as it was: an address alone could be given to another module later.
    """

    facts: Mapping[tuple[str, str], str]
    modules: Mapping[str, Any]


class StateProbe:
    """Counts the deviations from the state at the probe's making; one that is undone is counted no more.

    `read` looks at what is cheap to compare (environment, working directory, `sys.path`, hooks, loggers,
    `atexit`, patches) and at all the rest only when one of these has moved; `inventory` always looks at everything.
    """

    counter: Counter = STATE

    def __init__(self) -> None:
        self._first = self.snapshot()
        self._marks = _Marks.taken()
        self._deviations = 0

    def read(self) -> Value:
        """The number of deviations now."""
        try:
            if not self._marks.hold():
                self._marks = _Marks.taken()
                self._deviations = len(self.diff(self._first, self.snapshot()))
        except Exception as exc:  # noqa: BLE001 - the state is the user's, and may be anything by now
            return Unread(counter=STATE.name, why=f"the state cannot be compared: {exc!r}")
        return self._deviations

    def inventory(self) -> Mapping[Hashable, Thing] | Unread:
        """All deviations by what they are and what they have become."""
        try:
            now = self.snapshot()
            return {(thing.noun, thing.name, thing.detail): thing for thing in self.diff(self._first, now)}
        except Exception as exc:  # noqa: BLE001 - as above
            return Unread(counter=STATE.name, why=f"the state cannot be compared: {exc!r}")

    def settle(self, grace_s: float, at_most: int | None = None) -> None:
        """Return at once: nobody else undoes what a test has changed."""

    @staticmethod
    def snapshot() -> Snapshot:
        """The whole state now."""
        return Snapshot(facts=facts_now(ignored_variables=IGNORED_VARIABLES), modules=dict(sys.modules))

    @staticmethod
    def diff(before: Snapshot, after: Snapshot) -> list[Thing]:
        """What has changed, in the order of nouns and names; a module merely imported is no change."""
        things = list(_changed_facts(before.facts, after.facts))
        things.extend(_changed_modules(before.modules, after.modules))
        return sorted(things, key=lambda thing: (thing.noun, thing.name))


def _changed_facts(before: Mapping[tuple[str, str], str], after: Mapping[tuple[str, str], str]) -> Iterable[Thing]:
    for noun, name in before.keys() | after.keys():
        old, new = before.get((noun, name)), after.get((noun, name))
        if old != new:
            yield Thing(kind=STATE.kind, noun=noun, name=name, detail=_change(noun, old, new))


def _change(noun: str, old: str | None, new: str | None) -> str:
    if old is None:
        return "added" if noun == SECRET_NOUN or not new else f"added: {new}"
    if new is None:
        return "removed"
    return "changed" if noun == SECRET_NOUN else f"was {old}, now {new}"


def _changed_modules(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[Thing]:
    for name, module in before.items():
        if name not in after:
            yield Thing(kind=STATE.kind, noun="module", name=name, detail="removed from sys.modules")
        elif after[name] is not module:
            yield Thing(kind=STATE.kind, noun="module", name=name, detail="replaced in sys.modules")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marks:
    """What can be compared where it stands, in two microseconds, with what it was."""

    variables: dict[Any, Any]
    directory: str
    path: list[str]
    meta_path: list[Any]
    numbers: tuple[int, ...]
    hooks: tuple[Any, ...]

    @classmethod
    def taken(cls) -> _Marks:
        return cls(
            variables=_variables(),
            directory=working_directory(),
            path=sys.path[:],
            meta_path=sys.meta_path[:],
            numbers=_numbers(),
            hooks=(sys.excepthook, threading.excepthook),
        )

    def hold(self) -> bool:
        """Whether all is as it was."""
        return (
            # Within a test pytest sets a variable of its own: only then is the copy needed.
            (_raw_variables() == self.variables or _variables() == self.variables)
            and working_directory() == self.directory
            and sys.path == self.path
            and sys.meta_path == self.meta_path
            and _numbers() == self.numbers
            and sys.excepthook is self.hooks[0]
            and threading.excepthook is self.hooks[1]
        )


def _raw_variables() -> dict[Any, Any]:
    data: dict[Any, Any] = os.environ._data  # type: ignore[attr-defined, unused-ignore]  # noqa: SLF001 - public copies decode all
    return data


def _variables() -> dict[Any, Any]:
    variables = _raw_variables().copy()
    for key in _IGNORED_KEYS:
        variables.pop(key, None)
    return variables


def _numbers() -> tuple[int, ...]:
    logging: Any = sys.modules.get("logging")
    mock: Any = sys.modules.get("unittest.mock")
    return (
        atexit._ncallbacks(),  # type: ignore[attr-defined, unused-ignore]  # noqa: SLF001 - there is no public count
        logging.root.level if logging else 0,
        sum(is_users_handler(handler) for handler in logging.root.handlers) if logging else 0,
        len(logging.root.manager.loggerDict) if logging else 0,
        len(mock._patch._active_patches) if mock else 0,  # noqa: SLF001 - there is no public list
    )
