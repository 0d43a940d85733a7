"""What is read: one probe a counter, cheap enough for every boundary of a test.

A probe that cannot look says `Unread(why)`, never 0. What a watch calls between two tests takes its modules from
`leaktrace.pristine`.
"""

from __future__ import annotations
