"""Requests and responses: what is written is what is read, and what is broken is named."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from leaktrace.errors import ReplayError
from leaktrace.replay import responses as reading
from leaktrace.replay.protocol import (
    VERSION,
    Request,
    Response,
    Share,
    Target,
    Task,
    placed,
    read_request,
    tail_of,
    targets_of,
)
from leaktrace.replay.responses import ResponseReader, read_responses
from leaktrace.serialize import decode, encode


NODEID = "tests/test_a.py::TestA::test_b[é-\ud800 ::]"
REQUEST = Request(
    files=("tests/test_a.py", NODEID),
    args=("-x", "tests/"),
    sys_path=("/somewhere", ""),
    response="response-1",
    restore={"PYTHONMALLOC": None, "GLIBC_TUNABLES": "a=b"},
    temporary="elsewhere",
    channel=5,
    plugin="leaktrace.another",
)
SHARE = Share(
    number=3,
    tasks=(
        Task(
            ident=3,
            targets=(Target(nodeid=NODEID, path="tests/test_a.py", tail="TestA::test_b"),),
            scope="module",
            warmups=2,
            batch_runs=1,
            follow_s=1.5,
            memory_bytes=7,
            before=(Target(nodeid="a.py::b", path="a.py", tail="b"),),
        ),
        Task(ident=4, targets=(), native=True),
        Task(ident=5, targets=(), screening=True, duration_s=0.25),
    ),
    response="response",
    log="log",
    kinds=("memory", "fds"),
    trace=False,
    forked=False,
)
EVENTS = [
    {
        "event": "begin",
        "task": 3,
        "counters": ["rss_bytes", "blocks"],
        "warmups": 2,
        "batch_runs": 3,
        "unread": {"blocks": "no such call"},
    },
    {"event": "reading", "task": 3, "values": [100, None], "runs": 0},
    {"event": "reading", "task": 3, "values": [120, None], "runs": 1},
    {"event": "preceded", "task": 3, "tests": 1},
    {"event": "spent", "task": 3, "why": "time"},
    {"event": "exhibit", "task": 3, "exhibit": {"fix": "Close it."}},
    {"event": "end", "task": 3},
    {"event": "failure", "task": 4, "why": "run 1: call failed: assert 0"},
]


def read(path: Path) -> ResponseReader:
    """All that a file of responses holds, and what of it was broken."""
    responses = ResponseReader(path)
    responses.take()
    return responses


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "request"


def put(path: Path, *lines: object, end: bytes = b"\n") -> None:
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines) + end)


def test_a_request_is_read_as_it_was_written(path: Path) -> None:
    REQUEST.write(path)

    assert read_request(path) == REQUEST
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_share_is_read_as_it_was_written() -> None:
    assert decode(Share, json.loads(json.dumps(encode(SHARE)))) == SHARE


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"5", b"{}", b"\xff", b"[" * 100_000, b'{"version": NaN}', b"9" * 5_000],
)
def test_what_is_no_order_is_refused_with_its_name(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(ReplayError, match="request"):
        read_request(path)


@pytest.mark.parametrize(
    "change",
    [{"files": 5}, {"files": [1]}, {"channel": "5"}, {"args": None}],
)
def test_a_request_that_does_not_fit_is_refused(path: Path, change: dict[str, Any]) -> None:
    REQUEST.write(path)
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8")

    with pytest.raises(ReplayError, match="holds no replay request"):
        read_request(path)


def test_a_request_of_another_version_is_refused(path: Path) -> None:
    REQUEST.write(path)
    path.write_text(
        path.read_text(encoding="utf-8").replace(f'"version": {VERSION}', '"version": 99'), encoding="utf-8"
    )

    with pytest.raises(ReplayError, match="another version"):
        read_request(path)


def test_answers_are_gathered_by_task(path: Path) -> None:
    put(path, *EVENTS)

    responses = read(path).by_task

    assert responses[3] == Response(
        ident=3,
        counters=("rss_bytes", "blocks"),
        warmups=2,
        batch_runs=3,
        readings=[[100, None], [120, None]],
        unread={"blocks": "no such call"},
        spent="time",
        exhibit={"fix": "Close it."},
        ended=True,
        runs=1,
        began=True,
        preceded=1,
    )
    assert responses[4] == Response(ident=4, failure="run 1: call failed: assert 0")


def test_an_answer_torn_at_any_byte_tells_all_that_was_whole(path: Path) -> None:
    put(path, *EVENTS)
    whole = path.read_bytes()
    readings = [i for i, event in enumerate(EVENTS) if event["event"] == "reading"]
    ends = [i for i in range(len(whole)) if whole[i : i + 1] == b"\n"]

    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        response = read(path).by_task.get(3)
        assert len(response.readings if response else []) == sum(ends[i] < size for i in readings), size


def test_no_answer_yet_is_no_fault(path: Path) -> None:
    responses = ResponseReader(path)

    assert not responses.take()
    assert responses.by_task == {}


def test_what_comes_later_is_read_from_where_it_began_a_torn_line_with_its_rest(path: Path) -> None:
    responses = ResponseReader(path)
    put(path, *EVENTS[:2], b'{"event": "rea', end=b"")
    assert responses.take()
    assert len(responses.by_task[3].readings) == 1

    with path.open("ab") as file:
        file.write(b'ding", "task": 3, "values": [1, null], "runs": 1}\n')

    assert responses.take()
    assert responses.by_task[3].readings == [[100, None], [1, None]]
    assert not responses.take()


@pytest.mark.parametrize(
    "line",
    [
        b"\xff",
        b"5",
        b"[]",
        b"{}",
        b"[" * 100_000,
        {"event": "reading", "task": 3, "values": [1], "runs": 1},
        {"event": "reading", "task": 3, "values": ["many", 2], "runs": 1},
        {"event": "reading", "task": "x", "values": [1, 2], "runs": 1},
        {"event": "unheard of", "task": 3},
        {"event": "begin", "task": 3},
        b'{"event": "reading", "task": 3, "values": [1e999, 2], "runs": 1}',
        b'{"event": "reading", "task": 3, "values": [NaN, 2], "runs": 1}',
        {"event": "reading", "task": 3, "values": [2**63, 2], "runs": 1},
        {"event": "reading", "task": 3, "values": [1, 2], "runs": -1},
        {**EVENTS[0], "batch_runs": 0},
        {**EVENTS[0], "counters": [5]},
        {"event": "exhibit", "task": 3, "exhibit": 5},
        {"event": "spent", "task": 3},
        {"event": "screened", "task": 3, "as": "guilty", "runs": 2},
        b'{"event": "reading", "task": 3, "values": [' + b"9" * 5_000 + b', 2], "runs": 1}',
    ],
)
def test_a_broken_line_costs_itself_alone(path: Path, line: bytes | dict[str, Any]) -> None:
    put(path, EVENTS[0], EVENTS[1], line, EVENTS[4], *EVENTS[6:])

    responses = read_responses(path)

    assert (responses[3].readings, responses[3].spent, responses[3].ended) == ([[100, None]], "time", True)
    assert responses[4].failure == "run 1: call failed: assert 0"


def test_readings_behind_a_broken_one_do_not_join_those_before_it(path: Path) -> None:
    put(path, EVENTS[0], EVENTS[1], b'{"event": "reading", "task": 3, "val', EVENTS[2])

    assert read_responses(path)[3].readings == [[100, None]]


def test_a_broken_line_of_one_task_takes_nothing_from_another(path: Path) -> None:
    other = [{**event, "task": 5} for event in EVENTS[:3]]
    put(path, *other, b'{"event": "reading", "task": 3, "values": [1', *EVENTS[:3], {"event": "end", "task": 5})

    responses = read_responses(path)

    assert (len(responses[5].readings), len(responses[3].readings)) == (2, 2)


def test_a_broken_line_that_was_no_reading_leaves_the_readings_whole(path: Path) -> None:
    put(path, EVENTS[0], EVENTS[1], {"event": "preceded", "task": 3, "tests": "many"}, EVENTS[2])

    assert len(read_responses(path)[3].readings) == 2


def test_a_line_that_is_not_whole_yet_is_no_gap(path: Path) -> None:
    put(path, EVENTS[0], EVENTS[1], b'{"event": "read', end=b"")

    assert not read_responses(path)[3].gap


def test_no_more_of_an_answer_is_read_than_its_bound(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_RESPONSE_BYTES", 10_000)
    put(path, *EVENTS[:2], *[EVENTS[2]] * 1000)

    responses = read(path)

    assert 10 < len(responses.by_task[3].readings) < 1000
    assert not responses.take()


def test_a_target_is_known_by_its_file_and_its_tail() -> None:
    assert tail_of("a/test_a.py::TestA::test_b[x::y]") == "TestA::test_b[x::y]"
    assert tail_of("readme.md") == ""
    assert targets_of(["a.py::b", "gone.py::c"], {"a.py::b": "/project/a.py"}) == (
        Target(nodeid="a.py::b", path="/project/a.py", tail="b"),
    )


def test_a_task_that_died_while_it_was_explained_keeps_its_verdict(tmp_path: Path) -> None:
    response = tmp_path / "response"
    begin = {"event": "begin", "counters": ["heap_bytes"], "warmups": 1, "batch_runs": 1, "unread": {}, "defined": {}}
    events: list[dict[str, Any]] = [
        begin,
        *({"event": "reading", "values": [n], "runs": n} for n in range(6)),
        {"event": "judged"},
    ]
    response.write_text("".join(json.dumps({**event, "task": 0}) + "\n" for event in events), encoding="utf-8")

    [told] = read(response).by_task.values()

    assert (told.judged, told.ended, told.failure, len(told.readings)) == (True, False, None, 6)


def test_what_a_screening_found_is_told_in_one_line_that_ends_the_task(path: Path) -> None:
    put(
        path,
        {"event": "screened", "task": 1, "as": "clean", "runs": 0},
        {"event": "screened", "task": 2, "as": "grown", "runs": 40, "batch_runs": 3, "harmless": "a.B"},
        {"event": "retired", "task": 2},
    )

    clean, grown = read(path).by_task.values()

    assert (clean.screened, clean.ended, clean.retired) == ("clean", True, False)
    assert (grown.screened, grown.runs, grown.batch_runs, grown.harmless) == ("grown", 40, 3, "a.B")
    assert (grown.ended, grown.retired) == (True, True)


def test_a_target_has_its_place_among_the_variants_of_its_function() -> None:
    names = ("t.py::test_a[1]", "t.py::test_b", "t.py::test_a[12:30:05]", "u.py::test_a[1]")
    paths = {name: name.partition("::")[0] for name in names}
    tasks = [Task(ident=number, targets=targets_of((name,), paths)) for number, name in enumerate(names)]

    assert [task.targets[0].place for task in placed(tasks, paths)] == [0, 0, 1, 0]


def test_reading_a_short_answer_takes_little_memory(path: Path) -> None:
    path.write_bytes(b'{"event": "end", "task": 0}\n')
    responses = ResponseReader(path)
    tracemalloc.start()
    try:
        assert responses.take()
        assert not responses.take()
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_an_answer_longer_than_what_is_read_at_once_is_read_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [json.dumps({"event": "end", "task": number}).encode() for number in range(50)]
    path.write_bytes(b"\n".join([*lines, b""]))
    monkeypatch.setattr(reading, "READ_BYTES", 7)

    assert len(read_responses(path)) == 50
