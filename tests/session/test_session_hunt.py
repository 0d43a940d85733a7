"""How often a test is repeated in place, by what the hunt has cost so far."""

from __future__ import annotations

import gc
import weakref

from leaktrace.hunt import Game, Harmless, Prey, decided_in_place
from leaktrace.options import Options
from leaktrace.replay.letters import Task
from leaktrace.session import soonest_first
from leaktrace.suspects.model import Suspect
from leaktrace.verdict.model import Ruling, Verdict


class Suite:
    """A hunt by hand: each test takes so long, its repeats so much longer, of which so much went into following it."""

    def __init__(self):
        self.now = 0.0
        self.game = Game(Options(), clock=lambda: self.now)
        self.game.count(1000)

    def test(self, duration_s, repeats_s, followed_s=0.0):
        self.now += duration_s
        assert self.game.takes(f"t.py::test_{self.game.seen}", duration_s)
        self.now += repeats_s
        self.game.screened("t.py::test", None)
        self.game.followed_s += followed_s

    def repeats_of(self, duration_s, repeat_s=None):
        """How many a test gets that took so long, and so long again."""
        assert self.game.takes(f"t.py::test_{self.game.seen}", duration_s)
        return self.game.patience(duration_s if repeat_s is None else repeat_s)


def test_every_test_gets_four_repeats_while_the_hunt_is_young():
    suite = Suite()
    suite.test(0.010, 0.050)

    assert suite.repeats_of(0.010).batch == 4


def test_a_longer_test_gets_fewer_repeats_once_the_hunt_has_cost_more_than_its_share():
    suite = Suite()
    for _ in range(100):
        suite.test(0.010, 0.050)

    assert suite.repeats_of(0.010).batch == 2
    assert suite.repeats_of(0.5).batch == 1


def test_a_slow_test_gets_one_repeat_at_a_time_however_young_the_hunt():
    suite = Suite()
    suite.test(0.3, 0.3)

    assert suite.repeats_of(0.3) == (1, 1, True)


def test_a_first_run_that_was_slow_takes_no_repeats_from_a_test_that_is_not():
    suite = Suite()
    suite.test(0.010, 100)

    assert suite.repeats_of(0.020, repeat_s=0.020).batch == 1
    assert suite.repeats_of(0.020, repeat_s=0.0005) == (4, 3, False)
    assert suite.repeats_of(0.0005, repeat_s=0.020).batch == 4


def test_one_variant_of_each_function_is_replayed_before_the_others_and_slow_suspects_last():
    def suspect(name, duration_s=0.1):
        return Suspect(
            subject="test",
            name=f"t.py::{name}",
            kind="memory",
            counter="blocks",
            grew_by=1,
            why="",
            nodeids=(),
            duration_s=duration_s,
        )

    suspects = [suspect("test_a[1]"), suspect("test_a[2]"), suspect("test_slow", 2.0), suspect("test_b")]
    tasks = [Task(ident=number, targets=()) for number in range(4)]

    assert [task.ident for task in soonest_first(tasks, suspects)] == [0, 3, 1, 2]


def test_a_short_test_gets_four_repeats_whatever_the_hunt_has_cost():
    suite = Suite()
    suite.test(0.010, 100)

    assert suite.repeats_of(0.0005).batch == 4


def test_what_it_cost_to_follow_others_takes_no_repeat_from_a_test():
    suite = Suite()
    for _ in range(20):
        suite.test(0.010, 3.020, followed_s=3.0)

    assert suite.repeats_of(0.010).batch == 4


def test_references_to_an_installed_class_are_steady_without_a_child():
    game = Game(Options())
    refs = Ruling(verdict=Verdict.LEAK, reason="grew by 2 references a run", counter="refs")
    game.prey["t.py::test"] = Prey(
        nodeid="t.py::test", duration_s=0.01, accused={"memory": refs}, rates={}, harmless="brotli.Compressor"
    )

    (case,) = decided_in_place(game.suspects("main"), game, limit_bytes=1).values()

    assert case.verdict is Verdict.STEADY
    assert "references to class brotli.Compressor" in case.reason


def test_growth_that_wavers_in_place_is_unclear_and_steady_growth_is_not():
    game = Game(Options())
    for name, verdict in (("wavers", Verdict.UNDECIDED), ("grows", Verdict.LEAK)):
        ruling = Ruling(verdict=verdict, reason="grew", counter="blocks")
        game.prey[name] = Prey(nodeid=name, duration_s=0.01, accused={"memory": ruling}, rates={})

    assert game.unclear() == {"wavers"}


def test_classes_whose_references_were_counted_are_let_go():
    class Own:
        pass

    harmless, own = Harmless(), weakref.ref(Own)
    harmless.begin()
    del Own
    harmless.forget()
    gc.collect()

    assert own() is None
