"""What a proxy in front says of the caller, believed only from those that TRUSTED_PROXIES names; and the sub-path of
PUBLIC_URL, for proxies that pass it on.

Anybody can send `X-Forwarded-*`; from others they are no more than any header.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, request
from werkzeug.middleware.proxy_fix import ProxyFix

from api.services import services
from settings import UNIX_SOCKET, Settings

_PREFIX = re.compile(r"(/[\w.~%-]+)+/?", re.ASCII)
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def links_from() -> str:
    """What stands before the path in every link: PUBLIC_URL, or the sub-path by which this request came."""
    return services().settings.public_url or request.script_root


def stand_behind_proxies(app: Flask, settings: Settings) -> None:
    """Reads what trusted proxies say before anything else looks at the request."""
    own = {rule.rule.split("/")[1] for rule in app.url_map.iter_rules()}
    prefix = urlsplit(settings.public_url).path
    if prefix.split("/")[1:2] and prefix.split("/")[1] not in own:  # /api/… could be ours or theirs
        app.wsgi_app = _WithoutPrefix(app.wsgi_app, prefix)  # type: ignore[method-assign]
    if settings.trusted_proxies:
        app.wsgi_app = _Trusting(app.wsgi_app, settings.trusted_proxies)  # type: ignore[method-assign]


class _Trusting:
    """Applies `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix` of proxies that are trusted."""

    def __init__(self, app: Wsgi, trusted: tuple[str, ...]) -> None:
        self._networks = [ipaddress.ip_network(one, strict=False) for one in trusted if one != UNIX_SOCKET]
        self._unix = UNIX_SOCKET in trusted
        self._direct = app
        self._through = cache(lambda hops: ProxyFix(app, x_for=hops, x_proto=1, x_host=1, x_prefix=1))

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        hops = self._hops(environ)
        if not hops:
            return self._direct(environ, start_response)
        if not _PREFIX.fullmatch(environ.get("HTTP_X_FORWARDED_PREFIX", "")):
            environ.pop("HTTP_X_FORWARDED_PREFIX", None)
        return self._through(hops)(environ, start_response)

    def _hops(self, environ: dict[str, Any]) -> int:
        """How many proxies in a row, from here outwards, are trusted; the caller stands before the last of them."""
        if not self._trusts(environ.get("REMOTE_ADDR") or UNIX_SOCKET):
            return 0
        passed_on = [part.strip() for part in environ.get("HTTP_X_FORWARDED_FOR", "").split(",")]
        hops = 1
        while hops < len(passed_on) and self._trusts(passed_on[-hops]):
            hops += 1
        return hops

    def _trusts(self, text: str) -> bool:
        if text == UNIX_SOCKET:
            return self._unix
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


class _WithoutPrefix:
    """Takes the sub-path away that a proxy has passed on; others have taken it away already."""

    def __init__(self, app: Wsgi, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        if path == self._prefix:  # the page's links are relative, so that its own address must end in a slash
            start_response("308 Permanent Redirect", [("Location", f"{self._prefix}/"), ("Content-Length", "0")])
            return []
        if path.startswith(f"{self._prefix}/"):
            environ["PATH_INFO"] = path.removeprefix(self._prefix)
            environ["SCRIPT_NAME"] = self._prefix
        return self._app(environ, start_response)
