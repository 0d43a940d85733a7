"""The conductor where a room fails it."""

from __future__ import annotations

import os
from array import array

from leaktrace.ledger.model import OUTCOMES, Ledger
from leaktrace.options import Mode, Options
from leaktrace.probes.model import HEAP_BYTES, RSS_BYTES
from leaktrace.replay.letters import Settings
from leaktrace.session import Context, conclude


def test_suspects_that_no_child_can_be_started_for_are_still_told_with_the_reason(tmp_path):
    ledger = Ledger(counters=(RSS_BYTES, HEAP_BYTES), worker="main", harness=array("q", [0, 0]))
    ledger.nodeids.append("t.py::test_a")
    ledger.cells.extend([OUTCOMES.index("passed"), 1000, 0, 0, 0, 0, 0, 20_000_000, 0, 0, 0])
    settings = Settings(
        args=(), cwd=str(tmp_path), sys_path=(), environ=dict(os.environ), interpreter=(str(tmp_path / "no-python"),)
    )
    context = Context(folder=tmp_path / "replay", settings=settings, paths={"t.py::test_a": str(tmp_path / "t.py")})

    part = conclude(ledger, Options(mode=Mode.CONFIRM), context, replaying=True)

    assert [suspect.name for suspect in part.suspects] == ["t.py::test_a"]
    assert part.cases == ()
    [warning] = part.warnings
    assert warning.startswith("the suspects could not be replayed: no replay child could be started")
