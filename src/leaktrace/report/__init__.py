"""A casebook as text. Reporters know the casebook and nothing else.

They touch no clock, file or process, and differ in form only.
"""

from __future__ import annotations
