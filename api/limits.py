"""How often one caller may ask: counted in Redis for all processes, in memory while Redis is away."""

from __future__ import annotations

from flask import Flask, g, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

from api.auth import PUBLIC_BLUEPRINTS
from settings import Settings

_HEADERS = {
    "RATELIMIT_HEADER_LIMIT": "RateLimit-Limit",
    "RATELIMIT_HEADER_REMAINING": "RateLimit-Remaining",
    "RATELIMIT_HEADER_RESET": "RateLimit-Reset",
}


def limit_rates(app: Flask, settings: Settings) -> None:
    """Applies RATE_LIMIT to each key, or to each address where no keys are in use; public pages are free."""
    if not settings.effective_rate_limit:
        return
    app.config.update(_HEADERS)
    limiter = Limiter(
        _who,
        app=app,
        default_limits=[settings.effective_rate_limit],
        default_limits_exempt_when=_is_public,
        headers_enabled=True,
        storage_uri=settings.broker_url,
        storage_options={"socket_connect_timeout": 0.2, "socket_timeout": 0.2, "retry": None},
        key_prefix="{orfeas}:rate",
        in_memory_fallback_enabled=True,
        strategy="moving-window",
    )
    app.extensions["orfeas-limiter"] = limiter


def _who() -> str:
    caller = g.get("caller")
    return caller.owner if caller and caller.owner != "local" else get_remote_address()


def _is_public() -> bool:
    return request.blueprint in PUBLIC_BLUEPRINTS
