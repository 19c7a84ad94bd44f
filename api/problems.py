"""The problem answers that routes declare, so that the OpenAPI document tells of each."""

from __future__ import annotations

from typing import Any

from api.errors import PROBLEM_JSON

_WORDS = {
    400: "The picture or the body cannot be read",
    401: "No key was given, or an unknown one",
    403: "The key may not do this; or, without keys, another website asks",
    404: "Unknown, or forgotten",
    409: "Not in this state",
    410: "Kept no longer",
    412: "It is not the version that `If-Match` names",
    413: "Over a limit on bytes or pixels",
    415: "A media type that is not taken",
    416: "There are no such bytes; `Content-Range` says how many there are",
    422: "A field that is not taken; `errors` names it",
    429: "Too many requests; `Retry-After` says when to come again",
    502: "The work ended in an error",
    503: "Not now; `Retry-After` says when to come again",
}


def problems(*statuses: int) -> dict[int, dict[str, Any]]:
    """OpenAPI responses for these statuses."""
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    return {one: {"description": _WORDS[one], "content": {PROBLEM_JSON: {"schema": schema}}} for one in statuses}
