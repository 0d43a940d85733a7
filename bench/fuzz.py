"""Spoils every kind of file that leaktrace reads, thousands of times by seed, and counts what escapes the readers.

    python bench/fuzz.py --files 20000 [--seed 1] [--kind journal] [--write]

`--write` puts the table into docs/benchmarks.md. The exit status is 1 if anything but a refusal of our own came out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random


ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "fuzz"), str(ROOT / "tests"), str(ROOT / "bench")]

from hostile import kinds, spoiled  # noqa: E402

from leaktrace.errors import LeaktraceError  # noqa: E402
from page import put  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=20_000, help="how many of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", action="append", help="only this kind; may be given several times")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    rows, escaped = [], 0
    for kind in kinds():
        if options.kind and kind.name not in options.kind:
            continue
        began, tally, slowest = time.perf_counter(), Counter(), 0.0
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "spoiled-file"
            for number in range(options.files):
                rng = Random(f"{options.seed}/{kind.name}/{number}")
                path.write_bytes(spoiled(rng, kind, rng.choice(kind.valid)))
                start = time.perf_counter()
                tally[outcome(kind, path, number)] += 1
                slowest = max(slowest, time.perf_counter() - start)
        rows.append((kind.name, tally["read"], tally["refused"], tally["escaped"], slowest))
        escaped += tally["escaped"]
        print(
            f"{kind.name}: {dict(tally)}, slowest {slowest:.2f} s, {time.perf_counter() - began:.0f} s in all",
            flush=True,
        )
    if options.write:
        table = "\n".join(
            f"| {name} | {read + refused + bad:,} | {read:,} | {refused:,} | {bad} |"
            for name, read, refused, bad, _ in rows
        )
        head = "| file | spoiled | read, at least in part | refused by name | anything else |\n|---|---|---|---|---|\n"
        note = f"Seed {options.seed}: bytes flipped, cut, doubled; values, keys and items exchanged for hostile ones.\n"
        put(
            "fuzz",
            f"{note}`python bench/fuzz.py --files {options.files}` repeats it.\n\n{head}{table}\n",
            heading="Hostile files",
        )
    return 1 if escaped else 0


def outcome(kind, path, number):
    """What came of one file; of what escapes, the traceback is shown with the number that makes it again."""
    try:
        kind.read(path)
    except LeaktraceError as exc:
        if kind.name.startswith("known") or path.name in str(exc):
            return "refused"
        print(f"{kind.name} {number}: refused without its name: {exc}")
    except Exception:
        print(f"{kind.name} {number}:")
        traceback.print_exc(limit=-4, file=sys.stdout)
    else:
        return "read"
    return "escaped"


if __name__ == "__main__":
    raise SystemExit(main())
