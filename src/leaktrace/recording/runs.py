"""The folders of runs below one base: what they are called, and which of them may go."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

import psutil

from leaktrace.files import is_ours, remove_tree


RUN_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9]{1,10}")
"""A run's folder: date, time, process. The folder that the user names may hold others, not ours to remove."""

_HIGHEST_PID = (1 << 31) - 1


def prune(runs: Path, keep: int) -> None:
    """Remove the oldest folders of runs beyond `keep`; ids sort by time; what is not named so is left alone.

    So is what belongs to another user, a link, and a run whose process still lives: several may share a folder, and one
    that replays needs its requests and responses.
    """
    with suppress(OSError):
        if not stat.S_ISDIR(os.lstat(runs).st_mode):
            return
        with os.scandir(runs) as entries:
            found = [each for each in entries if RUN_ID.fullmatch(each.name) and each.is_dir(follow_symlinks=False)]
        ours = sorted(each.name for each in found if is_ours(each.stat(follow_symlinks=False)))
        for name in ours[: max(0, len(ours) - keep)]:
            pid = int(name.rpartition("-")[2])
            if pid > _HIGHEST_PID or not psutil.pid_exists(pid):
                remove_tree(runs / name)
