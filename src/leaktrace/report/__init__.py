"""A casebook as text. Reporters know the casebook and nothing else.

`story` makes all that is said, once: sections of labelled values (`model`), which `suspects`, `cases` and `accounts`
fill from the casebook. A reporter gives them its form: `terminal` by `layout`, which knows nothing of what they say.
They touch no clock, file or process.
"""

from __future__ import annotations
