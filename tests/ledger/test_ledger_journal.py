"""The journal's file: what a run writes is what is read, whole or torn at any byte."""

from __future__ import annotations

import json
import os

import pytest
from ledger_scripts import MB, Run, rss

from leaktrace.errors import FileError
from leaktrace.ledger.journal import MAX_BYTES, VERSION, Journal, read_journal
from leaktrace.ledger.runs import prune
from leaktrace.ledger.wire import from_wire, to_wire
from leaktrace.probes.model import Unread


NOBODY = 2**22 + 1  # above the highest process id of any system


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs" / "1" / "main.jsonl"


def a_run(path):
    """A run with something of everything in it."""
    run = Run(Journal(path, pytest.fail))
    run.grow(3 * MB)
    run.recorder.collected(3, "t.py::a")
    session, module = run.account(), run.account("server", "module")
    run.grow(11)
    with run.test("t.py::a", setup=1, call=20, following="t.py::b[é\n\"']"):
        run.lend(session, 50 * MB)
    run.grow(13)
    with run.test("t.py::b[é\n\"']", call=20 * MB, outcome="failed", following="t.py::c"):
        run.garbage(30 * MB)
    with run.test("t.py::c", call=-100):
        run.lend(module, 700)
        run.close(module, 600)
        run.close(session, 50 * MB)
    run.grow(17)
    run.recorder.finish()
    return run.ledger


def spans_of(ledger):
    return list(ledger.spans())


def accounts_of(ledger):
    return {
        each.name: (
            each.scope,
            each.where,
            each.setups,
            each.closings,
            each.first_user,
            each.lent,
            each.kept,
            each.open,
        )
        for each in ledger.fixtures
    }


def test_what_is_written_is_what_is_read(path):
    written = a_run(path)

    read = read_journal(path)

    assert spans_of(read) == spans_of(written)
    assert accounts_of(read) == accounts_of(written)
    assert (read.complete, read.running, read.worker, read.pid) == (True, None, "main", os.getpid())
    assert (read.first, read.last, read.peak_rss_bytes) == (written.first, written.last, written.peak_rss_bytes)
    assert (read.harness, read.collection) == (written.harness, written.collection)
    assert written.settlements
    assert rss(written.harness) == 11 + 13 + 17


def test_lines_that_leave_out_what_has_not_changed_tell_the_same(path):
    times = iter(range(0, 10**12, 10**5))  # each test takes 0.1 ms
    run = Run(Journal(path, pytest.fail), detailed=False, clock_ns=lambda: next(times))
    run.recorder.collected(9, "t.py::a")
    run.grow(7)  # nobody's, after the record of the collection
    for number in range(20):
        run.brief(f"t.py::a{number}", size=(0, 0, 4096)[number % 3], heap=100)
        run.grow(0 if number % 2 else 50)
    session = run.account()
    run.recorder.start("t.py::b")
    run.lend(session, 50 * MB)
    run.recorder.end("t.py::c")
    run.brief("t.py::c")
    run.recorder.finish()

    read, written = read_journal(path), run.ledger

    assert spans_of(read) == spans_of(written)
    assert (read.harness, read.last) == (written.harness, written.last)
    lines = path.read_text().splitlines()
    assert any('"start"' not in line and '"call"' not in line for line in lines if '"t":"test"' in line)


def test_a_ledger_survives_the_way_from_worker_to_controller(path):
    written = a_run(path)
    written.unread["heap_bytes"] = "gone"

    arrived = from_wire(json.loads(json.dumps(to_wire(written))))

    assert spans_of(arrived) == spans_of(written)
    assert accounts_of(arrived) == accounts_of(written)
    assert to_wire(arrived) == to_wire(written)


def test_a_journal_torn_at_any_byte_tells_all_tests_that_had_ended(path):
    written = spans_of(a_run(path))
    whole = path.read_bytes()
    begun = whole.index(b"\n") + 1
    ends = [i for i in range(len(whole)) if whole[i : i + 1] == b"\n"]
    tests = [number for number, line in enumerate(whole.splitlines()) if b'"t":"test"' in line]

    for size in range(begun, len(whole)):
        path.write_bytes(whole[:size])
        ended = sum(ends[number] <= size for number in tests)
        read = read_journal(path)
        assert spans_of(read) == written[:ended], size
        assert read.complete is (size == len(whole) - 1)


def test_a_journal_torn_in_its_first_line_is_said_to_be_none(path):
    a_run(path)
    whole = path.read_bytes()

    for size in range(whole.index(b"\n")):
        path.write_bytes(whole[:size])
        with pytest.raises(FileError, match="holds no journal: its first line is missing or torn"):
            read_journal(path)


def test_a_journal_without_end_names_the_test_that_was_running(path):
    a_run(path)
    lines = path.read_bytes().splitlines(keepends=True)

    running = []
    for count in range(1, len(lines) + 1):
        path.write_bytes(b"".join(lines[:count]))
        running.append(read_journal(path).running)

    assert list(dict.fromkeys(running)) == [None, "t.py::a", "t.py::b[é\n\"']", "t.py::c"]


def test_the_accounts_of_a_torn_journal_add_up(path):
    a_run(path)
    lines = path.read_bytes().splitlines(keepends=True)

    for count in range(1, len(lines) + 1):
        path.write_bytes(b"".join(lines[:count]))
        read = read_journal(path)
        tests = sum(span.growth["rss_bytes"] for span in read.spans())
        fixtures = sum(rss(each.kept) + rss(each.open) for each in read.fixtures)
        grown = read.last["rss_bytes"] - read.first["rss_bytes"]
        assert tests + fixtures + rss(read.harness) + rss(read.collection) == grown


