"""What the tests need, as pyproject.toml declares it, a line each: python .ci/requirements.py lowest|newest."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path


declared = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
project = declared["project"]
extras = [each for name, extra in project["optional-dependencies"].items() if name != "all" for each in extra]
for requirement in [*project["dependencies"], *extras, *declared["dependency-groups"]["test"]]:
    print(re.sub(">=", "==", requirement, count=1) if sys.argv[1] == "lowest" else requirement)
