"""How often a test is repeated, by what screening has cost so far, and references that harm nobody."""

from __future__ import annotations

import gc
import weakref

import psutil

from leaktrace.child.screen import RepeatPlan
from leaktrace.child.screening import Harmless, Screening


class Worker:
    """A worker by hand: each test takes so long, its screening so much longer, of which so much followed what grew."""

    def __init__(self) -> None:
        self.screening = Screening(None, None)  # type: ignore[arg-type]  # it runs no test here

    def test(self, duration_s: float, screening_s: float, followed_s: float = 0.0) -> None:
        self.screening._plain_s += duration_s
        self.screening._spent_s += screening_s
        self.screening._followed_s += followed_s

    def repeats_of(self, duration_s: float) -> RepeatPlan:
        """How many a test gets, one repeat of which takes so long."""
        self.screening._plain_s += duration_s
        return self.screening._plan(duration_s)


def test_every_test_gets_four_repeats_while_the_worker_is_young() -> None:
    worker = Worker()
    worker.test(0.010, 0.050)

    assert worker.repeats_of(0.010).batch == 4


def test_a_longer_test_gets_fewer_repeats_once_screening_has_cost_more_than_its_share() -> None:
    worker = Worker()
    for _ in range(100):
        worker.test(0.010, 0.050)

    assert worker.repeats_of(0.010).batch == 2
    assert worker.repeats_of(0.2) == (1, 1, False)


def test_a_slow_test_gets_one_repeat_at_a_time_however_young_the_worker() -> None:
    worker = Worker()
    worker.test(0.3, 0.3)

    assert worker.repeats_of(0.3) == (1, 1, True)


def test_a_short_test_gets_four_repeats_whatever_screening_has_cost() -> None:
    worker = Worker()
    worker.test(0.010, 100)

    assert worker.repeats_of(0.0005) == (4, 3, False)


def test_what_it_cost_to_follow_others_takes_no_repeat_from_a_test() -> None:
    worker = Worker()
    for _ in range(20):
        worker.test(0.010, 3.020, followed_s=3.0)

    assert worker.repeats_of(0.010).batch == 4


def test_references_to_installed_classes_are_harmless_and_those_to_the_suites_own_are_not() -> None:
    class Own:
        pass

    def explained(cls: type) -> str:
        harmless, kept = Harmless(), []
        harmless.begin()
        kept.extend([cls] * 100)
        harmless.explain(100)
        return harmless.name

    assert explained(psutil.Process) == "psutil.Process"
    assert explained(Own) == ""


def test_classes_whose_references_were_counted_are_let_go() -> None:
    class Own:
        pass

    harmless, own = Harmless(), weakref.ref(Own)
    harmless.begin()
    del Own
    harmless.forget()
    gc.collect()

    assert own() is None
