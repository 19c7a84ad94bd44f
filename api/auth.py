"""Who calls: API keys, user and admin roles, and whose jobs a caller may see.

Every endpoint needs a key unless its blueprint is public, so that a forgotten decorator opens nothing. Without any
key configured everybody is the one local admin, and `settings.py` keeps the server on loopback.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from flask import Flask, g, request

from api.errors import Problem
from settings import Settings

PUBLIC_BLUEPRINTS = frozenset({"health", "pages"})
ADMIN_BLUEPRINTS = frozenset({"cache_admin"})
HASHED = "sha256:"


@dataclass(frozen=True)
class Caller:
    """`owner` names the key without giving it away: it may stand in logs and in Redis."""

    owner: str
    admin: bool

    def may_see(self, owner: str) -> bool:
        return self.admin or self.owner == owner


LOCAL = Caller("local", admin=True)


class Keyring:
    """The configured keys, as digests only; a setting may hold the digest itself, as `sha256:<64 hex digits>`."""

    def __init__(self, settings: Settings) -> None:
        self._digests = [
            (_digest(key), admin)
            for keys, admin in ((settings.api_keys, False), (settings.admin_keys, True))
            for key in keys
        ]

    def caller(self, token: str) -> Caller | None:
        """Who holds this key. Every key is compared, in constant time, whether or not one fits already."""
        if not self._digests:
            return LOCAL
        given = hashlib.sha256(token.encode()).hexdigest()
        found = None
        for digest, admin in self._digests:
            if hmac.compare_digest(digest, given):
                found = Caller(f"key-{digest[:16]}", admin)
        return found


def caller() -> Caller:
    """Who makes this request."""
    return g.caller


def identify_callers(app: Flask, settings: Settings) -> None:
    """Notes with each request who makes it, from its `Authorization: Bearer` header."""
    keyring = Keyring(settings)

    @app.before_request
    def identify() -> None:
        said = request.authorization
        g.caller = keyring.caller(said.token or "" if said and said.type == "bearer" else "")


def require_keys(app: Flask) -> None:
    """Lets nobody in who was not identified, and only admins into the administration."""

    @app.before_request
    def require() -> None:
        if request.endpoint is None or request.blueprint in PUBLIC_BLUEPRINTS:
            return
        if g.caller is None:
            raise Problem(401, "key_needed", "send a valid key as `Authorization: Bearer <key>`")
        if request.blueprint in ADMIN_BLUEPRINTS and not g.caller.admin:
            raise Problem(403, "admin_key_needed", "this needs an admin key (ADMIN_KEYS)")


def _digest(key: str) -> str:
    return key.removeprefix(HASHED).lower() if key.startswith(HASHED) else hashlib.sha256(key.encode()).hexdigest()
