"""Keeps other websites out of a service without keys, which trusts whoever reaches the loopback address.

A browser reaches it too, for any page that its user visits: by a form that posts here, or under a name that suddenly
leads to 127.0.0.1 (DNS rebinding). With keys there is nothing to keep out: browsers send no key by themselves.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from flask import Flask, Request, request

from api.errors import Problem
from settings import Settings

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({"same-origin", "none"})  # Fetch Metadata §2.3; "none" is a person's own doing


def keep_websites_out(app: Flask, settings: Settings) -> None:
    """Refuses names that are not this host's, and changes that another origin's page asks for."""
    if settings.api_keys or settings.admin_keys:
        return

    public = urlsplit(settings.public_url)

    @app.before_request
    def judge() -> None:
        for host in _hosts(request):
            name = _host_of(f"//{host}")
            if not _is_loopback(name) and name != public.hostname:
                detail = f"without API_KEYS only localhost and the host of PUBLIC_URL are answered, not {name[:100]!r}"
                raise Problem(403, "strange_host", detail)
        if request.method not in _READS and _is_from_elsewhere(request, public.netloc):
            raise Problem(403, "cross_site", "without API_KEYS no other website may ask for changes")


def _hosts(request: Request) -> set[str]:
    """The name that a trusted proxy was asked by, and that by which this service was: a page can send both headers."""
    asked = request.environ.get("werkzeug.proxy_fix.orig", {}).get("HTTP_HOST")
    return {request.host, asked or request.host}


def _is_from_elsewhere(request: Request, public: str) -> bool:
    """By what only a browser says, and cannot be made to leave out; programs say neither."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in _OWN_SITE
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc not in (request.host, public or request.host)


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761 §6.3
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
