"""How a detector's pytest is run and its outcomes are read back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from model import Ask, Case


PLUGINS = Path(__file__).resolve().parent.parent / "plugins"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One test as pytest reported it: whether it failed, and its report sections by title."""

    failed: bool
    text: str
    sections: dict[str, str]


def run_pytest(case: Case, ask: Ask, *flags: str, plugins: tuple[str, ...] = (), **env: str) -> dict[str, Outcome]:
    """Run the case's file under pytest with some of our small plugins, and return its outcomes by node id.

    A process that hangs at exit (leaked threads) is ended once its outcomes are written.
    """
    out = ask.scratch / "outcomes.json"
    path = os.pathsep.join(filter(None, [str(PLUGINS), ask.env.get("PYTHONPATH", "")]))
    environ = {**ask.env, **env, "PYTHONPATH": path, "ACCURACY_OUTCOMES": str(out)}
    command = [str(ask.python), "-m", "pytest", "-q", "-p", "accuracy_outcomes"]
    for plugin in plugins:
        command += ["-p", plugin]
    command += [*flags, *ask.arguments, case.file.name]
    run_to_the_end(command, cwd=case.file.parent, env=environ, ask=ask)
    if not out.exists():
        return {}
    found = json.loads(out.read_text(encoding="utf-8"))
    return {key_of(nodeid): Outcome(**outcome) for nodeid, outcome in found.items()}


def key_of(nodeid: str) -> str:
    """A node id with the file's name alone: its root folder depends on how pytest was called."""
    file, _, rest = nodeid.partition("::")
    return f"{Path(file).name}::{rest}"


def run_to_the_end(command: list[str], *, cwd: Path, env: dict[str, str], ask: Ask) -> int:
    """Run a command with its output in the scratch folder; past the time-out it and its children are killed."""
    with (ask.scratch / "output.txt").open("wb") as output:
        process = subprocess.Popen(command, cwd=cwd, env=env, stdout=output, stderr=output, start_new_session=True)
        try:
            return process.wait(timeout=ask.timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()
