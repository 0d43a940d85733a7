"""The page of benchmarks: each benchmark writes its own section, and leaves those of the others alone."""

from __future__ import annotations

from pathlib import Path


PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


def put(section: str, text: str, *, heading: str) -> None:
    """Put the text between the section's markers; a section that is not there yet comes last, below its heading."""
    begin, end = f"<!-- {section}:begin -->", f"<!-- {section}:end -->"
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else "# Benchmarks\n"
    if begin not in page:
        page = f"{page.rstrip()}\n\n## {heading}\n\n{begin}\n{end}\n"
    before, rest = page.split(begin, 1)
    after = rest.split(end, 1)[1]
    PAGE.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")
    print(f"written into {PAGE.name}")
