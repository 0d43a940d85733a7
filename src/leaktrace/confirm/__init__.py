"""What happens to suspects once pytest has finished: the passes, in their order.

`steps` is the list of them: screen, measure, hear after others, follow native code, find who changed state. `part` is
what a process hands over. Runs in the user's process, and in a worker on another host.
"""

from __future__ import annotations
