"""Every file that we read, spoiled: valid ones of each kind, what spoils them, and who reads them to the end."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from builders import MB, make_casebook, make_suspect
from casebook.casebook_scenarios import book, case, exhibit
from leaktrace.bisection.trial_cache import Trial, Trials
from leaktrace.casebook import wire
from leaktrace.casebook.accounts import fixtures_of, groups_of, merged_peaks, process_of
from leaktrace.casebook.cases import case_of
from leaktrace.casebook.model import Casebook
from leaktrace.explain.known_leaks import installed, match, table
from leaktrace.plugin.resume import NAME, ResumePlugin, Unjudged, read_unjudged
from leaktrace.probes.model import Thing
from leaktrace.recording.journal import Journal, read_journal
from leaktrace.recording.wire import from_wire, to_wire
from leaktrace.replay.collection import Collected, read_collected
from leaktrace.replay.protocol import Request, Target, read_request, targets_of
from leaktrace.replay.responses import read_responses
from leaktrace.replay.restore import restore
from leaktrace.replay.saved import UNDO, describe, record_of
from leaktrace.report import story, terminal
from leaktrace.serialize import encode
from leaktrace.suspects.accuse import accuse, doubtful, notes
from leaktrace.suspects.model import Limits
from recording.recording_scripts import Run


DEEP = 100_000
RAW = {
    "@400": "1" + "0" * 400,
    "@5000": "9" * 5_000,
    "@nan": "NaN",
    "@inf": "-Infinity",
    "@1e999": "1e999",
    "@deep": "[" * DEEP + "]" * DEEP,
    "@deeper": '{"a":' * 3_000 + "1" + "}" * 3_000,
    "@open": "[" * DEEP,
}
"""What `json.dumps` does not write, by what stands for it until it has."""
VALUES: Sequence[object] = (
    *RAW, None, True, False, 0, 1, -1, 2**31, 2**63, 2**63 - 1, -(2**63), 0.5, -0.0, 1e308, 5e-324, "", "\ud800", "\0", "\x1b[2J",
    "leaktrace/²", "leaktrace/2", "a{9999999}", "a{99999999999}", "(" * 500, "(?i)x|(", "gremlins", "test", "x" * 100_001, [], {}, [[]], [None],
    {"unread": 5}, {"unread": "why"}, {"a": {"b": 1}}, [0] * 20_000,
)  # fmt: skip
TOML_VALUES = (
    "1" + "0" * 400, "9" * 5_000, "9" * 100_000, "0x" + "f" * 5_000, "nan", "-inf", "1e999", "-0.0", "[" * DEEP + "]" * DEEP, "[" * DEEP,
    "{a = " * 3_000 + "1" + "}" * 3_000, "{" + "a." * 5_000 + "a = 1}", "1979-05-27T07:32:00Z", "1979-13-45", "23:59:60", "9999-12-31T23:59:59+24:00",
    r'"\ud800"', '"\0"', '"\x1b[2J"', r'"a{99999999999}"', '"' + "(" * 500 + '"', '"' + "x" * 100_001 + '"', '"""', "'''", "true", "{}", "[]", "[[]]",
    "[" + "0," * 20_000 + "]", "",
)  # fmt: skip
TOML_LINES = (
    "a." * 100_000 + "a = 1", "[" + "a." * 2_000 + "a]", "[[known]]", "[known]", "[[known.known]]", "[known.a]", "known = 5", "[[other]]", "id = 5",
    "x" * 100_000 + " = 1", '"" = 1', "= 1", "\t", "# \x00", "]",
)  # fmt: skip
WORDS = (
    *(b"absent", b"file", b"link", b"folder", b"large", b"other", b"gremlins", b"", b"\0", b"\xff", b"0", b"-1", b"1e9", b"nan"),
    *(str(number).encode() for number in (0o7777, 2**31, 2**32, 2**63 - 1, 2**63, 10**21, -(2**63), 10**150)), b"9" * 5_000, b"\xd9\xa1",
)  # fmt: skip
KEYS = ("t", "event", "task", "schema", "kind", "next", "row", "gone", "things", "unread", "batch_runs", "later")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file: a few valid ones, who reads one and makes of it all that is ever made, and who spoils its values."""

    name: str
    valid: tuple[bytes, ...]
    read: Callable[[Path], object]
    spoilers: tuple[Callable[[Random, bytes], bytes], ...] = field(
        default_factory=lambda: (value_put, value_put, value_put, value_put, key_doubled)
    )


def kinds() -> tuple[Kind, ...]:
    return (
        Kind("journal", journals(), reads_journal),
        Kind("casebook", casebooks(), reads_casebook),
        Kind(
            "known", (toml([KNOWN]), toml(shipped())), reads_known, (line_put, line_put, toml_value_put, toml_value_put)
        ),
        Kind("known-json", (json.dumps([KNOWN]).encode(), json.dumps(shipped()).encode()), reads_known_json),
        Kind("response", (lines(EVENTS), lines([*EVENTS[:2], *OTHERS])), reads_answers),
        Kind("request", requests(), read_request),
        Kind("roll", (json.dumps(encode(COLLECTED)).encode(),), read_collected),
        Kind("trials", trials(), reads_trials),
        Kind("unjudged", (unjudged(),), reads_unjudged),
        Kind("undo", undo_records(), puts_back, (word_put, word_put, word_put)),
    )


def spoiled(rng: Random, kind: Kind, data: bytes) -> bytes:
    """A valid file with one to three things wrong with it."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice((bytes_flipped, cut, doubled, spliced, *kind.spoilers))(rng, data)
    return data


