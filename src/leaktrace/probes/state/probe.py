"""Process-global state that a test may leave changed: what it is now, and what differs from before.

Values of environment variables are compared but never shown: reports travel further than secrets should.
"""

from __future__ import annotations

import atexit
import gc
import operator
import os
import signal
import sys
import time
from _signal import getsignal  # type: ignore[import-not-found]  # `signal` makes an enum of each answer: ten times as long
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from leaktrace.probes.model import Counter, Thing, Unread, Value
from leaktrace.probes.state.readers import HOOKED, SECRET_NOUN, facts_now, is_users_handler, working_directory


_Key: TypeAlias = "tuple[str, str, Hashable]"

STATE = Counter(name="state", unit="count", kind="state", exact=False)

IGNORED_VARIABLES = frozenset({"PYTEST_CURRENT_TEST", "PYTEST_VERSION"})
_IGNORED_KEYS = IGNORED_VARIABLES | {name.encode() for name in IGNORED_VARIABLES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of the process at one instant.

    Attributes:
        facts: values by noun, name and, of several of one name, which; what is missing is not set.
        modules: `sys.modules` itself, as it was: an address alone could be given to another module later.
    """

    facts: Mapping[_Key, str]
    modules: Mapping[str, Any]


class StateProbe:
    """Counts the deviations from the state at the probe's making; one that is undone is counted no more.

    `read` looks at what is cheap to compare (environment, working directory, `sys.path`, hooks, loggers, signals,
    `atexit`, patches, …) and at the rest (umask, locale, less usual signals) only when one of these has moved: what it
    does not see is found in a later test, and told of that one. `inventory` always looks at everything.
    """

    counter: Counter = STATE
    put_back = True
    """pytest itself puts some of it back after the last test: the working directory, `sys.path`."""

    def __init__(self) -> None:
        self._first = self.snapshot()
        self._marks = _Marks.taken()
        self._deviations = 0
        self._trails: dict[_Key, dict[str, Thing]] = {}

    def read(self) -> Value:
        """The number of deviations now."""
        try:
            if not self._marks.hold():
                self._marks = _Marks.taken()
                self._deviations = len(self._followed())
        except Exception as exc:  # noqa: BLE001 - the state is the user's, and may be anything by now
            return Unread(counter=STATE.name, why=f"the state cannot be compared: {exc!r}")
        return self._deviations

    def inventory(self) -> Mapping[Hashable, Thing] | Unread:
        """All deviations by what it is that deviates and how."""
        try:
            return self._followed()
        except Exception as exc:  # noqa: BLE001 - as above
            return Unread(counter=STATE.name, why=f"the state cannot be compared: {exc!r}")

    def _followed(self) -> dict[Hashable, Thing]:
        """All deviations now, and those that were there before the same thing was changed once more.

        Of three who go on to another folder, each without going back, each has left the folder changed.
        """
        now = dict(self.deviations(self._first, self.snapshot()))
        self._trails = {key: trail for key, trail in self._trails.items() if key in now}
        for key, thing in now.items():
            trail = self._trails.setdefault(key, {})
            while thing.detail in trail and next(reversed(trail)) != thing.detail:
                trail.popitem()
            trail[thing.detail] = thing
        return {(key, how): thing for key, trail in self._trails.items() for how, thing in trail.items()}

    def settle(self, grace_s: float, at_most: int | None = None) -> None:
        """Return at once: nobody else undoes what a test has changed."""

    @staticmethod
    def snapshot() -> Snapshot:
        """The whole state now."""
        return Snapshot(facts=facts_now(ignored_variables=IGNORED_VARIABLES), modules=dict(sys.modules))

    @staticmethod
    def deviations(before: Snapshot, after: Snapshot) -> list[tuple[_Key, Thing]]:
        """What has changed, each with what tells it from others, in the order of nouns and names.

        A module merely imported is no change.
        """
        found = [*_changed_facts(before.facts, after.facts), *_changed_modules(before.modules, after.modules)]
        return sorted(found, key=lambda each: each[0][:2])


def _changed_facts(before: Mapping[_Key, str], after: Mapping[_Key, str]) -> Iterator[tuple[_Key, Thing]]:
    made_anew = _made_anew(before, after)
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old != new and key not in made_anew:
            yield key, Thing(kind=STATE.kind, noun=key[0], name=key[1], detail=_change(key[0], old, new))


def _made_anew(before: Mapping[_Key, str], after: Mapping[_Key, str]) -> set[_Key]:
    """Of several entries of one name, those in the place of which others have come that cannot be told from them."""
    gone: dict[tuple[str, str], list[_Key]] = defaultdict(list)
    for key in before:
        if key[2] is not None and key not in after:
            gone[key[:2]].append(key)
    found: set[_Key] = set()
    for key in after:
        if key[2] is not None and key not in before and gone.get(key[:2]):
            found |= {key, gone[key[:2]].pop()}
    return found


def _change(noun: str, old: str | None, new: str | None) -> str:
    if old is None:
        return "added" if noun == SECRET_NOUN or not new else f"added: {new}"
    if new is None:
        return "removed"
    return "changed" if noun == SECRET_NOUN else f"was {old}, now {new}"


def _changed_modules(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[_Key, Thing]]:
    for name, module in before.items():
        if after.get(name, _changed_modules) is not module:
            what = "replaced in" if name in after else "removed from"
            yield ("module", name, None), Thing(kind=STATE.kind, noun="module", name=name, detail=f"{what} sys.modules")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marks:
    """What can be compared where it stands, in some ten microseconds, with what it was."""

    variables: dict[Any, Any]
    directory: str
    path: list[str]
    meta_path: list[Any]
    numbers: tuple[Any, ...]
    hooks: tuple[Any, ...]

    @classmethod
    def taken(cls) -> _Marks:
        return cls(
            variables=_variables(),
            directory=working_directory(),
            path=sys.path[:],
            meta_path=sys.meta_path[:],
            numbers=_numbers(),
            hooks=_hooks(),
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
            and all(map(operator.is_, _hooks(), self.hooks))
        )


def _raw_variables() -> dict[Any, Any]:
    data: dict[Any, Any] = os.environ._data  # type: ignore[attr-defined, unused-ignore]  # noqa: SLF001 - public copies decode all
    return data


def _variables() -> dict[Any, Any]:
    variables = _raw_variables().copy()
    for key in _IGNORED_KEYS:
        variables.pop(key, None)
    return variables


def _numbers() -> tuple[Any, ...]:
    logging: Any = sys.modules.get("logging")
    mock: Any = sys.modules.get("unittest.mock")
    sockets: Any = sys.modules.get("socket")
    return (
        atexit._ncallbacks(),  # type: ignore[attr-defined, unused-ignore]  # noqa: SLF001 - there is no public count
        sum(is_users_handler(handler) for handler in logging.root.handlers) if logging else 0,
        (logging.root.level, logging.root.manager.disable, *_loggers(logging)) if logging else (),
        len(mock._patch._active_patches) if mock else 0,  # noqa: SLF001 - there is no public list
        sockets.getdefaulttimeout() if sockets else None,
        sys.getrecursionlimit(),
        (gc.isenabled(), *gc.get_threshold()),
        time.tzname,
    )


def _loggers(logging: Any) -> Iterator[Any]:
    for logger in list(logging.root.manager.loggerDict.values()):
        if type(logger) is not logging.PlaceHolder:
            try:
                yield logger.level, len(logger.handlers)
            except Exception:  # noqa: BLE001 - a logger may be the user's, and must not hide all others
                yield None


def _hooks() -> tuple[Any, ...]:
    return (*(getattr(module, name) for module, names in HOOKED for name in names), *map(getsignal, _SIGNALS))


_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGCHLD", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
)
