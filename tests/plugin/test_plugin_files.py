"""Files of a run, by hostile tests, users and neighbours: what is written where, and what is said where it cannot be."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from leaktrace.recording.journal import read_journal
from plugin.plugin_harness import Example, known_toml


ONE = {"test_a.py": "def test_a(): open('ran', 'w').close()"}
LINUX = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("args", "env", "ini", "place"),
    [
        (("--leaktrace-json=file/a.json",), {}, "", "--leaktrace-json on the command line"),
        ((), {"LEAKTRACE_JSON": "file/a.json"}, "", "LEAKTRACE_JSON in the environment"),
        ((), {}, "leaktrace_json = file/a.json", "leaktrace_json in tox.ini"),
    ],
)
def test_a_casebook_that_cannot_be_written_is_a_usage_error_before_the_first_test(
    spread: Example, args: tuple[str, ...], env: dict[str, Any], ini: str, place: str
) -> None:
    files = {**ONE, "file": "", "tox.ini": f"[pytest]\n{ini}\n"}

    ran = spread.run(*args, env=env, files=files, book=False, expect=4)

    assert f"leaktrace: {place} needs a file that can be written, got 'file/a.json': Not a directory" in ran.text
    assert not (spread.path / "ran").exists()
    assert "Traceback" not in ran.text


@pytest.mark.parametrize("option", ["--leaktrace-json=.", "--leaktrace-dir=file", "--leaktrace-dir=file/below"])
def test_a_path_of_the_wrong_kind_is_a_usage_error(example: Example, option: str) -> None:
    ran = example.run(option, files={**ONE, "file": "mine"}, book=False, expect=4)

    assert f"leaktrace: {option.partition('=')[0]} on the command line needs a f" in ran.text
    assert (example.path / "file").read_text(encoding="utf-8") == "mine"


def test_a_casebook_that_is_there_is_as_it_was_until_the_new_one_is_whole(example: Example) -> None:
    files = {"test_a.py": "def test_a(): assert open('book.json').read() == 'old'", "book.json": "old"}

    example.run("--leaktrace-json=book.json", files=files, book=False, expect=0)

    assert json.loads((example.path / "book.json").read_text(encoding="utf-8"))["schema"] == "leaktrace/1"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
def test_a_casebook_that_could_not_be_written_is_told_and_never_named(example: Example) -> None:
    (example.path / "link.json").symlink_to("/dev/full")

    ran = example.run("--leaktrace-json=link.json", files=ONE, book=False, expect=0)

    assert "the casebook could not be written" in " ".join(ran.text.split())
    assert "casebook: link.json" not in ran.text
    assert stat.S_ISCHR((example.path / "link.json").stat().st_mode)


KNOWN = {"id": "a", "package": "a", "from": "1", "blame": "", "remedy": "", "holder": "a"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mine.json", "[" * 100_000),
        ("mine.json", "9" * 5_000),
        ("mine.json", "NaN"),
        ("mine.json", "\ufeff[]"),
        ("mine.toml", "known = " + "[" * 100_000),
        ("mine.toml", "a." * 100_000 + "a = 1"),
        ("mine.toml", "known = " + "9" * 1_000_000),
        ("mine.toml", "# " + "x" * (1 << 20)),
        ("mine.toml", known_toml({**KNOWN, "holder": "a{99999999999}"})),
        ("mine.toml", known_toml({**KNOWN, "holder": "(" * 900})),
        ("mine.toml", known_toml({**KNOWN, "package": ""})),
    ],
    ids=["deep", "digits", "nan", "mark", "deep toml", "key", "number", "size", "repeat", "groups", "package"],
)
def test_a_hostile_table_of_known_leaks_is_a_usage_error(example: Example, name: str, text: str) -> None:
    ran = example.run(f"--leaktrace-known={name}", files={**ONE, name: text}, book=False, expect=4)

    assert f"{name} cannot be read: " in ran.text
    assert "Traceback" not in ran.text


def test_a_pattern_that_only_warns_is_taken_where_warnings_are_errors(example: Example) -> None:
    row = {"id": "a", "package": "pytest", "from": "1", "blame": "b", "remedy": "c", "holder": "[[a]"}
    args = ("-W", "error", "--leaktrace-known=mine.toml", "--leaktrace-ignore=[[a]")

    example.run(*args, files={**ONE, "mine.toml": known_toml(row)}, expect=0)


def test_a_folder_that_another_has_prepared_among_the_temporary_files_is_not_used(example: Example) -> None:
    places = example.path / "shared"
    prepared = places / f"leaktrace-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    prepared.mkdir(parents=True)

    ran = example.run("-p", "no:cacheprovider", files=ONE, env={"TMPDIR": str(places)}, book=False, expect=0)

    assert [each.name for each in places.iterdir()] == [prepared.name]  # ours was another, and went with the run
    assert not list(prepared.iterdir())
    assert "none kept more than" in ran.text


def test_a_cache_that_cannot_be_written_is_told(example: Example) -> None:
    files = {**ONE, ".pytest_cache": "a file"}

    ran = example.run(files=files, book=False, expect=0)

    assert "warning: the journal lies among the temporary files" in " ".join(ran.text.split())


def test_a_run_that_removes_the_cache_is_recorded_whole(example: Example) -> None:
    files = {
        "test_a.py": """
            import shutil
            def test_before(): pass
            def test_removes(): shutil.rmtree(".pytest_cache")
            def test_after(): pass
            """
    }

    ran = example.run(files=files, expect=0)

    assert ran.ended() == ["test_after", "test_before", "test_removes"]
    assert all(each.complete and not each.lost for each in ran.journals.values())


@LINUX
def test_a_test_that_closes_everything_and_opens_a_thousand_files_finds_nothing_of_ours_in_them(
    example: Example,
) -> None:
    files = {
        "test_a.py": """
            import os, resource
            def test_before(): pass
            def test_closes():
                os.closerange(3, 4096)
                soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
                for number in range(min(soft, 1024) - 10):
                    try:
                        os.open(f"data-{number}", os.O_RDWR | os.O_CREAT)
                    except OSError:
                        break
            def test_after(): os.closerange(3, 4096)
            """
    }

    ran = example.run("-s", "-p", "no:logging", "-p", "no:faulthandler", files=files, book=False, expect=0)

    written = {each.name: each.read_bytes() for each in example.path.glob("data-*") if each.stat().st_size}
    assert not [name for name, data in written.items() if b"{" in data]
    assert {"test_before", "test_after"} <= set(ran.ended())


HOSTILE = {
    "test_a.py": """
        import os, threading
        KEPT = []
        def test_file():
            KEPT.append(open(b"secret-\\xff\\x1b]0;owned\\x07.txt", "w"))
        def test_thread():
            ends = threading.Event()
            thread = threading.Thread(target=ends.wait, name="\\ud800\\x1b[31m\\u202e\\nfake line", daemon=True)
            thread.start()
            KEPT.append(thread)
        """
}


@LINUX
def test_names_that_a_terminal_would_obey_are_spelled_out_and_the_casebook_has_the_very_names(example: Example) -> None:
    ran = example.run(files=HOSTILE, expect=0)

    text = ran.report
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert r"\x1b]0;owned\x07.txt" in text
    assert r"\ud800\x1b[31m\u202e\nfake line" in " ".join(text.split())
    names = {thing.name for suspect in ran.book.suspects for thing in suspect.things}
    assert {"secret-\udcff\x1b]0;owned\x07.txt", "\ud800\x1b[31m\u202e\nfake line"} <= {
        name.rpartition("/")[2] for name in names
    }
    assert not list(example.path.glob("*.partial")) + list(example.path.glob(".*.partial"))


ODD = {
    "conftest.py": r"""
        import pytest
        KEPT = []
        class Own(pytest.Item):
            def runtest(self): KEPT.append(bytearray(20_000_000))
        class Folder(pytest.File):
            def collect(self): yield Own.from_parent(self, name="own \x1b[31m item")
        def pytest_collect_file(file_path, parent):
            return Folder.from_parent(parent, path=file_path) if file_path.suffix == ".own" else None
        """,
    "a.own": "",
    "test_a.py": r"""
        KEPT = []
        Evil = type("Evil\x1b[31m", (), {})
        def test_evil(): KEPT.append([Evil() for _ in range(30_000)])
        """,
}


@pytest.mark.parametrize(
    "args",
    [("--leaktrace-watch",), ("--leaktrace",), ("-v", "--leaktrace", "--leaktrace-budget=200ms")],
    ids=["watch", "confirm", "budget"],
)
def test_the_name_of_an_item_and_of_a_type_is_spelled_out_in_each_line_of_ours(
    example: Example, args: tuple[str, ...]
) -> None:
    ran = example.run("--leaktrace-limit=1MB", *args, files=ODD, book=False, expect=0)

    assert r"own \x1b[31m item" in ran.report
    assert "\x1b" not in ran.report


def test_a_folder_with_an_odd_name_is_spelled_out_in_the_header(example: Example) -> None:
    ran = example.run("--leaktrace-dir=odd\x1b[31m", files={"test_a.py": "def test_a(): pass"}, expect=0)

    assert r"odd\x1b[31m" in ran.text
    assert "\x1b" not in ran.text


FAILS_AGAIN = {
    "conftest.py": """
        import os
        os.environ.setdefault("MAIN", str(os.getpid()))
        def pytest_addoption(parser): parser.addoption("--password")
        """,
    "test_a.py": """
        import os
        KEPT = []
        IS_CHILD = os.environ["MAIN"] not in (str(os.getpid()), str(os.getppid()))
        def test_fails_again():
            KEPT.append(bytearray(20_000_000))
            assert not IS_CHILD, "--password=hunter2 postgres://me:hunter2@db"
        """,
    "test_b.py": """
        from test_a import IS_CHILD, KEPT
        if IS_CHILD: raise RuntimeError("API_TOKEN=hunter2")
        def test_is_not_collected_again(): KEPT.append(bytearray(20_000_000))
        """,
}


@LINUX
@pytest.mark.parametrize("mode", ["--leaktrace", "--leaktrace-hunt"])
def test_passwords_in_what_a_replay_says_and_in_pytests_own_arguments_reach_no_file(spread: Example, mode: str) -> None:
    ran = spread.run(mode, "--password=hunter2", files=FAILS_AGAIN, expect=0)

    ours = [path for path in [*spread.path.rglob("runs/*/**/*"), *spread.path.glob("book-*.json")] if path.is_file()]
    assert {"UNREPLAYABLE"} == set(ran.verdicts.values())
    assert "--password=***" in ran.case("test_fails_again").reason
    assert any(path.name.startswith("response-share-") for path in ours)
    assert not [path for path in ours if b"hunter2" in path.read_bytes()]
    assert {mode_of for path in ours if (mode_of := stat.S_IMODE(path.stat().st_mode)) != 0o600} == set()
    assert "hunter2" not in ran.report


@LINUX
def test_passwords_of_processes_reach_neither_report_nor_files_and_files_are_their_owners_alone(
    spread: Example,
) -> None:
    files = {
        "test_a.py": """
            import subprocess, sys
            KEPT = []
            def test_a():
                code = "import time; time.sleep(60)"
                words = [sys.executable, "-c", code, "--password=hunter2", "--token", "hunter2", "API_KEY=hunter2", "pg://me:hunter2@db"]
                KEPT.append(subprocess.Popen(words))
            def test_b(): KEPT.pop().kill() if KEPT else None
            """,
        "conftest.py": """
            def pytest_sessionfinish():
                import test_a
                for each in test_a.KEPT: each.kill()
            """,
    }

    ran = spread.run("--leaktrace-kinds=processes", files=files, expect=0)

    ours = [*spread.path.rglob("*.jsonl"), *spread.path.glob("book-*.json")]
    assert ours
    assert not [path for path in ours if b"hunter2" in path.read_bytes()]
    assert {mode(path) for path in ours} == {0o600}
    assert {mode(path.parent) for path in spread.path.rglob("*.jsonl")} == {0o700}
    assert "hunter2" not in ran.report


FULL = {
    "test_a.py": """
        import os, pathlib, resource, signal
        import pytest
        [JOURNAL] = pathlib.Path("kept").glob("runs/*/main.jsonl")
        @pytest.mark.parametrize("number", range(12))
        def test_a(number):
            if number == 3:  # the disk is full in the middle of the next record
                resource.setrlimit(resource.RLIMIT_FSIZE, (JOURNAL.stat().st_size + 20, resource.RLIM_INFINITY))
            if number == int(os.environ["ROOM_AT"]):
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            if number == int(os.environ["KILL_AT"]):
                os.kill(os.getpid(), signal.SIGKILL)
        """
}


@LINUX
@pytest.mark.parametrize(
    ("room_at", "kill_at", "ended", "running"),
    [
        (99, 8, [0, 1, 2], None),
        (6, 8, [0, 1, 2, 6, 7], "test_a.py::test_a[8]"),
        (6, 99, [0, 1, 2, 6, 7, 8, 9, 10, 11], None),
    ],
)
def test_a_kill_after_a_full_disk_is_blamed_on_nobody_but_the_test_that_ran(
    example: Example, room_at: int, kill_at: int, ended: list[int], running: str | None
) -> None:
    env = {"ROOM_AT": str(room_at), "KILL_AT": str(kill_at)}

    # Without the harness's own recorder, whose file the limit would meet as well.
    launcher = (sys.executable, "-m", "pytest")
    args = ("--leaktrace-dir=kept", "-p", "no:cacheprovider")
    ran = example.run(*args, files=FULL, env=env, book=False, launcher=launcher)

    [path] = example.path.glob("kept/runs/*/main.jsonl")
    read = read_journal(path)
    assert [int(nodeid.partition("[")[2][:-1]) for nodeid in read.nodeids] == ended
    assert (read.running, read.torn, read.complete) == (running, 1, kill_at == 99)
    assert read.lost
    if kill_at == 99:
        assert "it has a gap" in " ".join(ran.report.split())


def test_what_comes_after_pytest_is_not_printed_into_a_file_that_took_the_number_of_its_output(
    spread: Example,
) -> None:
    conftest = """
        import os
        TAKEN = []
        def pytest_sessionfinish(session):
            if "PYTEST_XDIST_WORKER" in os.environ: return
            os.makedirs("users", exist_ok=True)
            os.closerange(3, 1024)
            TAKEN.extend(os.open(f"users/{number}", os.O_RDWR | os.O_CREAT) for number in range(100))
        """
    suite = "KEPT = []\ndef test_leaks(): KEPT.append(bytearray(b'x') * 11_000_000)\n"

    ran = spread.run("--leaktrace", files={"conftest.py": conftest, "test_a.py": suite}, expect=0)

    assert {path.name: path.read_text() for path in (spread.path / "users").iterdir() if path.stat().st_size} == {}
    assert ran.verdicts == {"test_leaks": "LEAK"}


def test_a_suite_that_puts_its_output_back_at_the_end_gets_the_report_there(example: Example) -> None:
    conftest = """
        import os
        KEPT = os.dup(1)
        def pytest_sessionstart(session):
            os.dup2(os.open("log", os.O_WRONLY | os.O_CREAT), 1)
        def pytest_unconfigure(config): os.dup2(KEPT, 1)
        """
    suite = "KEPT = []\ndef test_leaks(): KEPT.append(bytearray(b'x') * 11_000_000)\n"

    ran = example.run("--leaktrace", "-s", files={"conftest.py": conftest, "test_a.py": suite}, expect=0)

    assert "1 passed" in (example.path / "log").read_text()
    assert "LEAK  test_a.py::test_leaks" in ran.text


@pytest.mark.parametrize("mode", ["--leaktrace-limit=1MB", "--leaktrace"])
def test_a_journal_that_is_removed_after_the_last_test_is_told(example: Example, mode: str) -> None:
    conftest = "import shutil\ndef pytest_unconfigure(): shutil.rmtree('.pytest_cache')\n"

    ran = example.run(mode, files={**ONE, "conftest.py": conftest}, book=False, expect=0)

    assert "the journal is gone: " in " ".join(ran.text.split())


def test_an_output_that_is_closed_as_the_session_ends_shows_no_traceback_of_ours(example: Example) -> None:
    conftest = "import os\ndef pytest_sessionfinish(): os.close(1)\n"
    suite = "KEPT = []\ndef test_leaks(): KEPT.append(bytearray(b'x') * 11_000_000)\n"

    ini = "[pytest]\nleaktrace = confirm\n"

    ran = example.same(files={"test_a.py": suite, "conftest.py": conftest, "tox.ini": ini})

    assert "leaktrace/plugin" not in ran.text
