"""Where webhooks may go: http and https, and no address that only we can reach.

Callers choose the URL, so without this the service would knock at any door of its own network for them (server-side
request forgery). Names are resolved here and nowhere else; whoever connects uses the addresses that were judged.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

from pydantic import HttpUrl, TypeAdapter, ValidationError

from jobs.errors import BadParameters, FieldError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]

# What Python's tables let through, or only newer ones know.
_ALSO_REFUSED = tuple(ipaddress.ip_network(network) for network in (
    "168.63.129.16/32",  # https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
    "192.0.0.0/24",  # RFC 6890 §2.1; a cloud keeps its metadata at 192.0.0.192
    "192.88.99.0/24",  # RFC 7526: relays of 6to4, retired
    "3fff::/20",  # RFC 9637: documentation
))  # fmt: skip
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # RFC 4291 §2.4 with IANA's assignments: nothing else is routed
# RFC 6052 §2.1 and RFC 8215: IPv6 addresses through which a translator reaches the IPv4 address in the last 32 bits.
_TRANSLATED = tuple(ipaddress.IPv6Network(network) for network in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96"))
_URL = TypeAdapter(HttpUrl)


class ForbiddenTarget(Exception):
    """The name leads to an address that webhooks may not reach."""


def checked_url(text: str, *, allow_private: bool, field: str = "webhook_url") -> str:
    """The URL in its normal form (host in ASCII, numbers of odd notation as addresses).

    Raises: BadParameters: no http or https URL, with a user in it, or to a forbidden address as it stands.
    """
    try:
        url = _URL.validate_python(text)
    except ValidationError as error:
        raise _bad(field, error.errors()[0]["msg"]) from None
    if url.username is not None or url.password is not None:
        raise _bad(field, "must not hold a user or a password; verify the signature instead")
    host = (url.host or "").strip("[]")
    address = _address(host)
    if not allow_private and (_is_local_name(host) or (address is not None and not is_public(address))):
        raise _bad(field, f"{host} is not a public address (WEBHOOK_ALLOW_PRIVATE)")
    return str(url)


def public_addresses(host: str, port: int, resolve: Resolve, *, allow_private: bool) -> list[str]:
    """What the name stands for, asked once; every address is judged, so that no second answer can differ.

    Raises:
        ForbiddenTarget: one of them is not public.
        OSError: the name does not resolve.
    """
    found = resolve(host, port)
    for text in found:
        if not allow_private and not is_public(ipaddress.ip_address(text.partition("%")[0])):
            raise ForbiddenTarget(f"{host} leads to {text}, which is not a public address (WEBHOOK_ALLOW_PRIVATE)")
    return found


def is_public(address: Address) -> bool:
    """Whether it is globally reachable unicast, by IANA's registries, also inside of what IPv6 wraps around IPv4."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = _wrapped(address)
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL_UNICAST:
            return False
    refused = address.is_multicast or address.is_reserved or any(address in network for network in _ALSO_REFUSED)
    return address.is_global and not refused


def system_resolver(host: str, port: int) -> list[str]:
    """Raises: OSError: the name does not resolve."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _wrapped(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address behind a mapped, 6to4, Teredo or translated one."""
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour
    if address.teredo:
        return address.teredo[1]
    if any(address in network for network in _TRANSLATED):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_local_name(host: str) -> bool:
    # RFC 6761 §6.3; everything else shows when it is resolved.
    return host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost")


def _bad(field: str, message: str) -> BadParameters:
    return BadParameters([FieldError(field, message)])
