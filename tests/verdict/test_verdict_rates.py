"""The published error rates of the judge hold."""

from __future__ import annotations

from random import Random

import pytest
from verdict_scenarios import SCENARIOS, play


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_ruling_on_a_spent_record_is_final(scenario):
    for affordable in (3, 5, 6, 12):
        assert play(scenario.make(Random(1)), affordable=affordable).ruling.more == 0
