"""The parent's end of all replays: start children, ask, listen, end what was started.

`protocol` is what goes to and from a child, `scheduler` the one place that says which child runs what, `process` the
only way in which we start and end processes. `undo` and `restore` put back what children change.
"""

from __future__ import annotations
