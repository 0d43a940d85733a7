"""What we write, and what we print: escaped, masked, for its owner, where it was asked for, or said that it is not."""

from __future__ import annotations

import json
import os
import re

import pytest

from faults.faults_harness import OUR_FRAME, Suite


ONE = {"test_one.py": "KEPT = []\ndef test_leaks(): KEPT.append(bytearray(b'x') * 3_000_000)\n"}
NAMES = r"""
import os, threading, tempfile
HELD = []
def test_names():
    folder = tempfile.mkdtemp().encode()
    HELD.append(os.open(folder + b"/secret-\xff-\x1b]0;title\x07.txt", os.O_RDWR | os.O_CREAT))
    stop = threading.Event()
    HELD.append(threading.Thread(target=stop.wait, name="worker-\udcff-\x1b[31mred\x07\nline", daemon=True))
    HELD[-1].start()
"""


@pytest.mark.parametrize("mode", ["--leaktrace-watch", "--leaktrace"])
def test_odd_names_are_escaped_and_the_casebook_is_written(suite: Suite, mode: str) -> None:
    ours = suite.run(mode, files={"test_names.py": NAMES})

    assert ours.status == 0
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", ours.output)
    assert "line" in ours.output
    assert "the report failed" not in ours.output
    assert ours.book is not None
    assert not list(suite.path.rglob("*.partial"))


@pytest.mark.parametrize("path", ["/proc/nothing/book.json", "folder", "not/there/book.json"])
def test_a_casebook_that_cannot_be_written_is_a_usage_error_before_the_first_test(suite: Suite, path: str) -> None:
    (suite.root / "folder").mkdir()
    target = suite.root / "not"
    target.write_text("a file, no folder")

    ours = suite.run(f"--leaktrace-json={path}", files=ONE, book=False)

    assert ours.status == 4
    assert "--leaktrace-json" in ours.output
    assert "passed" not in ours.output


def test_a_casebook_that_a_full_disk_refuses_is_told(suite: Suite) -> None:
    fills = "\ndef test_fills():\n    f = open('out/filler', 'wb', buffering=0)\n    try:\n        while f.write(b'x' * 4096): pass\n    except OSError: pass\n"

    ours = suite.run(
        "--leaktrace-json=out/book.json",
        files={"test_one.py": ONE["test_one.py"] + fills},
        mounts=[("out", "64k")],
        book=False,
    )

    assert ours.status == 0
    assert not re.search(r"^casebook: out/book.json$", ours.output, re.MULTILINE)
    assert re.search(r"out/book.json.*No space left|No space left.*out/book.json", ours.output.replace("\n", " "))
    assert "LEAKED 3.0MB in test_one.py::test_leaks" in ours.output


@pytest.mark.parametrize(
    "known",
    ["known = " + "[" * 100_000, "known = " + "9" * 5000, '[[known]]\nid = "a"\nholder = "' + "(a" * 2000 + '"'],
    ids=["deep", "long number", "deep pattern"],
)
def test_a_hostile_table_of_known_leaks_is_a_usage_error(suite: Suite, known: str) -> None:
    ours = suite.run("--leaktrace", "--leaktrace-known=known.toml", files={**ONE, "known.toml": known}, book=False)

    assert ours.status == 4
    assert not OUR_FRAME.search(ours.output)


BREAKS = """
import pytest
@pytest.fixture
def breaks_before(): raise ValueError("before")
@pytest.fixture(scope="module")
def breaks_after():
    yield
    raise ValueError("after")
@pytest.fixture
def asks(request): request.getfixturevalue("breaks_before")
"""
USES = (
    "def test_a(breaks_before): pass\ndef test_b(breaks_after): pass\ndef test_c(asks): pass\ndef test_d(): assert 0\n"
)


@pytest.mark.parametrize(
    "args", [(), ("--tb=long",), ("--tb=short",), ("--tb=native",), ("-n2", "--dist=loadfile", "--tb=native")]
)
def test_the_traceback_of_a_failing_fixture_is_byte_for_byte_plain(suite: Suite, args: tuple[str, ...]) -> None:
    files = {"conftest.py": BREAKS, "test_uses.py": USES}

    plain = suite.plain(*args, files=files)
    ours = suite.run(*args)

    assert ours.junit == plain.junit
    # Which of two workers has run the file is chance.
    assert re.sub(r"\[gw\d\]", "[gw]", failures(ours.output)) == re.sub(r"\[gw\d\]", "[gw]", failures(plain.output))


def failures(output: str) -> str:
    begin = re.search(r"^=+ (?:ERRORS|FAILURES) =+$", output, re.MULTILINE)
    assert begin is not None, output
    return re.split(
        r"^-+ generated xml|^=+ short test summary|^leaktrace: |^=+ leaktrace",
        output[begin.start() :],
        flags=re.MULTILINE,
    )[0]


def test_a_folder_that_another_user_prepared_is_not_used(suite: Suite) -> None:
    prepared = suite.tmp / f"leaktrace-{os.getuid()}"
    conftest = f"""
    import os
    if not os.path.exists({str(prepared)!r}):
        os.makedirs({str(prepared / "runs")!r})
        os.chown({str(prepared)!r}, 65534, 65534) if os.getuid() == 0 else None
        os.chmod({str(prepared)!r}, 0o777)
    """

    ours = suite.run("-p", "no:cacheprovider", "--leaktrace", files={**ONE, "conftest.py": conftest})

    assert ours.status == 0
    assert [str(path.relative_to(prepared)) for path in prepared.rglob("*")] == ["runs"]
    assert any(case.startswith("LEAK ") for case in ours.cases)
    assert not [name for name in suite.left_in_tmp() if "replay" in name]


def test_passwords_in_command_lines_are_masked_everywhere(suite: Suite) -> None:
    body = """
    import subprocess, sys
    HELD = []
    def test_starts():
        code = "import time; time.sleep(600)"
        HELD.append(subprocess.Popen([sys.executable, "-c", code, "--password=hunter2", "--token", "hunter2", "postgres://me:hunter2@host/db", "API_TOKEN=hunter2"]))
    """
    ours = suite.run("--leaktrace", files={"test_starts.py": body})

    written = [path for path in suite.path.rglob("*") if path.is_file() and path.suffix in {".jsonl", ".json"}]
    assert "hunter2" not in ours.output
    assert "test_starts.py::test_starts" in ours.ours
    assert [path.name for path in written if "hunter2" in path.read_text(errors="replace")] == []


def test_a_link_stays_a_link_and_what_it_leads_to_is_written(suite: Suite) -> None:
    target = suite.path / "elsewhere.json"
    (suite.root / "book.json").symlink_to(target)

    suite.run("--leaktrace-json=book.json", files=ONE, book=False)

    assert (suite.root / "book.json").is_symlink()
    assert json.loads(target.read_text())["suspects"]


def test_a_pipe_stays_a_pipe_and_is_written_to(suite: Suite) -> None:
    os.mkfifo(suite.root / "book.fifo")
    reader = os.open(suite.root / "book.fifo", os.O_RDWR | os.O_NONBLOCK)

    ours = suite.run("--leaktrace-json=book.fifo", files=ONE, book=False)

    assert ours.status == 0
    assert (suite.root / "book.fifo").is_fifo()
    assert os.read(reader, 1 << 20).lstrip().startswith(b"{")
    os.close(reader)