def test_a_loan_open_when_the_process_died_is_told(path):
    a_run(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]))

    account = read_journal(path).fixtures[0]

    assert (account.name, account.setups, account.closings, rss(account.open)) == ("database", 1, 0, 50 * MB)


def test_a_counter_that_was_given_up_is_told(path):
    run = Run(Journal(path, pytest.fail))
    run.recorder.collected(1, None)
    run.heap.broken = "the call is gone"
    run.whole()

    assert read_journal(path).span(0).growth["heap_bytes"] == Unread(counter="heap_bytes", why="the call is gone")


def test_a_newer_version_is_refused(path):
    a_run(path)
    first, _, rest = path.read_text(encoding="utf-8").partition("\n")
    path.write_text(json.dumps({**json.loads(first), "v": VERSION + 1}) + "\n" + rest, encoding="utf-8")

    with pytest.raises(FileError, match=f"version {VERSION + 1}, this leaktrace reads up to {VERSION}: update"):
        read_journal(path)


def test_a_record_of_an_unknown_kind_is_passed_over(path):
    written = a_run(path)
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole + '{"t": "later", "a": 1}\n', encoding="utf-8")

    assert spans_of(read_journal(path)) == spans_of(written)


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe",
        b"not json",
        b"[]",
        b"5",
        b"null",
        b"{}",
        b'{"t":"test"}',
        b'{"t":"test","id":"a","o":"gone","us":1,"peak":1,"start":[0,0],"setup":[0,0],"call":[0,0],"teardown":[0,0]}',
        b'{"t":"test","id":"a","o":"passed","us":1,"peak":1,"start":[0],"setup":[0,0],"call":[0,0],"teardown":[0,0]}',
        b'{"t":"test","id":"a","o":"passed","us":1e999,"peak":1,"start":[0,0],"setup":[0,0],"call":[0,0],"teardown":[0,0]}',
        (
            b'{"t":"test","id":"a","o":"passed","us":1,"peak":9999999999999999999999,"start":[0,0],"setup":[0,0],'
            b'"call":[0,0],"teardown":[0,0]}'
        ),
        b'{"t":"fixture","name":"a","scope":"session","where":"b","event":"setup","by":[1]}',
        b'{"t":"fixture","name":"a","scope":"session","where":"b","event":"setup","by":{}}',
        b"[" * 100_000,
    ],
)
def test_a_broken_line_is_named_with_its_number_and_left_out_at_the_end(path, line):
    written = a_run(path)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:3], line, *lines[3:]]))
    with pytest.raises(FileError, match=r"line 4 of the journal .* is broken"):
        read_journal(path)

    path.write_bytes(b"\n".join([*lines, line]))
    assert spans_of(read_journal(path)) == spans_of(written)


def test_a_journal_that_is_too_large_is_not_read(path):
    a_run(path)
    os.truncate(path, MAX_BYTES + 1)

    with pytest.raises(FileError, match="over 1024 MiB"):
        read_journal(path)


def test_a_journal_that_is_not_there_is_named(path):
    with pytest.raises(FileError, match=r"main\.jsonl cannot be read"):
        read_journal(path)


def test_a_journal_whose_descriptor_was_closed_goes_on(path):
    journal = Journal(path, pytest.fail)
    journal.record("a")
    os.close(journal._fd)
    journal.record("b")
    journal.close()

    assert [json.loads(line)["t"] for line in path.read_text(encoding="utf-8").splitlines()] == ["a", "b"]


def test_a_journal_that_cannot_be_written_complains_once(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    complaints = []
    journal = Journal(tmp_path / "file" / "main.jsonl", complaints.append)
    journal.record("a")
    journal.record("b")
    journal.close()

    assert len(complaints) == 1
    assert "no journal is kept" in complaints[0]


def test_old_runs_are_removed_beyond_the_number_to_keep(tmp_path):
    for day in range(1, 8):
        (tmp_path / f"2026010{day}-120000-{NOBODY}").mkdir()
        (tmp_path / f"2026010{day}-120000-{NOBODY}" / "main.jsonl").write_text("x", encoding="utf-8")
    (tmp_path / "readme.txt").write_text("not a run", encoding="utf-8")

    prune(tmp_path, 3)

    assert sorted(each.name[:8] for each in tmp_path.iterdir()) == ["20260105", "20260106", "20260107", "readme.t"]


@pytest.mark.parametrize("keep", [0, 1])
def test_pruning_to_few_keeps_exactly_as_many(tmp_path, keep):
    (tmp_path / f"20260101-120000-{NOBODY}").mkdir()
    (tmp_path / f"20260102-120000-{NOBODY}").mkdir()

    prune(tmp_path, keep)

    assert len(list(tmp_path.iterdir())) == keep


def test_a_run_that_goes_on_beside_this_one_is_not_removed(tmp_path):
    (tmp_path / f"20260101-120000-{os.getpid()}").mkdir()
    (tmp_path / f"20260102-120000-{NOBODY}").mkdir()

    prune(tmp_path, 0)

    assert [each.name for each in tmp_path.iterdir()] == [f"20260101-120000-{os.getpid()}"]


def test_folders_that_are_no_runs_are_not_removed(tmp_path):
    for name in ("experiment-1", "20260101", "20260101-120000-x", f"20260101-120000-{NOBODY}"):
        (tmp_path / name).mkdir()

    prune(tmp_path, 0)

    assert sorted(each.name for each in tmp_path.iterdir()) == ["20260101", "20260101-120000-x", "experiment-1"]


def test_pruning_where_nothing_is_harms_nothing(tmp_path):
    prune(tmp_path / "none", 3)
