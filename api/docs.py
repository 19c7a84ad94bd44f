"""The API's documentation to browse, offline: Swagger UI out of an installed package, over `/openapi.json`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from flask import Response

from api.pages import file, page, pages

# Swagger UI styles its elements inline and draws its icons as data: URLs.
CONTENT_POLICY = "; ".join((
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
))  # fmt: skip


@pages.get("/docs")
def read_docs() -> Response:
    """Every call with its answers, to read and to try."""
    return page("docs.html", CONTENT_POLICY)


@pages.get("/docs/swagger/<path:name>")
def read_docs_file(name: str) -> Response:
    return file(_swagger(), name)


def _swagger() -> Path:
    package = find_spec("flask_openapi_swagger")
    if package is None or package.origin is None:
        raise RuntimeError("the package flask-openapi-swagger is not installed (deploy/requirements/api.txt)")
    return Path(package.origin).parent / "templates" / "swagger"
