"""Which Redis URLs are supported, and what each of them means to redis-py; whatever is not supported is refused here.

Messages say what to change and never repeat any part of the URL: a password may stand anywhere in a malformed one.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

DEFAULT_PORT = 6379
# Schemes in use elsewhere, and what to write instead.
REFUSED = {
    "sentinel": "Sentinel is not supported: name the address of the primary, or of a proxy in front of it",
    "amqp": "job state is kept in Redis, so an AMQP broker cannot take its place: name a Redis",
    "redis+socket": "write unix:///path/to/redis.sock",
    "valkey": "write redis:// for a Valkey server",
    "http": "this is no address of a Redis: write redis://host:6379/0",
    "tcp": "write redis://host:6379/0",
}
REFUSED |= {
    "amqps": REFUSED["amqp"],
    "pyamqp": REFUSED["amqp"],
    "sentinels": REFUSED["sentinel"],
    "redis+sentinel": REFUSED["sentinel"],
    "rediss+sentinel": REFUSED["sentinel"],
    "redis-sentinel": REFUSED["sentinel"],
    "redis+unix": REFUSED["redis+socket"],
    "valkeys": "write rediss:// for a Valkey server with TLS",
    "https": REFUSED["http"],
}
SUPPORTED = "redis://, rediss:// (TLS) or unix://"

_VERIFY = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_VERIFY |= {f"cert_{word}": mode for word, mode in _VERIFY.items()}
_TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_ca_path")
TLS_OPTIONS = (*_TLS_FILES, "ssl_password", "ssl_cert_reqs", "ssl_check_hostname")
OPTIONS = ("db", "username", "password", *TLS_OPTIONS)
_ENCODE = "characters like / ? # [ ] @ : in a user name or password must be percent-encoded"


@dataclass(frozen=True)
class RedisAddress:
    """One server and how to sign in; `socket` is the path of a Unix socket, `tls` redis-py's `ssl_…` options."""

    host: str
    port: int
    socket: str
    database: int
    username: str | None = field(repr=False)
    password: str | None = field(repr=False)
    tls: Mapping[str, Any] | None = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> RedisAddress:
        """Raises: ValueError: the URL is not supported; the message repeats no part of it."""
        scheme = _scheme(url)
        try:
            parts = urlsplit(url)
            host, port = unquote(parts.hostname or ""), parts.port
        except ValueError:  # its own message may repeat a piece of the password
            raise ValueError(f"host and port cannot be read; {_ENCODE}") from None
        if parts.fragment or "#" in url:
            raise ValueError(f"contains #; {_ENCODE}")
        if port == 0:
            raise ValueError("the port must be between 1 and 65535")
        options = _options(parts.query)
        username = options.get("username") or unquote(parts.username or "") or None
        password = options.get("password") or unquote(parts.password or "") or None
        if scheme == "unix":
            if host or port or not parts.path.strip("/"):
                raise ValueError("the path of a Unix socket follows three slashes: unix:///run/redis/redis.sock")
            database = _database(options.get("db", "0"))
            return cls("", 0, unquote(parts.path), database, username, password, _tls(scheme, options))
        path = unquote(parts.path).removeprefix("/")
        if path and "db" in options:
            raise ValueError("names the database twice; write it as the path only: redis://host:6379/0")
        database = _database(path or options.get("db", "0"))
        return cls(
            host or "localhost", port or DEFAULT_PORT, "", database, username, password, _tls(scheme, options)
        )  # fmt: skip

    @property
    def shown(self) -> str:
        """Server and database for people, without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.socket}:{self.database}" if self.socket else f"{host}:{self.port}/{self.database}"

    def connection_options(self) -> dict[str, Any]:
        """Arguments of redis-py's connection classes."""
        options: dict[str, Any] = {"db": self.database, "username": self.username, "password": self.password}
        if self.socket:
            return options | {"path": self.socket}
        return options | {"host": self.host, "port": self.port} | dict(self.tls or {})


def _scheme(url: str) -> str:
    name, separator, _ = url.partition("://")
    scheme = name.lower()
    if separator and scheme in ("redis", "rediss", "unix"):
        if any(character.isspace() or not character.isprintable() for character in url):
            raise ValueError("contains a space or a control character; percent-encode or remove it")
        return scheme
    if separator and scheme in REFUSED:
        raise ValueError(REFUSED[scheme])
    raise ValueError(f"must begin with {SUPPORTED}, for example redis://localhost:6379/0")


def _options(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ValueError(f"what follows the question mark cannot be read; {_ENCODE}") from None
    names = [name for name, _ in pairs]
    if set(names) - set(OPTIONS) or len(names) != len(set(names)):
        raise ValueError(f"what follows the question mark may be, each once: {', '.join(OPTIONS)}")
    return dict(pairs)


def _database(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError("the database must be a number, as in redis://host:6379/0 or unix:///path?db=0")
    return int(text)


def _tls(scheme: str, options: Mapping[str, str]) -> dict[str, Any] | None:
    """What both redis-py and kombu get: the server is verified unless the URL says otherwise."""
    given: dict[str, Any] = {name: options[name] for name in TLS_OPTIONS if name in options}
    if scheme != "rediss":
        if given:
            raise ValueError("ssl_… options need rediss://")
        return None
    verify = given.get("ssl_cert_reqs", "required").lower()
    if verify not in _VERIFY:
        raise ValueError("ssl_cert_reqs must be required, optional or none")
    check = given.get("ssl_check_hostname", "true").lower()
    if check not in ("true", "false", "1", "0", "yes", "no"):
        raise ValueError("ssl_check_hostname must be true or false")
    for name in _TLS_FILES:
        if name in given and not Path(given[name]).exists():
            raise ValueError(f"{name} names a file that is not there")
    check_hostname = check in ("true", "1", "yes") and _VERIFY[verify] != ssl.CERT_NONE
    return given | {"ssl_cert_reqs": _VERIFY[verify], "ssl_check_hostname": check_hostname}
