"""The page at `/`, the 3D page of a job, and the files both are made of. All of it is ours and works offline.

The files hold nobody's data, so they need no key; what they show is asked of the API, with the visitor's key.
"""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, request, send_from_directory

from api.conditional import unless_known
from api.errors import not_found
from api.schemas import JOB_ID_MAX
from api.services import services

FILES = Path(__file__).parent / "static"

# No inline script or style, nothing from elsewhere. Pictures and meshes that scripts hold are blob: URLs.
CONTENT_POLICY = "; ".join((
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
))  # fmt: skip
_LOOK_AGAIN = "no-cache"  # kept, but asked for again each time: an upgrade never meets yesterday's script

pages = Blueprint("pages", __name__)


@pages.get("/")
def read_page() -> Response:
    return page("index.html")


@pages.get("/api/jobs/<job_id>/view")
def read_view(job_id: str) -> Response:
    """An interactive 3D page for one job; it says by itself when the job is not ready or belongs to somebody else."""
    if len(job_id) <= JOB_ID_MAX and services().store.job(job_id) is not None:
        return page("view.html")
    if not _from_a_browser():
        raise not_found(job_id)
    response = page("view.html", conditional=False)  # which says it in words
    response.status_code = 404
    return response


@pages.get("/static/<path:name>")
def read_file(name: str) -> Response:
    return file(FILES, name)


@pages.get("/favicon.ico")
def read_icon() -> Response:
    return read_file("icon.svg")


def page(name: str, policy: str = CONTENT_POLICY, *, conditional: bool = True) -> Response:
    response = file(FILES, name, conditional=conditional)
    response.headers["Content-Security-Policy"] = policy
    return response


def _from_a_browser() -> bool:
    """Programs that take anything get JSON."""
    return request.accept_mimetypes.best_match(["application/problem+json", "text/html"]) == "text/html"


def file(folder: Path, name: str, *, conditional: bool = True) -> Response:
    """Whole, or 304: what a page is made of is small, so that `Range` is ignored (RFC 9110 §14.2 allows that)."""
    response = send_from_directory(folder, name, conditional=False)
    response.headers["Cache-Control"] = _LOOK_AGAIN
    return unless_known(request, response) if conditional else response
