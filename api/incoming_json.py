"""JSON that comes in: whatever cannot be read is bad JSON, also what is nested so deeply that reading it has no end."""

from __future__ import annotations

from typing import Any

from flask.json.provider import DefaultJSONProvider


class JsonProvider(DefaultJSONProvider):
    """Flask's own, but for nesting."""

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Raises: ValueError: no JSON, or nested beyond what the interpreter's stack holds."""
        try:
            return super().loads(s, **kwargs)
        except RecursionError:
            raise ValueError("nested too deeply") from None
