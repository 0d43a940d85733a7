"""A short name for a cause that survives other machines, hash seeds, Python versions and shifted lines."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from leaktrace.explain.model import Hop
from leaktrace.lines.model import Site
from leaktrace.probes.model import Thing


_INDEX = re.compile(r"\[-?\d+(?:\.\d+)?\]|\[…\]")
_NUMBERS = re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\d+")
_HEX = re.compile(r"(?<![A-Za-z0-9])(?=[0-9a-f]*\d)[0-9a-f]{8,}(?![A-Za-z0-9])")
_OPAQUE_KEY = re.compile(r"\[(?:b?['\"][^]]*\d[^]]*['\"]…?|\(.*?\))\]")

# Who is kept there says nothing of the cause: the cache itself is at fault, whatever it is asked for.
_HOLDER_ALONE = frozenset({"lru-cache", "linecache", "re-cache", "warnings", "environ", "chain", "replaced"})


def general(text: str) -> str:
    """A name without what differs from run to run: indices, numbers, generated keys."""
    text = _OPAQUE_KEY.sub("[#]", _INDEX.sub("[#]", text))
    return _NUMBERS.sub("#", _HEX.sub("#", text))


def of_path(kind: str, hops: Sequence[Hop]) -> str:
    """8 hex digits of the suspect part: from the last hop that is surely fine to the first that surely leaks."""
    last_fine = max((i for i, hop in enumerate(hops) if hop.leaking == "NO"), default=0)
    first_leaking = next((i for i, hop in enumerate(hops) if hop.leaking == "YES"), len(hops))
    start = hops[last_fine]
    parts = [kind, general(start.name)]
    parts += [f"{general(hop.edge)}:{hop.type}" for hop in hops[last_fine + 1 : first_leaking]]
    if kind not in _HOLDER_ALONE and first_leaking < len(hops):
        parts.append(general(hops[-1].type))
    return _digest(parts)


def of_site(site: Site | None, types: Sequence[tuple[str, float]]) -> str:
    """8 hex digits for a leak without a holder: the function that allocates and the types that are left."""
    parts = ["site"]
    if site is not None:
        parts += [site.file.replace("\\", "/").rsplit("/", 1)[-1], site.function, site.code.strip()]
    else:
        parts += sorted(general(name) for name, _rate in types[:3])
    return _digest(parts) if len(parts) > 1 else ""


def of_thing(thing: Thing, *, owner: str) -> str:
    """8 hex digits for a thing that is left behind: what it is, where it was made, by whom; not which one."""
    file = (thing.where or "").rpartition(":")[0].replace("\\", "/").rsplit("/", 1)[-1]
    return _digest([thing.kind, thing.noun, file, general(owner)])


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:8]
