"""A suite, and children that run parts of it."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from leaktrace.replay.base import interpreter
from leaktrace.replay.pool import Bounds, Pool
from leaktrace.replay.protocol import Response, Settings, Target, Task
from leaktrace.replay.scheduler import replay


class Bench:
    """A suite, and children that run parts of it."""

    def __init__(self, path: Path, suite: str) -> None:
        self.path, self.suite = path, path / "test_suite.py"
        self.suite.write_text(textwrap.dedent(suite), encoding="utf-8")
        self.pid_file = path / "pid"

    def task(self, ident: int, name: str, **changes: Any) -> Task:
        target = Target(nodeid=f"test_suite.py::{name}", path=str(self.suite), tail=name)
        return Task(ident=ident, targets=(target,), **{"warmups": 1, "batch_runs": 1, "follow_s": 1.0, **changes})

    def replay(
        self,
        *names: str,
        before: Sequence[str] = (),
        stopped: Callable[[], bool] = lambda: False,
        screening: bool = False,
        **bounds: Any,
    ) -> dict[str, Response]:
        """All that was answered, by name."""
        tasks = self.tasks(*names, before=before, screening=screening)
        with Pool(self.settings(), self.path / "replay", stopped) as self.pool:
            self.outcome = replay(
                tasks, self.pool, Bounds(**{"timeout_s": 60.0, **bounds}), trace=False, progress=self.note
            )
        responses = self.outcome.responses
        return {name: responses[i] for i, name in enumerate(names) if i in responses}

    def tasks(self, *names: str, before: Sequence[str] = (), screening: bool = False) -> list[Task]:
        earlier = tuple(Target(nodeid=name, path=str(self.suite), tail=name) for name in before)
        return [self.task(i, name, before=earlier, screening=screening) for i, name in enumerate(names)]

    def settings(self) -> Settings:
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "LEAKTRACE_"))}
        return Settings(
            args=("-x", "-k", "nothing at all", "--maxfail=1"),
            cwd=str(self.path),
            sys_path=tuple(sys.path),
            environ={
                **keep,
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "PYTEST_PLUGINS": "leaktrace.plugin",
                "PID_FILE": str(self.pid_file),
                "SEEN": "yes",
                "STARTED_BY": str(os.getpid()),
            },
            interpreter=interpreter(),
        )

    def note(self, done: int, count: int, _current: int | None) -> None:
        self.progress = (done, count)


def is_gone(pid: int, seconds: float = 10.0) -> bool:
    """Whether a process has ended, or does so within some seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False
