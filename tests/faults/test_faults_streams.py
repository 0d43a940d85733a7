"""Standard streams that are full, closed or read no further: a run ends as it would without us."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


OUR_FRAME = re.compile(r"leaktrace/(?:\w+/)*\w+\.py[\":]")
FILES = {
    "tox.ini": "[pytest]\n",
    "test_a.py": "KEPT = []\ndef test_leaks(): KEPT.append(bytearray(b'x') * 3_000_000)\ndef test_fails(): assert 0\n",
}
REDIRECTIONS = (
    *(">/dev/full", ">&-", "2>&-", "<&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full 2>/dev/full"),
    *("| head -1", "2>&1 | head -1"),
)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell's redirections")
@pytest.mark.parametrize("how", REDIRECTIONS)
def test_with_streams_that_are_full_or_closed_a_run_ends_as_it_would_without_us(tmp_path: Path, how: str) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)

    plain = run(tmp_path, how, "-p", "no:leaktrace")
    ours = run(tmp_path, how, "-p", "leaktrace.plugin", "--leaktrace-limit=1MB", "--leaktrace")

    assert ours[0] == plain[0], ours[1]
    assert not OUR_FRAME.search(ours[1]), ours[1]


def run(folder: Path, how: str, *args: str) -> tuple[int, str]:
    """The exit status of pytest itself, and all that came out: standard output, standard error."""
    status = folder / "status"
    status.unlink(missing_ok=True)
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "LEAKTRACE_", "COV_"))}
    script = f'{{ "$@"; echo $? > "$STATUS"; }} {how}'
    ran = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-m", "pytest", *args],
        cwd=folder,
        env={**environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "STATUS": str(status)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return int(status.read_text()), ran.stdout + ran.stderr
