"""The journal's file: what a run writes is what is read, whole or torn at any byte."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from builders import MB
from leaktrace.errors import FileError
from leaktrace.probes.model import Thing, Unread, Value
from leaktrace.recording.journal import MAX_BYTES, VERSION, Journal, read_journal
from leaktrace.recording.model import Recording
from leaktrace.recording.reader import gap_of
from leaktrace.recording.runs import prune
from leaktrace.recording.spans import TestSpan
from leaktrace.recording.wire import from_wire, to_wire
from recording.recording_scripts import Run, rss


NOBODY = 2**22 + 1  # above the highest process id of any system


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "1" / "main.jsonl"


def a_run(path: Path) -> Recording:
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
    return run.recording


def spans_of(recording: Recording) -> list[TestSpan]:
    return list(recording.spans())


def accounts_of(recording: Recording) -> dict[str, tuple[object, ...]]:
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
        for each in recording.fixtures
    }


def test_what_is_written_is_what_is_read(path: Path) -> None:
    written = a_run(path)

    read = read_journal(path)

    assert spans_of(read) == spans_of(written)
    assert accounts_of(read) == accounts_of(written)
    assert (read.complete, read.running, read.worker, read.pid) == (True, None, "main", os.getpid())
    assert (read.first, read.last, read.peak_rss_bytes) == (written.first, written.last, written.peak_rss_bytes)
    assert (read.harness, read.collection) == (written.harness, written.collection)
    assert written.settlements
    assert rss(written.harness) == 11 + 13 + 17


def test_lines_that_leave_out_what_has_not_changed_tell_the_same(path: Path) -> None:
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

    read, written = read_journal(path), run.recording

    assert spans_of(read) == spans_of(written)
    assert (read.harness, read.last) == (written.harness, written.last)
    lines = path.read_text().splitlines()
    assert any('"start"' not in line and '"call"' not in line for line in lines if '"t":"test"' in line)


def test_a_recording_survives_the_way_from_worker_to_controller(path: Path) -> None:
    written = a_run(path)
    written.unread["heap_bytes"] = "gone"

    arrived = from_wire(json.loads(json.dumps(to_wire(written))))

    assert spans_of(arrived) == spans_of(written)
    assert accounts_of(arrived) == accounts_of(written)
    assert to_wire(arrived) == to_wire(written)


def test_a_journal_torn_at_any_byte_tells_all_tests_that_had_ended(path: Path) -> None:
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


def test_a_journal_torn_in_its_first_line_is_said_to_be_none(path: Path) -> None:
    a_run(path)
    whole = path.read_bytes()

    for size in range(whole.index(b"\n")):
        path.write_bytes(whole[:size])
        with pytest.raises(FileError, match="holds no journal: its first line is missing or torn"):
            read_journal(path)


def test_a_journal_without_end_names_the_test_that_was_running(path: Path) -> None:
    a_run(path)
    lines = path.read_bytes().splitlines(keepends=True)

    running = []
    for count in range(1, len(lines) + 1):
        path.write_bytes(b"".join(lines[:count]))
        running.append(read_journal(path).running)

    assert list(dict.fromkeys(running)) == [None, "t.py::a", "t.py::b[é\n\"']", "t.py::c"]


def test_the_accounts_of_a_torn_journal_add_up(path: Path) -> None:
    a_run(path)
    lines = path.read_bytes().splitlines(keepends=True)

    for count in range(1, len(lines) + 1):
        path.write_bytes(b"".join(lines[:count]))
        read = read_journal(path)
        tests = sum(int_of(span.growth["rss_bytes"]) for span in read.spans())
        fixtures = sum(rss(each.kept) + rss(each.open) for each in read.fixtures)
        grown = int_of(read.last["rss_bytes"]) - int_of(read.first["rss_bytes"])
        assert tests + fixtures + rss(read.harness) + rss(read.collection) == grown


def test_a_loan_open_when_the_process_died_is_told(path: Path) -> None:
    a_run(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]))

    account = read_journal(path).fixtures[0]

    assert (account.name, account.setups, account.closings, rss(account.open)) == ("database", 1, 0, 50 * MB)


def test_a_counter_that_was_given_up_is_told(path: Path) -> None:
    run = Run(Journal(path, pytest.fail))
    run.recorder.collected(1, None)
    run.heap.broken = "the call is gone"
    run.whole()

    assert read_journal(path).span(0).growth["heap_bytes"] == Unread(counter="heap_bytes", why="the call is gone")


def test_a_newer_version_is_refused(path: Path) -> None:
    a_run(path)
    first, _, rest = path.read_text(encoding="utf-8").partition("\n")
    path.write_text(json.dumps({**json.loads(first), "v": VERSION + 1}) + "\n" + rest, encoding="utf-8")

    with pytest.raises(FileError, match=f"version {VERSION + 1}, this leaktrace reads up to {VERSION}: update"):
        read_journal(path)


def test_a_record_of_an_unknown_kind_is_passed_over(path: Path) -> None:
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
        b"9" * 5_000,
        b'{"t":"lost","records":-1}',
        b'{"t":"unread","counter":[],"why":"x"}',
        b'{"t":"collected","tests":1,"next":5,"at":[0,0]}',
        b'{"t":"collected","tests":1,"next":null,"at":[NaN,0]}',
        b'{"t":"collected","tests":1,"next":null,"at":[true,0]}',
        b'{"t":"end","at":[0]}',
        b'{"t":"end","at":[0,0],"gone":[[0,5]]}',
        b'{"t":"test","id":"a","o":"passed","us":-1,"peak":1}',
        b'{"t":"test","id":"a","o":"passed","us":1,"peak":1,"things":[5]}',
        b'{"t":"test","id":"a","o":"passed","us":1,"peak":1,"settled":{}}',
    ],
)
def test_a_broken_record_is_left_out_and_counted_and_all_others_are_read(path: Path, line: bytes) -> None:
    written = a_run(path)
    lines = path.read_bytes().splitlines()
    for number in range(1, len(lines) + 1):
        path.write_bytes(b"\n".join([*lines[:number], line, *lines[number:]]))

        read = read_journal(path)

        assert spans_of(read) == spans_of(written)
        assert accounts_of(read) == accounts_of(written)
        assert (read.torn, read.complete, read.running) == (1, True, None)


def test_nobody_is_blamed_where_a_record_is_broken(path: Path) -> None:
    a_run(path)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:3], b'{"t":"test","id":"t.py']) + b"\n")

    assert (read_journal(path).running, read_journal(path).torn) == (None, 1)


def test_a_broken_record_of_a_fixture_does_not_end_the_test_that_was_running(path: Path) -> None:
    a_run(path)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:2], b'{"t": "fixture", "ev']) + b"\n")

    assert read_journal(path).running == "t.py::a"


def test_numbers_that_add_up_to_too_much_cost_their_record_alone(path: Path) -> None:
    a_run(path)
    lines = path.read_bytes().splitlines()
    setup = b'{"t":"fixture","name":"a","scope":"session","where":"b","event":"setup","by":[%d,0]}' % (2**63 - 1)
    path.write_bytes(b"\n".join([*lines[:2], setup, setup, setup, *lines[2:]]))

    read = read_journal(path)

    assert (read.torn, len(read)) == (2, 3)


def test_what_is_missing_in_a_journal_is_told_in_a_sentence(path: Path) -> None:
    a_run(path)
    assert gap_of(read_journal(path)) is None
    lines = path.read_bytes().splitlines()
    more = [b"torn", b'{"t":"lost","records":3}', b'{"t":"stopped","why":"a test had replaced os.write"}']
    path.write_bytes(b"\n".join([*lines[:3], *more]))

    assert gap_of(read_journal(path)) == (
        "the journal of main has gaps: its watch stopped: a test had replaced os.write; "
        "3 or more records could not be written; 1 records are torn or broken"
    )


def test_a_watch_that_stopped_blames_nobody(path: Path) -> None:
    journal = Journal(path, pytest.fail)
    run = Run(journal)
    run.recorder.collected(2, "t.py::a")
    run.brief("t.py::a")
    journal.record("stopped", why="a test had replaced os.write")

    read = read_journal(path)

    assert (read.stopped, read.running, read.complete) == ("a test had replaced os.write", None, False)


def test_a_journal_that_is_too_large_is_not_read(path: Path) -> None:
    a_run(path)
    os.truncate(path, MAX_BYTES + 1)

    with pytest.raises(FileError, match="over 1024 MiB"):
        read_journal(path)


def test_a_journal_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(FileError, match=r"main\.jsonl cannot be read"):
        read_journal(path)


def test_a_journal_whose_descriptor_was_closed_goes_on(path: Path) -> None:
    journal = Journal(path, pytest.fail)
    journal.record("a")
    os.close(journal._fd)
    journal.record("b")
    journal.close()

    assert [json.loads(line)["t"] for line in path.read_text(encoding="utf-8").splitlines()] == ["a", "b"]


def test_a_journal_is_its_owners_alone(path: Path) -> None:
    a_run(path)

    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def records(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines() if line]


def int_of(value: Value) -> int:
    assert isinstance(value, int)
    return value


class Disk:
    """A write(2) that is full from one call to another, and before that takes only so many bytes of a call."""

    def __init__(self, journal: Journal | None, *, full: Collection[int] = (), takes: int | None = None) -> None:
        assert journal is not None
        self.calls, self.full, self.takes = 0, full, takes
        journal._write = self  # type: ignore[assignment]  # os.write takes any buffer

    def __call__(self, fd: int, data: bytes) -> int:
        self.calls += 1
        if self.calls in self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(fd, data[: self.takes])


def test_a_short_write_is_gone_on_with(path: Path) -> None:
    journal = Journal(path, pytest.fail)
    Disk(journal, takes=5)
    journal.record("run")
    journal.record("a", text="x" * 100)
    journal.close()

    assert [each["t"] for each in records(path)] == ["run", "a"]


def test_a_full_disk_tears_one_record_and_the_next_is_tried_again(path: Path) -> None:
    complaints: list[str] = []
    journal = Journal(path, complaints.append)
    journal.record("run")
    disk = Disk(journal, full=(2, 3), takes=10)  # the second part of the first record, and the next record whole
    journal.record("a")
    assert journal.behind
    journal.record("b")
    disk.takes = None
    journal.record("c")
    journal.close()

    *_, torn, lost, last = path.read_bytes().splitlines()
    assert (torn, json.loads(lost), json.loads(last)) == (b'{"t": "a"}'[:10], {"t": "lost", "records": 2}, {"t": "c"})
    assert set(complaints) == {
        f"the journal {path} could not be written ([Errno 28] No space left on device): it has a gap"
    }
    assert not journal.behind


def test_a_run_with_a_gap_is_read_with_all_that_could_be_written(path: Path) -> None:
    run = Run(Journal(path, lambda _text: None))
    run.recorder.collected(4, "t.py::a")
    run.brief("t.py::a", size=MB, following="t.py::b")
    disk = Disk(run.recorder._rows._journal, full=(1,))
    run.brief("t.py::b", size=MB, following="t.py::c")
    disk.full = ()
    run.brief("t.py::c", size=MB, following="t.py::d")
    torn = read_journal(path)
    run.brief("t.py::d", size=MB)
    run.recorder.finish()

    read, written = read_journal(path), {each.nodeid: each for each in run.recording.spans()}

    assert (torn.running, torn.lost) == ("t.py::d", 1)
    assert (read.nodeids, read.lost, read.complete) == (["t.py::a", "t.py::c", "t.py::d"], 1, True)
    assert all(span.start == written[span.nodeid].start for span in read.spans())
    assert read.last == run.recording.last


def test_the_test_that_ran_when_the_disk_was_full_is_not_blamed_for_a_later_kill(path: Path) -> None:
    run = Run(Journal(path, lambda _text: None))
    run.recorder.collected(3, "t.py::a")
    run.brief("t.py::a", following="t.py::b")
    assert read_journal(path).running == "t.py::b"
    Disk(run.recorder._rows._journal, full=range(100))
    run.brief("t.py::b", following="t.py::c")

    read = read_journal(path)  # as after a SIGKILL in t.py::c

    assert (read.running, read.lost, read.nodeids) == (None, 1, ["t.py::a"])


def test_rows_behind_a_gap_are_told_apart(path: Path) -> None:
    run = Run(Journal(path, lambda _text: None))
    run.recorder.collected(3, "t.py::a")
    disk = Disk(run.recorder._rows._journal, full=(1,))
    run.brief("t.py::a")
    disk.full = ()
    run.brief("t.py::b")
    thing = Thing(kind="fds", noun="file", name="x")
    run.recorder._rows.recording.gone[1] = (thing,)
    run.recorder.finish()

    assert read_journal(path).gone == {0: (thing,)}


def test_a_journal_that_was_removed_is_made_again_with_all_that_it_held(path: Path) -> None:
    run = Run(Journal(path, pytest.fail))
    run.recorder.collected(2, "t.py::a")
    run.brief("t.py::a", following="t.py::b")
    shutil.rmtree(path.parent)
    run.brief("t.py::b")
    run.recorder.finish()

    read = read_journal(path)

    assert (read.nodeids, read.complete, read.lost) == (["t.py::a", "t.py::b"], True, 0)
    assert spans_of(read) == spans_of(run.recording)


def test_a_journal_that_was_removed_and_closed_tells_what_is_missing(path: Path) -> None:
    journal = Journal(path, pytest.fail)
    run = Run(journal)
    run.recorder.collected(2, "t.py::a")
    run.brief("t.py::a")
    shutil.rmtree(path.parent)
    os.close(journal._fd)
    run.brief("t.py::b")
    run.recorder.finish()

    read = read_journal(path)

    assert (read.nodeids, read.complete, read.lost) == (["t.py::b"], True, 2)


def test_a_folder_that_cannot_be_made_again_is_told_and_the_run_goes_on(path: Path) -> None:
    complaints: list[str] = []
    journal = Journal(path, complaints.append)
    journal.record("run")
    shutil.rmtree(path.parent)
    path.parent.write_text("mine", encoding="utf-8")
    journal.record("a")
    assert complaints == [
        f"the journal {path} could not be written ({path.parent} is a link or no folder): it has a gap"
    ]
    path.parent.unlink()
    journal.record("b")
    journal.close()

    assert [each["t"] for each in records(path)] == ["run", "lost", "b"]


def test_a_record_never_goes_into_a_users_file_that_got_the_journals_number(path: Path, tmp_path: Path) -> None:
    journal = Journal(path, pytest.fail)
    journal.record("run")
    users = os.open(tmp_path / "data", os.O_RDWR | os.O_CREAT)
    os.dup2(users, journal._fd)
    number = journal._fd
    journal.record("a")
    journal.close()

    assert (tmp_path / "data").read_bytes() == b""
    assert [each["t"] for each in records(path)] == ["run", "a"]
    os.fstat(number)  # it is the user's, and still open
    os.close(number)
    os.close(users)


def test_another_file_at_the_journals_place_is_left_alone(path: Path) -> None:
    complaints: list[str] = []
    journal = Journal(path, complaints.append)
    journal.record("run")
    path.unlink()
    path.write_text("mine", encoding="utf-8")
    journal.record("a")
    journal.close()

    assert path.read_text(encoding="utf-8") == "mine"
    assert "another file is in its place" in complaints[0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_fork_that_goes_on_writes_nothing(path: Path) -> None:
    journal = Journal(path, pytest.fail)
    journal.record("run")
    child = os.fork()
    if child == 0:
        journal.record("a")
        os._exit(0)
    os.waitpid(child, 0)
    journal.close()

    assert [each["t"] for each in records(path)] == ["run"]


def test_a_link_in_place_of_the_journal_is_not_followed(path: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine", encoding="utf-8")
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "victim")
    complaints: list[str] = []
    Journal(path, complaints.append).record("run")

    assert (tmp_path / "victim").read_text(encoding="utf-8") == "mine"
    assert "no journal is kept" in complaints[0]


def test_a_journal_that_cannot_be_written_complains_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    complaints: list[str] = []
    journal = Journal(tmp_path / "file" / "main.jsonl", complaints.append)
    journal.record("a")
    journal.record("b")
    journal.close()

    assert len(complaints) == 1
    assert "no journal is kept" in complaints[0]


def test_old_runs_are_removed_beyond_the_number_to_keep(tmp_path: Path) -> None:
    for day in range(1, 8):
        (tmp_path / f"2026010{day}-120000-{NOBODY}").mkdir()
        (tmp_path / f"2026010{day}-120000-{NOBODY}" / "main.jsonl").write_text("x", encoding="utf-8")
    (tmp_path / "readme.txt").write_text("not a run", encoding="utf-8")

    prune(tmp_path, 3)

    assert sorted(each.name[:8] for each in tmp_path.iterdir()) == ["20260105", "20260106", "20260107", "readme.t"]


@pytest.mark.parametrize("keep", [0, 1])
def test_pruning_to_few_keeps_exactly_as_many(tmp_path: Path, keep: int) -> None:
    (tmp_path / f"20260101-120000-{NOBODY}").mkdir()
    (tmp_path / f"20260102-120000-{NOBODY}").mkdir()

    prune(tmp_path, keep)

    assert len(list(tmp_path.iterdir())) == keep


def test_a_run_that_goes_on_beside_this_one_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / f"20260101-120000-{os.getpid()}").mkdir()
    (tmp_path / f"20260102-120000-{NOBODY}").mkdir()

    prune(tmp_path, 0)

    assert [each.name for each in tmp_path.iterdir()] == [f"20260101-120000-{os.getpid()}"]


def test_folders_that_are_no_runs_are_not_removed(tmp_path: Path) -> None:
    for name in ("experiment-1", "20260101", "20260101-120000-x", f"20260101-120000-{NOBODY}"):
        (tmp_path / name).mkdir()

    prune(tmp_path, 0)

    assert sorted(each.name for each in tmp_path.iterdir()) == ["20260101", "20260101-120000-x", "experiment-1"]


def test_pruning_where_nothing_is_harms_nothing(tmp_path: Path) -> None:
    prune(tmp_path / "none", 3)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_not_removed(tmp_path: Path) -> None:
    folder = tmp_path / f"20260101-120000-{NOBODY}"
    folder.mkdir()
    os.chown(folder, 12345, 12345)

    prune(tmp_path, 0)

    assert folder.exists()


def test_a_link_among_the_runs_is_neither_followed_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "data").write_text("x", encoding="utf-8")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / f"20260101-120000-{NOBODY}").symlink_to(tmp_path / "mine")
    (tmp_path / "linked").symlink_to(tmp_path / "runs")

    prune(tmp_path / "runs", 0)
    prune(tmp_path / "linked", 0)

    assert (tmp_path / "mine" / "data").exists()


def test_a_number_that_is_no_process_keeps_nothing_from_its_end(tmp_path: Path) -> None:
    (tmp_path / f"20260101-120000-{'9' * 200}").mkdir()
    (tmp_path / "20260101-120000-9999999999").mkdir()

    prune(tmp_path, 0)

    assert [len(each.name) for each in tmp_path.iterdir()] == [216]
