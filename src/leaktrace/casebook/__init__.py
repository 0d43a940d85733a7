"""All that is known of a run and of each suspect; pure.

`cases` turns a suspect and a response into a case, `causes` tells those of one cause once, `accounts` says where the
memory of a run went, and `wire` is the versioned JSON.
"""

from __future__ import annotations
