"""How a service's URL is reached: directly or through a proxy, and with which certificates, as the environment says.

A service on this machine is always reached directly. Variables that cannot be used are named in one sentence before
anything is sent. It opens no connection.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import httpx

from client.errors import BadSetting

_TLS_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
_ERRORS = (httpx.InvalidURL, ValueError, TypeError)  # of reading a URL; UnicodeError is a ValueError


@dataclass(frozen=True)
class Route:
    """The way to one service; `proxy_from` is the variable that names the proxy."""

    tls: ssl.SSLContext
    proxy: httpx.Proxy | None = None
    proxy_from: str = ""

    def explained(self, error: Exception) -> Exception:
        """A failure to connect, with the proxy that it is about."""
        if self.proxy is None or not isinstance(error, httpx.ProxyError | httpx.ConnectError | httpx.ConnectTimeout):
            return error
        reason = str(error) or type(error).__name__
        return ConnectionError(f"through the proxy {_shown(self.proxy.url)} of {self.proxy_from}: {reason}")


def route(url: str) -> Route:
    """The way to the service at this URL.

    Raises:
        BadSetting: it is no URL, or the environment names a proxy or certificates that cannot be used.
    """
    try:
        parsed = httpx.URL(url)
    except _ERRORS as error:
        raise BadSetting(f"{url!r} is no URL of a service ({error}); it reads like http://host:5000") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise BadSetting(f"{url!r} is no URL of a service; it reads like http://host:5000 or https://host")
    tls = _tls(needed=parsed.scheme == "https")
    if is_loopback(parsed.host):
        return Route(tls)
    variable, value = _proxy_variable(parsed)
    return Route(tls, _proxy(variable, value, parsed.host), variable) if value else Route(tls)


def is_loopback(host: str) -> bool:
    """Whether this name or address is this machine, by its form alone; nothing is resolved."""
    name = host.lower().rstrip(".").strip("[]")
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761 §6.3
        return True
    with suppress(ValueError):
        address = ipaddress.ip_address(name.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return address.is_loopback or address.is_unspecified
    with suppress(OSError):  # 127.1 and 0x7f000001, which the system reads as addresses
        return ipaddress.IPv4Address(socket.inet_aton(name)).is_loopback
    return False


def _proxy_variable(url: httpx.URL) -> tuple[str, str]:
    """Name and value of the variable that holds for this URL; both empty: none does."""
    proxies = urllib.request.getproxies()  # of the environment, else of the system
    kind = next((kind for kind in (url.scheme, "all") if proxies.get(kind)), None)
    if kind is None or _bypassed(url, proxies.get("no", "")):
        return "", ""
    names = (f"{kind}_proxy", f"{kind.upper()}_PROXY")
    return next((name for name in names if os.environ.get(name)), "the system's proxy settings"), proxies[kind]


def _bypassed(url: httpx.URL, no_proxy: str) -> bool:
    """By the standard library's rules, and by networks, which curl and others read too."""
    if urllib.request.proxy_bypass(url.netloc.decode("ascii")):
        return True
    try:
        address = ipaddress.ip_address(url.host)
    except ValueError:
        return False
    for entry in no_proxy.split(","):
        with suppress(ValueError):
            if address in ipaddress.ip_network(entry.strip().replace("[", "").replace("]", ""), strict=False):
                return True
    return False


def _proxy(variable: str, value: str, host: str) -> httpx.Proxy:
    """Raises: BadSetting."""
    try:
        parsed = httpx.URL(value if "://" in value else f"http://{value}")
        proxy = httpx.Proxy(parsed) if parsed.host else None
    except _ERRORS:
        parsed, proxy = None, None
    shown = f" {_shown(parsed)}" if parsed is not None and parsed.host else ""
    reason = "it is no URL of an HTTP proxy" if proxy is None else ""
    if proxy is not None and proxy.url.scheme.startswith("socks") and find_spec("socksio") is None:
        reason = "SOCKS needs the package socksio: pip install socksio"
    if proxy is None or reason:
        raise BadSetting(
            f"{variable} names a proxy that cannot be used{shown}: {reason}; correct it, unset it, "
            f"or add {host} to NO_PROXY"
        )
    return proxy


def _shown(url: httpx.URL) -> str:
    """Without the user and the password in it."""
    return f"{url.scheme}://{url.host}{f':{url.port}' if url.port else ''}"


def _tls(*, needed: bool) -> ssl.SSLContext:
    """Trusts what the environment names, else the bundled roots.

    Raises:
        BadSetting: what it names cannot be read, and the URL is an https one.
    """
    try:
        context = httpx.create_ssl_context()
        folders = os.environ.get("SSL_CERT_DIR")
        if needed and folders and not os.environ.get("SSL_CERT_FILE"):
            _check_folders(folders)
    except OSError as error:
        if needed:
            given = [f"{name}={os.environ[name]}" for name in _TLS_VARIABLES if os.environ.get(name)]
            raise BadSetting(f"cannot use the certificates of {' '.join(given)}: {error}") from None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
    return context


def _check_folders(folders: str) -> None:
    """OpenSSL takes a folder that does not exist and then trusts nobody. Raises: NotADirectoryError."""
    if not any(Path(folder).is_dir() for folder in folders.split(os.pathsep)):
        raise NotADirectoryError("there is no such folder")
