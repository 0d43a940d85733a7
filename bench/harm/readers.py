"""How files are made comparable: what may differ between any two runs is taken out by the case's rules."""

from __future__ import annotations

import fnmatch
import json
import pstats
import re
import sqlite3
from pathlib import Path
from typing import Any

from model import ALWAYS, Case, Rule


def tree(folder: Path, case: Case) -> dict[str, object]:
    """All below a folder, by name: folders, links, and files as the rules read them."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        rule = next((each for each in (*case.rules, *ALWAYS) if fnmatch.fnmatch(name, each.files)), None)
        if rule is not None and rule.reader == "absent":
            continue
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()))
        elif path.is_dir():
            found[name] = ("folder", oct(path.stat().st_mode))
        elif path.is_file():
            key, value = _read(path, name, rule)
            while key in found:
                key += "'"
            found[key] = (oct(path.stat().st_mode), value)
        else:
            found[name] = ("other", "")
    return found


def _read(path: Path, name: str, rule: Rule | None) -> tuple[str, object]:
    """The name and the content that are compared."""
    if rule is None:
        return name, path.read_bytes()
    if rule.reader == "name":
        return name, ""
    if rule.reader == "text":
        text = re.sub(r"(, )?&#34;leaktrace&#34;: &#34;[^&]*&#34;", "", path.read_text(encoding="utf-8"))
        for word in rule.words:
            text = re.sub(word, "~", text)
        return name, text
    if rule.reader == "json":
        return name, without(json.loads(path.read_text(encoding="utf-8")), rule.words)
    if rule.reader == "allure":
        return _allure(path, rule)
    if rule.reader == "sqlite":
        return name, _database(path, rule.words)
    if rule.reader == "profile":
        return name, _profile(path)
    if rule.reader == "codspeed":
        data = json.loads(path.read_text(encoding="utf-8"))
        return ".codspeed/results.json", sorted(each["name"] for each in data["benchmarks"])
    if rule.reader == "memray":
        return "bins/" + re.sub(r"^[0-9a-f]{32}-|-?[0-9a-f]{32}", "", path.name), ""
    raise ValueError(rule.reader)


def without(data: Any, names: tuple[str, ...]) -> Any:
    """JSON without some of its fields, however deep."""
    if isinstance(data, dict):
        return {key: without(value, names) for key, value in data.items() if key not in names}
    if isinstance(data, list):
        return [without(each, names) for each in data]
    if isinstance(data, float):
        return "~"
    return data


def _allure(path: Path, rule: Rule) -> tuple[str, object]:
    """A result is named by what it is of."""
    ending = path.name.partition("-")[2].rpartition("-")[2]
    try:
        data = without(json.loads(path.read_text(encoding="utf-8")), (*rule.words, "labels", "children", "source"))
    except ValueError:
        return f"al/{ending}", path.read_bytes()
    return f"al/{json.dumps(data, sort_keys=True)} {ending}", data


def _database(path: Path, words: tuple[str, ...]) -> object:
    """Rows of all tables, sorted; some tables, or columns from a number on, are left out."""
    if path.name.endswith(("-wal", "-shm", "-journal")):
        return ""
    found: dict[str, object] = {}
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as base:
        tables = [row[0] for row in base.execute("select name from sqlite_master where type = 'table'")]
        for table in sorted(tables):
            if table in words:
                continue
            cut = [word.partition(":")[2] for word in words if word.startswith(f"{table}:")]
            names = [row[1] for row in base.execute(f"pragma table_info({table})")]
            keep = [number for number, name in enumerate(names) if not _is_cut(number, name, cut)]
            rows = [tuple(row[number] for number in keep) for row in base.execute(f"select * from {table}")]
            found[table] = sorted(rows, key=repr)
    return found


def _is_cut(number: int, name: str, cut: list[str]) -> bool:
    return any(word == name or word == str(number) or (word.endswith("-") and number >= int(word[:-1])) for word in cut)


def _profile(path: Path) -> object:
    """Which functions of the suite were called, and how often."""
    if path.suffix != ".prof":
        return ""
    calls = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    return sorted((Path(file).name, name, count[0]) for (file, _line, name), count in calls.items() if "test_" in file)


def told(text: str, case: Case, *, orderly: bool) -> list[str]:
    """Pytest's own lines of an output, our section and what tells the time taken out."""
    for pattern, put in case.told:
        text = re.sub(pattern, put, text)
    lines = _without_ours([line for line in map(_comparable, text.splitlines()) if line])
    lines = [re.sub(r"\s+", " ", line).strip() for line in lines]  # columns are as wide as the times in them
    return lines if orderly else sorted(re.sub(r"\[gw\d\]|\[ *\d+%\]", "", each).strip() for each in lines)


def _comparable(line: str) -> str | None:
    """A line without times, and without our name among the plugins; None where nothing else was on it."""
    if line.startswith("plugins: "):
        names = [each.strip() for each in line.removeprefix("plugins: ").split(",")]
        others = sorted(each for each in names if not each.startswith("leaktrace-"))
        return f"plugins: {', '.join(others)}" if others else None
    for pattern, put in TOLD_TIMES:
        line = re.sub(pattern, put, line)
    line = re.sub(r", 'leaktrace': '[^']*'", "", line)  # in a list of all plugins
    line = re.sub(r" \[\+~ MB\]$", "", line)  # ours: what `-v` says beside a test that grew
    return re.sub(r"=+|-+|_{3,}|─{3,}", lambda match: match[0][:3], line).rstrip()


TOLD_TIMES = (
    (r"\bin \d+(\.\d+)?s( \(\d+:\d\d:\d\d\))?", "in ~s"),
    (r"\b\d+\.\d+(ms|us|µs|s)\b|\b\d+\.\d{2,}\b|~ ?\d+(-\d+)? ?ms|\b\d+(,\d{3})*\.\d+\b", "~"),
)
OURS = re.compile(r"^leaktrace[: ]|^=+ .*leaktrace.* =+$|^=+ leaktrace")
THEIRS = re.compile(r"^=+ (short test summary info|.* in ~s) ?=*$|^\d+ \w+(, \d+ \w+)* in ~s")


def _without_ours(lines: list[str]) -> list[str]:
    """Our line in the header goes; so does our section, up to where pytest goes on, if it does."""
    kept: list[str] = []
    ours = header = heading = False
    for line in lines:
        header = header or line.startswith(("collected", "collecting", "gw0", "created: ", "scheduling"))
        if OURS.search(line) or (heading and line.startswith(" ")):
            ours, heading = header, not header
            continue
        heading = False
        if ours and THEIRS.search(line):
            ours = False
        if not ours:
            kept.append(line)
    return kept
