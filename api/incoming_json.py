"""JSON that comes in: whatever cannot be read is bad JSON, also what is nested so deeply that reading it has no end.

A name that stands twice in one object is refused: all but one of its values would be lost without a word.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from flask.json.provider import DefaultJSONProvider

from jobs.errors import BadParameters, FieldError


class JsonProvider(DefaultJSONProvider):
    """Flask's own, but for nesting and repeated names."""

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Reads one value.

        Raises:
            ValueError: no JSON, or nested beyond what the interpreter's stack holds.
            BadParameters: an object holds a name twice.
        """
        try:
            return super().loads(s, object_pairs_hook=_object, **kwargs)
        except RecursionError:
            raise ValueError("nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise BadParameters([FieldError(name, f"was sent {n} times") for name, n in counts.items() if n > 1])
    return found