def bytes_flipped(rng: Random, data: bytes) -> bytes:
    spoiled = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        if spoiled:
            spoiled[rng.randrange(len(spoiled))] = rng.randrange(256)
    return bytes(spoiled)


def cut(rng: Random, data: bytes) -> bytes:
    start, end = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
    return data[:end] if rng.random() < 0.5 else data[:start] + data[end:]


def doubled(rng: Random, data: bytes) -> bytes:
    start, end = sorted((rng.randint(0, len(data)), rng.randint(0, len(data))))
    return data[:end] + data[start:]


def spliced(rng: Random, data: bytes) -> bytes:
    at = rng.randint(0, len(data))
    return (
        data[:at]
        + rng.choice((b"\n", b"\0" * 100, b"\xff\xfe", b"\xef\xbb\xbf", b"}", b"null\n", rng.randbytes(20)))
        + data[at:]
    )


def key_doubled(rng: Random, data: bytes) -> bytes:
    braces = [i for i, sign in enumerate(data) if sign == ord("{")] or [0]
    at = rng.choice(braces) + 1
    put = json.dumps(rng.choice(KEYS)) + ":" + json.dumps(rng.choice(VALUES)) + ","
    return data[:at] + raw(put) + data[at:]


def value_put(rng: Random, data: bytes) -> bytes:
    """One value of one of its JSON texts exchanged, a key dropped, or an item doubled."""
    pieces = data.split(b"\n") if data.count(b"\n{") else [data]
    number = rng.randrange(len(pieces))
    try:
        tree = json.loads(pieces[number])
    except (ValueError, RecursionError):
        return bytes_flipped(rng, data)
    holder, key = [tree], 0
    while isinstance(holder[key], (dict, list)) and holder[key] and rng.random() < 0.85:
        holder = holder[key]
        key = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
    root = holder is not tree and not _is_in(holder, tree)
    how = rng.random()
    if how < 0.12 and not root:
        del holder[key]
    elif how < 0.2 and isinstance(holder, list) and not root:
        holder.insert(key, holder[key])
    else:
        holder[key] = rng.choice(VALUES)
    pieces[number] = raw(json.dumps(holder[0] if root else tree))
    return b"\n".join(pieces)


def toml_value_put(rng: Random, data: bytes) -> bytes:
    """One value of one of its lines of TOML exchanged, or the key of one."""
    lines = data.split(b"\n")
    number = rng.randrange(len(lines))
    key, equals, value = lines[number].partition(b" = ")
    if rng.random() < 0.8:
        value = rng.choice(TOML_VALUES).encode()
    else:
        key = rng.choice(KEYS).encode()
    lines[number] = key + equals + value
    return b"\n".join(lines)


def word_put(rng: Random, data: bytes) -> bytes:
    """One word of the first line exchanged, left out or doubled."""
    line, newline, rest = data.partition(b"\n")
    words = line.split(b" ")
    at = rng.randrange(len(words))
    words[at : at + 1] = rng.choice(((), (words[at], words[at]), (rng.choice(WORDS),)))
    return b" ".join(words) + newline + rest


