"""The value that means "not there", so that a stored `None` stays a hit."""

from __future__ import annotations

import enum
from typing import Final, Literal


class Missing(enum.Enum):
    """Type of `MISSING`; an enum, because type checkers narrow `is MISSING` on it."""

    MISSING = "MISSING"

    def __repr__(self) -> str:
        return "MISSING"

    __str__ = __repr__

    def __bool__(self) -> Literal[False]:
        return False


MISSING: Final = Missing.MISSING
