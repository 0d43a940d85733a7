"""An audit hook cannot be taken out again: each specimen runs in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest


PRELUDE = """
import asyncio, os, socket, sqlite3, subprocess, sys, tempfile, threading
from leaktrace.probes.aio import AioProbe
from leaktrace.probes.files import TempFilesProbe
from leaktrace.probes.handles import HandlesProbe
from leaktrace.probes.origins import Origins
from leaktrace.probes.processes import ProcessesProbe
from leaktrace.probes.threads import ThreadsProbe
origins = Origins()
origins.install()
def told(probe, noun):
    for thing in probe.inventory().values():
        if thing.noun == noun and thing.where:
            print(thing.where.rpartition("/")[2])
"""

SPECIMENS = {
    "a file": """
        file = open(sys.argv[0]); MADE
        told(HandlesProbe(origins=origins), "file")
    """,
    "a file by os.open": """
        fd = os.open(sys.argv[0], os.O_RDONLY); MADE
        told(HandlesProbe(origins=origins), "file")
    """,
    "a socket": """
        server = socket.create_server(("127.0.0.1", 0)); MADE
        told(HandlesProbe(origins=origins), "socket")
    """,
    "a deleted temporary file": """
        file = tempfile.NamedTemporaryFile(); MADE
        os.unlink(file.name)
        told(HandlesProbe(origins=origins), "deleted file")
    """,
    "a temporary directory": """
        outer = tempfile.TemporaryDirectory()
        made = tempfile.mkdtemp(dir=outer.name); MADE
        told(TempFilesProbe(folder=outer.name, origins=origins), "temporary directory")
        outer.cleanup()
    """,
    "a sqlite database": """
        outer = tempfile.TemporaryDirectory()
        connection = sqlite3.connect(outer.name + "/db"); MADE
        connection.execute("create table t (x)")
        told(HandlesProbe(origins=origins), "file")
        connection.close()
        outer.cleanup()
    """,
    "a thread": """
        release = threading.Event()
        thread = threading.Thread(target=release.wait)
        thread.start(); MADE
        told(ThreadsProbe(origins=origins), "thread")
        release.set()
    """,
    "a child process": """
        child = subprocess.Popen(["sleep", "30"]); MADE
        told(ProcessesProbe(origins=origins), "child process")
        child.kill(); child.wait()
    """,
    "a task": """
        async def worker():
            await asyncio.sleep(30)
        async def main():
            task = asyncio.ensure_future(worker()); MADE
            await asyncio.sleep(0)
            told(AioProbe(), "asyncio task")
        asyncio.run(main())
    """,
}


def with_marks(specimens: Iterable[str]) -> list[Any]:
    """Their names; tasks cannot be listed by every build."""
    return [pytest.param(name, marks=pytest.mark.reads("tasks")) if "task" in name else name for name in specimens]


@pytest.mark.parametrize("specimen", with_marks(SPECIMENS))
def test_the_line_that_made_it_is_remembered(specimen: str, tmp_path: Path) -> None:
    source = PRELUDE + textwrap.dedent(SPECIMENS[specimen])
    line = 1 + next(number for number, text in enumerate(source.splitlines()) if text.endswith("MADE"))
    script = tmp_path / "specimen.py"
    script.write_text(source.replace("; MADE", ""))

    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)

    assert f"specimen.py:{line}" in done.stdout.split(), done.stderr


STEPS = {
    "a pipe": "writing, reading = os.pipe()",
    "a duplicate": "first = os.open(sys.argv[0], os.O_RDONLY)\nsecond = os.dup(first)",
    "an epoll": "import select\npoller = select.epoll()",
    "a socket whose object is gone": "number = socket.socket().detach()",
    "a number that was used before": "old = os.open(os.devnull, 0)\nos.close(old)\nnew = os.dup(0)",
    "what the standard library opens": "from multiprocessing import Pipe\nends = Pipe()",
    "what a thread opens": """
def open_it():
    KEPT.append(os.dup(0))  # MADE
thread = threading.Thread(target=open_it)
thread.start(); thread.join()""",  # on one line: see Steps
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="descriptors are listed by Linux's /proc")
@pytest.mark.parametrize("specimen", STEPS)
def test_the_line_that_ran_when_a_descriptor_appeared_is_remembered(specimen: str, tmp_path: Path) -> None:
    body = STEPS[specimen]
    source = "import os, sys, socket, threading\nfrom leaktrace.probes.origins import Origins\nKEPT = []\ndef test():\n"
    source += textwrap.indent(body, "    ") + "\n    KEPT.append(locals())\n"
    lines = source.splitlines()
    line = next((n for n, text in enumerate(lines, 1) if text.endswith("# MADE")), len(lines) - 1)
    script = tmp_path / "specimen.py"
    script.write_text(
        source
        + "origins = Origins()\norigins.install()\ntest()\norigins.stop()\n"
        + "for fd in range(3, 100):\n    print(origins.of_fd(fd, ''))\n"
    )

    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)

    assert f"{script}:{line}" in done.stdout.split(), (done.stdout, done.stderr)


LIBRARY = """
import asyncio, os, socket, threading
async def work():
    await asyncio.sleep(30)
