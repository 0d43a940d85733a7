"""The detectors that are compared, one file each, all behind `model.Detector`."""

from __future__ import annotations

from model import Detector

from detectors.conftest_rss import ConftestRss
from detectors.leaktrace import Leaktrace
from detectors.memray import LimitLeaks
from detectors.psleak import Psleak
from detectors.pytest_leaks import PytestLeaks


def all_detectors() -> dict[str, Detector]:
    """Every detector by name, in the tables' order."""
    detectors: tuple[Detector, ...] = (
        Leaktrace(mode="hunt"),
        Leaktrace(mode="confirm"),
        PytestLeaks(),
        Psleak(),
        LimitLeaks(limit="1KB"),
        LimitLeaks(limit="48B"),
        ConftestRss(),
    )
    return {detector.name: detector for detector in detectors}
