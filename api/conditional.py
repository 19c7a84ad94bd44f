"""Conditional and range requests as RFC 9110 §13 and §14 say: 304, 412, 206 and 416 for a body that is known whole.

werkzeug's own `make_conditional` answers 416 to units and range sets that have to be ignored, takes a weak `If-Range`
for a strong one and a suffix longer than the file for an error.
"""

from __future__ import annotations

import re
from datetime import datetime

from flask import Request, Response

from api.errors import Problem

_RANGE_SET = re.compile(r"[ \t]*bytes=(.*)", re.ASCII | re.IGNORECASE | re.DOTALL)
_RANGE = re.compile(r"[ \t]*(?:(\d{1,4000})-(\d{1,4000})?|-(\d{1,4000}))[ \t]*", re.ASCII)
_MOST_RANGES = 100


def conditional(request: Request, response: Response) -> Response:
    """The response to answer with: itself, the part of it that was asked for, or nothing but its headers.

    Raises: Problem: 412 or 416.
    """
    etag, _ = response.get_etag()
    status = preconditions(request, etag or "", response.last_modified)
    if status == 304:
        return _not_modified(response)
    body = response.get_data()
    response.headers["Accept-Ranges"] = "bytes"
    part = _asked_range(request, etag or "", len(body))
    if part is not None:
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(body)}"
        response.set_data(body[part.start : part.stop])
    return response


def unless_known(request: Request, response: Response) -> Response:
    """As `conditional`, for a body that is sent whole or not at all."""
    etag, _ = response.get_etag()
    return _not_modified(response) if preconditions(request, etag or "", response.last_modified) == 304 else response


def preconditions(request: Request, etag: str, changed_at: datetime | None = None) -> int:
    """200 or 304, by RFC 9110 §13.2.2; `etag` is a strong one, without its quotes.

    Raises: Problem: 412.
    """
    if request.if_match:
        held = request.if_match.star_tag or request.if_match.is_strong(etag)
    else:
        since = request.if_unmodified_since
        held = since is None or changed_at is None or changed_at <= since
    if not held:
        raise Problem(412, "precondition_failed", "it is not the version that If-Match or If-Unmodified-Since names")
    if request.if_none_match:
        known = request.if_none_match.star_tag or request.if_none_match.contains_weak(etag)
    else:
        since = request.if_modified_since
        known = since is not None and changed_at is not None and changed_at <= since
    return 304 if known and request.method in ("GET", "HEAD") else 200


def _not_modified(response: Response) -> Response:
    """Without its body, but with every header that a cache keeps (RFC 9110 §15.4.5)."""
    response.status_code = 304
    response.direct_passthrough = False
    response.close()
    response.response = []
    for name in ("Content-Length", "Content-Type", "Content-Encoding"):
        response.headers.pop(name, None)
    return response


def _asked_range(request: Request, etag: str, size_bytes: int) -> range | None:
    """The one range to answer with; None: the whole, also when several were asked for, which §14.2 allows.

    Raises: Problem: 416.
    """
    if request.method != "GET" or not _holds(request.headers.get("If-Range"), etag):
        return None
    found = ranges(request.headers.get("Range", ""), size_bytes)
    if found is None:
        return None
    satisfiable = [one for one in found if len(one)]
    if not satisfiable:
        raise _NoSuchRange(size_bytes)
    return satisfiable[0] if len(found) == 1 else None


def ranges(header: str, size_bytes: int) -> list[range] | None:
    """The ranges of a `Range` header, empty where they lie outside; None: the header is to be ignored."""
    whole = _RANGE_SET.fullmatch(header)
    parts = [part for part in whole[1].split(",") if part.strip(" \t")] if whole else []
    matches = [_RANGE.fullmatch(part) for part in parts]
    if not 0 < len(parts) <= _MOST_RANGES:
        return None
    found = []
    for match in matches:
        if match is None:
            return None
        first, last, suffix = (None if digits is None else int(digits) for digits in match.groups())
        if first is None:
            found.append(range(max(0, size_bytes - (suffix or 0)), size_bytes))
        elif last is not None and last < first:
            return None
        else:
            found.append(range(first, size_bytes if last is None else min(last + 1, size_bytes)))
    return found


def _holds(if_range: str | None, etag: str) -> bool:
    """Strong comparison; dates never hold, for what is downloaded has none (§13.1.5)."""
    return if_range is None or if_range.strip() == f'"{etag}"'


class _NoSuchRange(Problem):
    def __init__(self, size_bytes: int) -> None:
        super().__init__(
            416, "requested_range_not_satisfiable", f"there are {size_bytes} bytes; none of them was asked for"
        )
        self._size_bytes = size_bytes

    def response(self) -> Response:
        response = super().response()
        response.headers["Content-Range"] = f"bytes */{self._size_bytes}"
        return response
