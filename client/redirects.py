"""Which redirects a client goes along with: to the same host, with method and body as they were. It sends nothing.

Elsewhere the key and the picture must not go by themselves: there the error says which URL to use.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urljoin, urlsplit

from client.errors import Redirected
from client.wire import Answer, Request

STATUSES = frozenset({301, 302, 303, 307, 308})
MOST = 5


def followed(request: Request, answer: Answer, service_url: str, already: int) -> Request:
    """The same request at the place that the answer names.

    Raises:
        Redirected: it leads to another host, away from https, in a circle, or asks to turn a submission into a read.
    """
    here = request.path if "://" in request.path else service_url + request.path
    location = answer.headers.get("location", "")
    try:
        target = urljoin(here, location) if location else ""
        same_host = _same_host(here, target)
    except ValueError:
        target, same_host = "", False
    reads = request.method in ("GET", "HEAD")
    if already < MOST and same_host and (reads or answer.status != 303):
        return replace(request, path=target, query={})
    raise Redirected(_sentence(service_url, request.path, target))


def _same_host(here: str, target: str) -> bool:
    """Whoever answered there has seen the key already; but what came over TLS goes on over TLS."""
    old, new = urlsplit(here), urlsplit(target)
    downgrade = old.scheme == "https" and new.scheme != "https"
    return new.scheme in ("http", "https") and old.hostname == new.hostname and not downgrade


def _sentence(service_url: str, path: str, target: str) -> str:
    place = target.partition("?")[0]
    if path.startswith("/") and place.endswith(path):
        return f"{service_url} redirects to {place.removesuffix(path)}; use that URL (--url or ORFEAS_URL)"
    leads = f"redirects to {place}" if place else "redirects to nowhere"
    return f"{service_url} {leads}, which this client does not follow; use the URL where Orfeas itself answers"
