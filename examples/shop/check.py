"""Compare a casebook of the shop with what is known to leak in it (`known.json`): python check.py CASEBOOK."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(casebook: str) -> int:
    """Say of each known leak whether it was found, and name whatever else was called a leak; 0 if all is right."""
    book = json.loads(Path(casebook).read_text(encoding="utf-8"))
    known = json.loads(Path(__file__).with_name("known.json").read_text(encoding="utf-8"))["leaks"]
    cases = {}  # a test may have several: one for each kind of thing that it leaves
    for case in book["cases"]:
        cases.setdefault((case["subject"], case["nodeid"]), []).append(case)
    outcomes = {test["nodeid"]: test["outcome"] for test in book["tests"]}
    wrong = 0
    for leak in known:
        if outcomes.get(leak["name"]) == "skipped":
            print(f"skipped  {leak['name']} (no C compiler)")
            continue
        fault = fault_of(cases.get((leak["subject"], leak["name"]), []), leak)
        wrong += fault is not None
        print(f"{'found' if fault is None else 'WRONG':<8} {leak['name']}{'' if fault is None else ': ' + fault}")
    guilty = {(leak["subject"], leak["name"]) for leak in known}
    for case in book["cases"]:
        if case["verdict"] == "LEAK" and (case["subject"], case["nodeid"]) not in guilty:
            wrong += 1
            print(f"WRONG    {case['nodeid']}: called a leak, and is none")
    acquitted = sum(key not in guilty for key in cases)
    print(f"{len(known)} known leaks, {wrong} wrong; {acquitted} other suspects not called leaks")
    return 1 if wrong else 0


def fault_of(cases: list[dict], leak: dict) -> str | None:
    """What is wrong with the cases of a known leak, or None where one of them is right."""
    if not cases:
        return "not even a suspect"
    leaks = [case for case in cases if case["verdict"] == "LEAK"]
    if not leaks:
        return "; ".join(f"{case['verdict']}: {case['reason']}" for case in cases)
    holders = [(case["holder"] or {}).get("name") or "nothing" for case in leaks]
    # Memory of C code has no Python object that holds it.
    if leak["holder"] is None or any(leak["holder"] in holder for holder in holders):
        return None
    return f"held by {' and '.join(holders)}, expected {leak['holder']}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
