"""Canonical JSON and the content keys made from it: same document, same key, on every machine.

It does not decide what belongs into a document; whoever owns the value does.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

_KEY = re.compile(r"[0-9a-f]{64}")


def canonical_json(document: object) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces, so that equal documents are equal bytes.

    Raises:
        TypeError: the document holds something JSON has no word for.
        ValueError: a number is NaN or infinite.
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def content_key(document: Mapping[str, object]) -> str:
    """SHA-256 of the canonical document, 64 hex digits."""
    return hashlib.sha256(canonical_json(document)).hexdigest()


def is_key(text: str) -> bool:
    """Whether `text` has the form of a key; anything else never reaches a path or a Redis name."""
    return _KEY.fullmatch(text) is not None