def line_put(rng: Random, data: bytes) -> bytes:
    """One line left out, doubled, put elsewhere, or one put in."""
    lines = data.split(b"\n")
    number, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    line = lines.pop(number) if rng.random() < 0.5 else lines[number]
    if rng.random() < 0.7:
        lines.insert(other, rng.choice((line, rng.choice(TOML_LINES).encode())))
    return b"\n".join(lines)


def _is_in(holder: object, tree: object) -> bool:
    if holder is tree:
        return True
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return any(_is_in(holder, each) for each in children)


def raw(text: str) -> bytes:
    for name, stands_for in RAW.items():
        text = text.replace(f'"{name}"', stands_for)
    return text.encode()


# -- journals


def journals() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "main.jsonl"
        journal = Journal(path, lambda _text: None)
        run = Run(journal)
        run.grow(3 * MB)
        run.recorder.collected(3, "t.py::a")
        session, module = run.account(), run.account("server", "module")
        with run.test("t.py::a", setup=1, call=20, following="t.py::b"):
            run.lend(session, 50 * MB)
        journal.behind = True
        with run.test("t.py::b", call=20 * MB, outcome="failed", following="t.py::c"):
            run.garbage(30 * MB)
        with run.test("t.py::c", call=-100):
            run.lend(module, 700)
            run.close(module, 600)
            run.close(session, 50 * MB)
        thing = Thing(kind="fds", noun="file", name="x")
        run.recorder._rows.recording.gone[1] = (thing,)
        journal.record("stopped", why="a test had replaced os.write")
        journal.record("unread", counter="heap_bytes", why="gone")
        run.recorder.finish()
        whole = path.read_bytes()
    return whole, b"".join(line + b"\n" for line in whole.splitlines()[:5])


def reads_journal(path: Path) -> None:
    recording = read_journal(path)
    limits = Limits(test_bytes=10 * MB, confirming=True)
    found = [*accuse(recording, limits), *doubtful(recording, limits)]
    told = make_casebook(
        processes=(process_of(recording),), tests=tuple(recording.spans()), fixtures=tuple(fixtures_of(recording)), groups=tuple(groups_of([recording])),
        suspects=tuple(found), notes=tuple(notes(recording, limits)),
    )  # fmt: skip
    reports(told, merged_peaks([recording], 5))
    json.dumps(wire.to_json(told))
    from_wire(json.loads(json.dumps(to_wire(recording))))


# -- casebooks


def casebooks() -> tuple[bytes, ...]:
    return json.dumps(wire.to_json(book()), indent=1, ensure_ascii=False).encode(), json.dumps(
        wire.to_json(book())
    ).encode()


def reads_casebook(path: Path) -> None:
    read = wire.read(path)
    reports(read, [])
    wire.write(read, path)


def reports(told: Casebook, peaks: Sequence[Any]) -> None:
    text = "\n".join([story.title(told), *terminal.lines(told, peaks)])
    assert "\x1b" not in text
    text.encode()


# -- tables of known leaks


KNOWN = {
    "id": "somelib-pool", "package": "pytest", "from": "2.0", "fixed": "99", "holder": r"shop", "through": "list", "leaked": ".",
    "site": "x", "blame": "somelib keeps each request", "remedy": "upgrade",
}  # fmt: skip


def shipped() -> list[dict[str, Any]]:
    rows = [{**asdict(row), "from": row.since} for row in table()]
    return [{key: value for key, value in row.items() if value is not None and key != "since"} for row in rows]


def toml(rows: Iterable[Mapping[str, Any]]) -> bytes:
    text = ["\n".join(["[[known]]", *(f"{key} = {json.dumps(row[key])}" for key in row)]) for row in rows]
    return "\n\n".join(text).encode()


def reads_known_json(path: Path) -> None:
    reads_known(path, is_json=True)


def reads_known(path: Path, *, is_json: bool = False) -> None:
    try:
        rows = table(path.read_bytes().decode("utf-8"), is_json=is_json)
    except UnicodeDecodeError:
        return
    match(exhibit(), {**installed(rows), "pytest": "9.0"}, rows)


# -- responses


