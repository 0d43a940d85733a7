"""Why the leaked thing is alive: its holder, the lines, a proof, and what to do.

`steps` is the whole way as one list. Runs in a child only, after the verdict, in a heap that dies with it.
"""

from __future__ import annotations
