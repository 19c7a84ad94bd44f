"""The form of an archived object: one header with everything but the data, then the data.

    bytes 0–7    magic and version, b"cached01"
    bytes 8–11   length of the header, big-endian
    header       JSON: {"length": bytes of data, "sha256": hex of the data, "meta": {…}}
    data

One object, because one appears in one step on every store; the header first, because it is read without the rest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from cache.keys import canonical_json
from cache.values import JSON, MAX_META_BYTES, Entry, Meta, encoded_meta

MAGIC = b"cached01"
_PREFIX_BYTES = len(MAGIC) + 4
HEAD_BYTES = _PREFIX_BYTES + MAX_META_BYTES + 256  # enough for every header


class Corrupt(Exception):
    """The object is not what was written."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the header says, and where the data begins."""

    meta: Meta
    length: int
    sha256: str
    data_at: int


def encode(data: bytes, meta: Mapping[str, JSON]) -> bytes:
    """The whole object.

    Raises:
        BadEntry: the metadata is not JSON or too long.
    """
    encoded_meta(meta)
    header = canonical_json({"length": len(data), "sha256": hashlib.sha256(data).hexdigest(), "meta": dict(meta)})
    return b"".join((MAGIC, len(header).to_bytes(4, "big"), header, data))


def decode_head(start: bytes, object_bytes: int) -> Head:
    """Read the header from the first `HEAD_BYTES` of an object that is `object_bytes` long.

    Raises:
        Corrupt: it is not one of ours, or not as long as it says.
    """
    data_at = _PREFIX_BYTES + int.from_bytes(start[len(MAGIC) : _PREFIX_BYTES], "big")
    if not start.startswith(MAGIC) or data_at > len(start):
        raise Corrupt("it does not begin with a header")
    try:
        header = json.loads(start[_PREFIX_BYTES:data_at])
        head = Head(header["meta"], int(header["length"]), header["sha256"], data_at)
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt(f"its header is not readable: {error}") from error
    if object_bytes != data_at + head.length:
        raise Corrupt(f"it has {object_bytes} bytes; its header says {data_at + head.length}")
    return head


def decode(content: bytes) -> Entry:
    """The value of a whole object.

    Raises:
        Corrupt: it is not what was written.
    """
    head = decode_head(content[:HEAD_BYTES], len(content))
    data = content[head.data_at :]
    if hashlib.sha256(data).hexdigest() != head.sha256:
        raise Corrupt("the checksum of its data differs")
    return Entry(data, head.meta)
