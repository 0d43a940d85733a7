"""Where the journals, requests and responses of a run lie."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from leaktrace.files import private_folder, temporary_folder
from leaktrace.options import Options
from leaktrace.recording.runs import prune


WORKER_KEY = "leaktrace"
"""Under which xdist's controller and its workers send each other what is ours: the folder, a part of the casebook."""


def run_folder(
    config: pytest.Config, options: Options, worker_input: dict[str, Any] | None, complain: Callable[[str], None]
) -> tuple[Path, bool]:
    """The run's own folder, and whether it goes with the run.

    It is the controller's for a worker, else a new one below `--leaktrace-dir` or the cache, else a temporary one.
    """
    if worker_input is not None and WORKER_KEY in worker_input:
        return Path(worker_input[WORKER_KEY]), False
    base = base_folder(config, options)
    if base is None and getattr(config, "cache", None) is not None:
        complain("the journal lies among the temporary files: pytest's cache folder cannot be written")
    if base is not None:
        with suppress(OSError):  # what cannot be removed stays
            prune(base / "runs", options.keep - 1)
        try:
            return _new_run(base / "runs"), False
        except OSError as exc:
            # A read-only checkout, a full disk: the journal of a killed run matters more than where it lies.
            complain(f"the journal lies among the temporary files: {base} cannot be written ({exc})")
    try:
        return temporary_folder(), True
    except OSError:
        return _nowhere(base), False


def _new_run(runs: Path) -> Path:
    """A folder for this run alone, whatever else has begun in this second and process.

    Raises:
        OSError: it cannot be made.
    """
    now = time.time()
    for later in range(10):
        folder = runs / f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now + later))}-{os.getpid()}"
        if not os.path.lexists(folder):
            return private_folder(folder)
    raise FileExistsError(f"{runs} has a folder of each name that this run could have")


def _nowhere(base: Path | None) -> Path:
    """A folder that cannot be made: the journal says why, and the run goes on without one."""
    return (Path(os.curdir) if base is None else base) / "runs" / str(os.getpid())


def base_folder(config: pytest.Config, options: Options) -> Path | None:
    """The folder that the runs' folders lie in; None where pytest keeps no cache, or may not write it."""
    if options.dir_path is not None:
        return Path(config.invocation_params.dir, options.dir_path)
    cache: pytest.Cache | None = getattr(config, "cache", None)
    if cache is None:
        return None
    try:
        return Path(cache.mkdir("leaktrace"))
    except OSError:
        return None
