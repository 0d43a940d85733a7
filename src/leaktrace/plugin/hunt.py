"""The hunt's door: after each test's own run, the same test again, quietly, until it is clean or a suspect."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Generator

import pytest

from leaktrace.hunt import Game, screen_of
from leaktrace.ledger.recorder import Recorder
from leaktrace.options import Options
from leaktrace.plugin.watch import WatchDoor
from leaktrace.replay.inplace import RunFailed
from leaktrace.replay.steady import deactivate_opcache
from leaktrace.seam import Footprint, QuietRuns, muted, namespaces_of, repeat, tear_down


class HuntDoor:
    """Around the watch: what it repeats is neither watched nor reported."""

    def __init__(self, watch: WatchDoor, recorder: Recorder, options: Options) -> None:
        self._watch, self._recorder = watch, recorder
        self.game = Game(options)
        self.quiet = QuietRuns()
        deactivate_opcache()
        self._screen = screen_of(self.game.harmless)
        self._dice = Dice()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """How many there are to hunt."""
        self.game.count(len(session.items))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """The user's own run, and then ours, after which the collector is as the user left it."""
        if self.quiet.running:
            return (yield)
        result = yield
        if self._may_repeat(item):
            self._repeat(item, nextitem)
        return result

    def _may_repeat(self, item: pytest.Item) -> bool:
        """Only what passed, of a run that goes on, and what no marker leaves out."""
        session = item.session
        if session.shouldstop or session.shouldfail or item.config.option.usepdb:
            return False
        if self._watch.is_left_out(item.nodeid) or self._recorder.last_outcome() != "passed":
            return False
        return self.game.takes(item.nodeid, self._recorder.last_duration_s())

    def _repeat(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        footprint = Footprint(item, self.quiet.wide)

        def run() -> None:
            why = repeat(self.quiet, item, item.parent)
            footprint.erase()
            if why is not None:
                raise RunFailed(why)

        try:
            self._recorder.pause()
            with self._dice.kept(), muted(item.config):
                grown = self._screen.screen(run, patience=self.game.patience, namespaces=namespaces_of(item))
                self.game.screened(item.nodeid, grown)
                tear_down(item.session, nextitem)
        except RunFailed as exc:
            self.game.failed(item.nodeid, str(exc))
            _swept(item.session, nextitem)
        except (Exception, pytest.fail.Exception, pytest.skip.Exception) as exc:  # noqa: BLE001
            # A wider fixture's own fault when it ends once more, of which the run that counts has told, or one of ours.
            self.game.failed(item.nodeid, f"{type(exc).__name__}: {exc}")
            _swept(item.session, nextitem)
        finally:
            self.game.followed_s += self._screen.followed_s
            self.game.harmless.forget()
            self._screen.thaw()
            self._recorder.resume()


def _swept(session: pytest.Session, nextitem: pytest.Item | None) -> None:
    """Whatever happened, the next test finds set up only what it needs."""
    with contextlib.suppress(Exception, pytest.fail.Exception, pytest.skip.Exception):  # told at the first run
        tear_down(session, nextitem)


class Dice:
    """The states of the global generators: a repeat must not change what the next test draws."""

    def __init__(self) -> None:
        self._get, self._set = random.getstate, random.setstate  # a test may patch them, for good

    @contextlib.contextmanager
    def kept(self) -> Generator[None, None, None]:
        """Give back at the end the states of the beginning."""
        state = self._get()
        numpys = sys.modules.get("numpy.random")
        numpys_state = numpys.get_state() if numpys is not None else None
        try:
            yield
        finally:
            self._set(state)
            if numpys is not None and numpys_state is not None:
                numpys.set_state(numpys_state)
