"""The part of docs/options.md that follows from the option table; `python tests/docs/options_page.py` writes it anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from leaktrace.options import TABLE, Option, Options


PAGE = Path(__file__).parents[2] / "docs" / "options.md"
BEGIN, END = "<!-- options:begin -->", "<!-- options:end -->"


def parts(page: str) -> tuple[str, str, str]:
    """What stands before, between and after the marks."""
    before, _, rest = page.partition(BEGIN)
    between, _, after = rest.partition(END)
    return before, between.strip("\n"), after


def generated() -> str:
    """A section for every option, in the table's order."""
    defaults = Options()
    return "\n\n".join(
        "\n".join(section(option, option.format(getattr(defaults, name)) or "none")) for name, option in TABLE.items()
    )


def section(option: Option, default: str) -> Iterator[str]:
    """One option's heading, sentence and table."""
    yield f"### {option.name}"
    yield ""
    yield option.help
    yield ""
    yield "| | |"
    yield "|---|---|"
    for flag, text in option.switches.items():
        yield f"| command line | `{flag}`: {text} |"
    if option.flag:
        yield f"| command line | `{option.flag}={option.metavar}` |"
    yield f"| ini file | `{option.ini}` |"
    yield f"| environment | `{option.env}` |"
    if option.marker:
        yield f"| marker | `{option.marker}` |"
    yield f"| value | {option.rule} |"
    if option.choices:
        yield f"| words | {', '.join(f'`{word}`' for word in option.choices)} |"
    yield f"| default | `{default}` |"


if __name__ == "__main__":
    before, _, after = parts(PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(f"{before}{BEGIN}\n\n{generated()}\n\n{END}{after}", encoding="utf-8")
