"""A PostgreSQL server of our own, in a folder that is thrown away."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


DEBIANS = "/usr/lib/postgresql"
START_S = 60.0


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`, the newest where there are several; None where there is none."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    folders = sorted(Path(DEBIANS).glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return folders[-1].parent if folders else None


class Server:
    """Starts on demand; `control` is a connection for looking, open as long as the server runs."""

    def __init__(self) -> None:
        self.control: psycopg.Connection | None = None
        self.conninfo = ""

    @contextmanager
    def running(self) -> Iterator[str]:
        """Start a server and give its connection string; stop it at the end."""
        bin_folder = programs()
        assert bin_folder is not None, "no PostgreSQL is installed"
        folder = Path(tempfile.mkdtemp(prefix="pg-"))
        user = _allowed_user(folder)
        options = [f"-k{folder}", "-clisten_addresses=", "-cfsync=off", "-cmax_connections=100"]
        self.conninfo = f"host={folder} user=tester dbname=postgres"
        process = None
        try:
            _run([bin_folder / "initdb", "-D", folder / "data", "-U", "tester", "--auth=trust", "--no-sync"], user)
            process = subprocess.Popen(
                [bin_folder / "postgres", "-D", folder / "data", *options],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                user=user,
            )
            self.control = self._connected(process)
            yield self.conninfo
        finally:
            if self.control is not None:
                self.control.close()
                self.control = None
            if process is not None:
                process.send_signal(signal.SIGINT)  # the fast way: it does not wait for clients to go
                process.wait()
            shutil.rmtree(folder, ignore_errors=True)

    def _connected(self, process: subprocess.Popen[bytes]) -> psycopg.Connection:
        deadline = time.monotonic() + START_S
        while True:
            try:
                return psycopg.connect(self.conninfo, autocommit=True, application_name="the probe")
            except psycopg.OperationalError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def _allowed_user(folder: Path) -> str | None:
    """Whom the server runs as: PostgreSQL refuses to be root."""
    if os.getuid() != 0:
        return None
    user = next(name for name in ("postgres", "nobody") if name in {each.pw_name for each in pwd.getpwall()})
    shutil.chown(folder, user)
    return user


def _run(command: list[object], user: str | None) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True, user=user, cwd="/")
