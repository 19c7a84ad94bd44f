"""What schemathesis cannot guess: a picture, and addresses that nobody is at. It loads this file by name."""

from __future__ import annotations

import base64
import io
from typing import Any

import schemathesis
from PIL import Image

_COLOURS = ("red", "green", "blue", "white")
_MEANT = frozenset({"format", "size_mm", "up_axis", "target_faces", "priority", "label", "seed", "depth"})


@schemathesis.hook
def map_body(ctx: schemathesis.HookContext, body: Any) -> Any:
    """Three bodies of four become submissions that succeed, as far as their other fields let them."""
    name = ctx.operation.definition.raw.get("operationId")
    field = {"submit_job": "image", "submit_batch": "images", "send_test": "url"}.get(name)
    if not isinstance(body, dict) or field not in body:
        return body
    luck = len(repr(body))
    if field == "url" and isinstance(body["url"], str) and len(body["url"]) <= 2083:
        return body | {"url": ("http://127.0.0.1:9/", "https://nobody.invalid/", body["url"])[luck % 3]}
    if luck % 4 == 0 or not isinstance(body[field], str | list | bytes):  # what is no picture in JSON stays what it is
        return body
    picture = _picture(luck)
    if isinstance(body[field], str | list) and "json" in str(ctx.operation.body):
        picture = base64.b64encode(picture).decode()
    return {name: value for name, value in body.items() if name in _MEANT} | {
        field: [picture] if field == "images" else picture
    }


def _picture(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6 + number % 5), _COLOURS[number % len(_COLOURS)]).save(buffer, "PNG")
    return buffer.getvalue()
