"""What an explanation costs among a million living objects: seconds of holder and sites, by what holds the growth.

Run it from the repository root: `python bench/trace/cost.py [--heaps plain dicts] [--shapes deep lost] [--print-only]`.
Each cell is a process of its own, started as a replay child is. The seconds are the process's own (user and system),
for other work on the machine must not count; those of the runs themselves are not worth mentioning.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import shapes


sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from page import put


HEAPS = {"plain": "attributes inline", "dicts": "attributes in dicts"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [shape.__name__ for shape in shapes.SHAPES]
    parser.add_argument("--heaps", nargs="+", choices=HEAPS, default=list(HEAPS))
    parser.add_argument("--shapes", nargs="+", choices=names, default=names)
    parser.add_argument("--print-only", action="store_true", help="leave docs/benchmarks.md alone")
    parser.add_argument("--child", nargs=2, metavar=("HEAP", "SHAPE"), help=argparse.SUPPRESS)
    parser.add_argument("--profile", action="store_true", help="with --child: where the time goes")
    arguments = parser.parse_args()
    if arguments.child:
        return child(*arguments.child, profiled=arguments.profile)
    text = table(arguments.heaps, arguments.shapes)
    print(text)
    if not arguments.print_only:
        put("trace", text, heading="Cost of an explanation")
    return None


def table(heaps, names):
    lines = [
        f"| what holds the growth | {' | '.join(HEAPS[heap] for heap in heaps)} | found |",
        f"|---|{'---:|' * len(heaps)}---|",
    ]
    objects, loads = dict.fromkeys(heaps, 0), []
    for name in names:
        results = [measured(heap, name) for heap in heaps]
        loads.append(os.getloadavg()[0])
        cells = " | ".join(f"{result['seconds']:.2f} s" for result in results)
        found = ", ".join(dict.fromkeys(result["found"] for result in results))
        lines.append(f"| {getattr(shapes, name).__doc__} | {cells} | {found} |")
        objects.update(zip(heaps, (result["objects"] for result in results), strict=True))
    used = f"CPython {platform.python_version()}, psutil {version('psutil')}"
    living = " and ".join(f"{count:,}" for count in objects.values())
    return "\n".join([
        f"`python bench/trace/cost.py`, {date.today()}, {used}; load {min(loads):.1f} to {max(loads):.1f}.",  # noqa: DTZ011
        "",
        f"CPU seconds (user and system) of one whole explanation, holder, sites and proof, among {living}",
        "living objects; each in a fresh process, started as a replay child is. The goal is 3 seconds for holder and sites.",
        "",
        *lines,
        "",
    ])  # fmt: skip


def measured(heap, name):
    from leaktrace.replay.base import METER

    command = [sys.executable, __file__, "--child", heap, name]
    done = subprocess.run(command, env={**os.environ, **METER}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{heap}, {name}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def child(heap, name, *, profiled):
    from leaktrace.child.measure import settle
    from leaktrace.explain.steps import explain

    shapes.fill(heap)
    settle()
    objects = len(gc.get_objects())
    growth = shapes.LEAKED_BYTES if name == "native" else None
    profile = None
    if profiled:
        import cProfile

        profile = cProfile.Profile(time.process_time)
        profile.enable()
    began = time.process_time()
    exhibit = explain(getattr(shapes, name), settle=settle, growth_bytes_per_run=growth)
    seconds = time.process_time() - began
    if profile is not None:
        import pstats

        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
    found = exhibit.holder.name if exhibit.holder else "native memory" if exhibit.native else "nothing"
    print(json.dumps({"seconds": seconds, "objects": objects, "found": found, "notes": exhibit.notes}))


if __name__ == "__main__":
    main()
