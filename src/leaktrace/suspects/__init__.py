"""Who grew, by how much, and why that is suspicious; pure.

`accuse` turns a recording and limits into suspects, `groups` adds up what is harmless one by one.
"""

from __future__ import annotations
