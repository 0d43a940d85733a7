"""Compare a casebook of the shop with what is known to leak in it (`known.json`): python check.py CASEBOOK."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(casebook: str) -> int:
    """Say of each known leak whether it was found, and name whatever else was called a leak; 0 if all is right."""
    book = json.loads(Path(casebook).read_text(encoding="utf-8"))
    known = json.loads(Path(__file__).with_name("known.json").read_text(encoding="utf-8"))["leaks"]
    cases = {(case["subject"], case["nodeid"]): case for case in book["cases"]}
    outcomes = {test["nodeid"]: test["outcome"] for test in book["tests"]}
    wrong = 0
    for leak in known:
        if outcomes.get(leak["name"]) == "skipped":
            print(f"skipped  {leak['name']} (no C compiler)")
            continue
        fault = fault_of(cases.get((leak["subject"], leak["name"])), leak)
        wrong += fault is not None
        print(f"{'found' if fault is None else 'WRONG':<8} {leak['name']}{'' if fault is None else ': ' + fault}")
    guilty = {(leak["subject"], leak["name"]) for leak in known}
    for key, case in cases.items():
        if case["verdict"] == "LEAK" and key not in guilty:
            wrong += 1
            print(f"WRONG    {case['nodeid']}: called a leak, and is none")
    acquitted = sum(case["verdict"] != "LEAK" for case in cases.values())
    print(f"{len(known)} known leaks, {wrong} wrong; {acquitted} other suspects not called leaks")
    return 1 if wrong else 0


def fault_of(case: dict | None, leak: dict) -> str | None:
    """What is wrong with the case of a known leak, or None."""
    if case is None:
        return "not even a suspect"
    if case["verdict"] != "LEAK":
        return f"{case['verdict']}: {case['reason']}"
    holder = (case["holder"] or {}).get("name")
    if leak["holder"] is None:
        return None  # native memory: no Python object holds it
    if holder is None or leak["holder"] not in holder:
        return f"held by {holder}, expected {leak['holder']}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