def start():
    return asyncio.ensure_future(work())
def connect():
    return socket.socket()
def copy():
    return os.dup(0)
def run(target):
    thread = threading.Thread(target=target)
    thread.start()
    return thread
"""

BY_A_LIBRARY = {
    "a socket": """
        made = library.connect(); MADE
        told(HandlesProbe(origins=origins), "socket")
    """,
    "a thread": """
        release = threading.Event()
        made = library.run(release.wait); MADE
        told(ThreadsProbe(origins=origins), "thread")
        release.set()
    """,
    "a task": """
        async def main():
            task = library.start(); MADE
            await asyncio.sleep(0)
            told(AioProbe(), "asyncio task")
        asyncio.run(main())
    """,
    "a duplicate": """
        def test():
            made = library.copy(); MADE
            return made
        made = test()
        origins.stop()
        print("specimen.py" + origins.of_fd(made, "").rpartition("specimen.py")[2])
    """,
}


@pytest.mark.parametrize("specimen", with_marks(BY_A_LIBRARY))
def test_what_a_library_made_was_made_by_the_users_line_that_called_it(specimen: str, tmp_path: Path) -> None:
    installed = tmp_path / "site-packages"
    installed.mkdir()
    (installed / "library.py").write_text(LIBRARY)
    source = f"import sys; sys.path.append({str(installed)!r}); import library\n" + PRELUDE
    source += textwrap.dedent(BY_A_LIBRARY[specimen])
    line = 1 + next(number for number, text in enumerate(source.splitlines()) if text.endswith("MADE"))
    script = tmp_path / "specimen.py"
    script.write_text(source.replace("; MADE", ""))

    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)

    assert f"specimen.py:{line}" in done.stdout.split(), done.stderr


def test_the_line_that_runs_elsewhere_has_not_made_what_a_servers_thread_accepted(tmp_path: Path) -> None:
    script = tmp_path / "specimen.py"
    script.write_text(
        PRELUDE
        + textwrap.dedent("""
        import socketserver
        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
        accepted, release = threading.Event(), threading.Event()
        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                accepted.set()
                release.wait()
        def test():
            server = Server(("127.0.0.1", 0), Handler)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            client = socket.create_connection(server.server_address)
            accepted.wait()
            things = HandlesProbe(origins=origins).inventory().values()
            print(sorted(bool(thing.where) for thing in things if thing.noun == "socket"))
        test()
        """)
    )

    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)

    assert done.stdout == "[False, True, True]\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="descriptors are listed by Linux's /proc")
def test_a_number_that_was_given_to_another_descriptor_unseen_has_no_place(tmp_path: Path) -> None:
    script = tmp_path / "specimen.py"
    script.write_text(
        "import os, sys\nfrom leaktrace.probes.origins import Origins\ndef test():\n"
        "    fd = os.open(os.devnull, 0)\n"
        "    os.close(fd); assert os.open(sys.argv[0], 0) == fd\n"
        "    return fd\n"
        "origins = Origins()\norigins.install()\nfd = test()\norigins.stop()\nprint(origins.of_fd(fd, ''))\n"
    )

    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)

    assert f"{script}:4" not in done.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="descriptors are listed by Linux's /proc")
def test_what_a_probe_runs_and_opens_to_look_around_is_not_watched(tmp_path: Path) -> None:
    script = tmp_path / "specimen.py"
    script.write_text(
        "import sys\nfrom leaktrace.probes.model import FDS\nfrom leaktrace.child.leftovers import name_things\nlooked, ran = [], []\n"
        "class Probe:\n    counter = FDS\n"
        "    def __init__(self, origins):\n"
        "        self.origins = origins\n"
        "    def read(self):\n"
        "        return 0\n"
        "    def inventory(self):\n"
        "        open(sys.argv[0]).close()\n"
        "        looked.append((sys.gettrace(), self.origins.of_path(sys.argv[0])))\n"
        "        return {}\n"
        "    def settle(self, grace_s, at_most=None):\n"
        "        pass\n"
        "name_things(lambda: ran.append(sys.gettrace()), lambda origins: [Probe(origins)], int, bool)\n"
        "print(set(looked), all(ran))\n"
    )

    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)

    assert done.stdout == "{(None, None)} True\n"


def test_nothing_is_remembered_after_the_stop(tmp_path: Path) -> None:
    script = tmp_path / "specimen.py"
    script.write_text(
        PRELUDE + "origins.stop()\nfile = open(sys.argv[0])\ntold(HandlesProbe(origins=origins), 'file')\n"
    )

    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)

    assert done.stdout == ""


def test_the_memory_of_paths_is_bounded(tmp_path: Path) -> None:
    script = tmp_path / "specimen.py"
    script.write_text(
        PRELUDE
        + "from leaktrace.probes.origins import LIMIT\n"
        + "for number in range(LIMIT + 10):\n    sys.audit('open', str(number), 'r', 0)\n"
        + "print(len(origins._paths) == LIMIT, origins.of_path('0'), bool(origins.of_path(str(LIMIT))))\n"
    )

    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)

    assert done.stdout == "True None True\n"
