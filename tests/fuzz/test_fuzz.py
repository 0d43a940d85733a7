"""Whatever is wrong with a file that we read, it is refused by name or read in part; nothing of it escapes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.hostile import kinds, spoiled
from leaktrace.errors import LeaktraceError


KINDS = {kind.name: kind for kind in kinds()}


@pytest.mark.parametrize("name", KINDS)
def test_a_valid_file_of_each_kind_is_read(tmp_path: Path, name: str) -> None:
    valid = KINDS[name].valid
    assert valid
    for number, data in enumerate(valid):
        path = tmp_path / f"file-{number}"
        path.write_bytes(data)
        KINDS[name].read(path)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(rng=st.randoms(use_true_random=False), which=st.integers(0, 1))
def test_a_spoiled_file_is_refused_by_name_or_read_in_part(name: str, rng: Random, which: int) -> None:
    valid = KINDS[name].valid
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spoiled-file"
        path.write_bytes(spoiled(rng, KINDS[name], valid[which % len(valid)]))
        try:
            KINDS[name].read(path)
        except LeaktraceError as exc:
            # A table of known leaks is named by the option that gave it.
            assert name.startswith("known") or "spoiled-file" in str(exc)
            assert len(str(exc)) < 2_000
