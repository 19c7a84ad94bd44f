"""The OpenAPI 3.1 document: what the routes declare, completed by keys, headers, links and examples.

Routes declare their bodies and errors themselves. Headers and links stand in `document_parts.py`, what a call looks
like in `document_examples.py`.
"""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

from flask import Flask, request
from flask_openapi import OpenAPI

from api import document_examples as examples
from api import document_parts as parts
from api.auth import PUBLIC_BLUEPRINTS
from api.forwarded import links_from
from api.problems import problems
from api.schemas import JOB_ID_MAX
from settings import Settings

Operation = dict[str, Any]

_VARIABLE = re.compile(r"<(?:\w+:)?(\w+)>")
_FILE = re.compile(r"/static/|/docs/|/favicon\.ico$")  # what pages are made of: no calls
_ID = {"type": "string", "maxLength": JOB_ID_MAX}
_METHODS = ("get", "post", "delete", "put", "patch")


def document(app: OpenAPI, settings: Settings) -> dict[str, Any]:
    """The whole document, as JSON values; answers a new one each time."""
    found = deepcopy(app.api_doc)
    found["info"] |= parts.INFO
    found["servers"] = _servers()
    found["paths"] = {path: found["paths"].get(path, {}) for path in sorted(_paths(app))}
    keyed = bool(settings.api_keys or settings.admin_keys)
    found["security"] = [{"key": []}] if keyed else [{}, {"key": []}]
    found["components"] |= {
        "securitySchemes": {"key": parts.KEY},
        "headers": parts.HEADERS,
        "parameters": parts.PARAMETERS,
        "responses": _shared_problems(),
    }
    for path, methods in _paths(app).items():
        for method, endpoint in methods.items():
            operations = found["paths"][path]
            operations[method] = _completed(operations.get(method), app, path, endpoint)
    return found


def _servers() -> list[dict[str, str]]:
    """Where callers reach it first; then, for who came another way, from where the document was read."""
    here = {"url": request.script_root or "/", "description": "This service"}
    there = {"url": links_from(), "description": "This service, as its callers reach it (PUBLIC_URL)"}
    return [there, here] if "://" in there["url"] else [here]


def _paths(app: Flask) -> dict[str, dict[str, str]]:
    """Endpoints by path and method, as OpenAPI writes both."""
    paths: dict[str, dict[str, str]] = {}
    for rule in app.url_map.iter_rules():
        if not _FILE.match(rule.rule):
            methods = {method.lower(): rule.endpoint for method in rule.methods or () if method.lower() in _METHODS}
            paths.setdefault(_VARIABLE.sub(r"{\1}", rule.rule), {}).update(methods)
    return paths


def _completed(declared: Operation | None, app: Flask, path: str, endpoint: str) -> Operation:
    operation = declared or _page(app, path, endpoint)
    blueprint, _, name = endpoint.rpartition(".")
    operation["operationId"] = name
    operation.pop("deprecated", None)
    responses = operation["responses"]
    if "application/json" in responses.get("422", {}).get("content", {}):
        del responses["422"]  # the library's own guess; routes that can answer it say so
    if blueprint in PUBLIC_BLUEPRINTS:
        operation["security"] = []
    else:
        for status in ("401", "403", "429"):
            responses[status] = {"$ref": f"#/components/responses/{status}"}
    names = ("X-Request-ID", *parts.REQUEST_HEADERS.get(name, ()))
    given = operation.setdefault("parameters", [])
    given += [{"$ref": f"#/components/parameters/{one}"} for one in names]
    for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
        body |= examples.request(name, media_type)
        if media_type == "multipart/form-data":
            _forget_null(body["schema"])
    _complete_responses(name, responses)
    return operation


def _complete_responses(name: str, responses: dict[str, Any]) -> None:
    for status, more in parts.RESPONSES.get(name, {}).items():
        responses.setdefault(status, deepcopy(more))
    for status, response in responses.items():
        if "$ref" in response:
            continue
        headers = parts.RESPONSE_HEADERS.get((name, status), ())
        retry = ("Retry-After",) if status in ("429", "503") else ()
        response["headers"] = {
            one: {"$ref": f"#/components/headers/{one}"} for one in ("X-Request-ID", *retry, *headers)
        }
        if links := parts.LINKS.get(name) if status in ("200", "202") else None:
            response["links"] = deepcopy(links)
        for media_type, body in response.get("content", {}).items():
            if media_type == "text/event-stream":
                body["schema"] = parts.EVENT
            if (example := examples.answer(name, status)) is not None:
                body["example"] = example


def _forget_null(schema: dict[str, Any]) -> None:
    """A form has no null: a field that is not meant is left out."""
    for field in schema["properties"].values():
        for kind in field.pop("anyOf", ()):
            if kind != {"type": "null"}:
                field |= kind


def _page(app: Flask, path: str, endpoint: str) -> Operation:
    """A route that declares nothing: what a browser opens, or a document of its own kind."""
    words = (app.view_functions[endpoint].__doc__ or "").strip().splitlines()
    media_type = parts.PAGE_MEDIA_TYPES.get(path, "text/html")
    names = re.findall(r"{(\w+)}", path)
    return {
        "summary": words[0] if words else parts.PAGE_SUMMARIES.get(path, "A page for people"),
        "tags": ["pages"],
        "parameters": [{"name": one, "in": "path", "required": True, "schema": _ID} for one in names],
        "responses": {"200": {"description": "OK", "content": {media_type: {}}}}
        | ({"404": {"$ref": "#/components/responses/404"}} if names else {}),
    }


def _shared_problems() -> dict[str, Any]:
    shared = {str(status): body for status, body in problems(401, 403, 404, 429).items()}
    _complete_responses("", shared)
    return shared