EVENTS = [
    {
        "event": "begin",
        "task": 3,
        "counters": ["heap_bytes", "blocks"],
        "warmups": 2,
        "batch_runs": 3,
        "unread": {"blocks": "no"},
        "defined": {},
    },
    *({"event": "reading", "task": 3, "values": [n * 1000, None], "runs": n} for n in range(9)),
    {"event": "rested", "task": 3, "values": [9000, None]},
    {"event": "preceded", "task": 3, "tests": 1},
    {"event": "judged", "task": 3},
    {"event": "exhibit", "task": 3, "exhibit": encode(exhibit())},
    {"event": "things", "task": 3, "things": [encode(Thing(kind="fds", noun="file", name="x"))]},
    {"event": "end", "task": 3},
]
OTHERS = [
    {"event": "spent", "task": 3, "why": "time"},
    {"event": "failure", "task": 4, "why": "run 1: call failed: assert 0"},
    {"event": "screened", "task": 5, "as": "grown", "runs": 3, "harmless": ""},
    {"event": "retired", "task": 5},
]


def lines(events: Iterable[object]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def reads_answers(path: Path) -> None:
    [grown] = book().suspects
    for response in read_responses(path).values():
        for kind in ("memory", "objects", "fds"):
            told = case_of(replace(grown, kind=kind), response, limit_bytes=MB)
            json.dumps(wire.case_to_json(told))
            list(terminal.block(told))


# -- requests, what was collected, trials


COLLECTED = Collected(tests=(Target(nodeid="a.py::b", path="a.py", tail="b"),), errors=("c.py: no",), folder="x")


def requests() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as folder:
        Request(
            args=("-x",),
            sys_path=("",),
            restore={"A": None},
        ).write(Path(folder) / "request")
        return ((Path(folder) / "request").read_bytes(),)


def trials() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as folder:
        kept = Trials(Path(folder) / "trials.jsonl")
        kept.keep(COLLECTED.tests, Trial(symptoms={"memory": "it grew"}))
        kept.keep((), Trial())
        kept.keep_case(COLLECTED.tests, case())
        return ((Path(folder) / "trials.jsonl").read_bytes(),)


def reads_trials(path: Path) -> None:
    kept = Trials(path)
    kept.of(COLLECTED.tests)
    found = kept.case(COLLECTED.tests, "memory")
    if found is not None:
        list(terminal.block(found))
    kept.keep(COLLECTED.tests, Trial(symptoms={"fds": "one more"}))
    assert Trials(path).of(COLLECTED.tests) == Trial(symptoms={"fds": "one more"})


# -- what `--leaktrace-resume` goes on with, and the records of what children change


def unjudged() -> bytes:
    suspects = (*book().suspects, make_suspect(kind="fds", counter="fds"))
    left = Unjudged(nodeids=("t.py::a", "t.py::b[1]"), suspects=suspects)
    return json.dumps(encode(left)).encode()


def reads_unjudged(path: Path) -> None:
    base = path.with_name(f"{path.name}-folder")
    base.mkdir(exist_ok=True)
    (base / NAME).write_bytes(path.read_bytes())
    left = read_unjudged(base)
    ResumePlugin(left).pytest_report_header()
    for each in left.suspects:
        targets_of(each.nodeids, {})
    reports(replace(book(), suspects=left.suspects), [])


def undo_records() -> tuple[bytes, ...]:
    """What is written down of a file, a link, a folder and of nothing."""
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder, name) for name in ("file", "link", "folder", "absent")]
        places[0].write_text("old\n")
        places[1].symlink_to("file")
        places[2].mkdir()
        return tuple(map(described, places))


def described(place: Path) -> bytes:
    out = Path(f"{place}-record")
    with out.open("wb") as file:
        describe(str(place), file.fileno(), str(out))
    return out.read_bytes()


def puts_back(path: Path) -> None:
    """The spoiled record between two good ones, which are put back whatever that one says."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        work, own = Path(os.path.realpath(folder), "work"), Path(folder, "own")
        good, spoiled_one = [work / "a", work / "z"], work / "m"
        records = {place: Path(record_of(str(own / UNDO), str(place))) for place in (*good, spoiled_one)}
        records[spoiled_one].parent.mkdir(parents=True)
        work.mkdir()
        spoiled_one.write_text("new")
        records[spoiled_one].write_bytes(path.read_bytes())
        for place in good:
            place.write_text("old")
            records[place].write_bytes(described(place))
            place.write_text("longer than old")
        untold = restore(str(own))
        assert all(each.startswith(f"{spoiled_one}: ") for each in untold), untold
        assert [place.read_text() for place in good] == ["old", "old"]
