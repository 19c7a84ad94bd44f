"""How often one caller may ask: counted in Redis for all processes and routes, in memory while Redis is away."""

from __future__ import annotations

from flask import Flask, current_app, g, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

from api.auth import PUBLIC_BLUEPRINTS
from api.errors import Problem
from cache.redis_client import make_pool
from settings import Settings

_NAME = "orfeas-limiter"

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
        application_limits=[settings.effective_rate_limit],  # one budget, not one for each route
        application_limits_exempt_when=_is_public,
        headers_enabled=True,
        storage_uri="redis://",  # any: the pool knows the address
        storage_options={"connection_pool": make_pool(settings.broker_url, connect_timeout_s=0.2, timeout_s=0.2)},
        key_prefix="{orfeas}:rate",
        in_memory_fallback_enabled=True,
        strategy="moving-window",
    )
    app.extensions[_NAME] = limiter


def charge_pictures(count: int) -> None:
    """Counts each picture of a call as a request; the call itself was the first of them.

    Raises: Problem: 429; nothing was counted, and nothing must be taken.
    """
    limiter: Limiter | None = current_app.extensions.get(_NAME)
    budget = limiter.current_limit if limiter else None
    if limiter is None or budget is None or count <= 1:
        return
    if limiter.limiter.hit(budget.limit, *budget.request_args, cost=count - 1):
        return
    most, left = budget.limit.amount, budget.remaining + 1
    advice = f"send at most {most} in one call" if count > most else f"{left} are left: send fewer, or come again later"
    detail = f"each of the {count} pictures counts, and the limit is {budget.limit} (RATE_LIMIT); {advice}"
    raise Problem(429, "rate_limited", detail, retryable=count <= most, retry_after_s=budget.limit.get_expiry())


def _who() -> str:
    caller = g.get("caller")
    return caller.owner if caller and caller.owner != "local" else get_remote_address()


def _is_public() -> bool:
    return request.blueprint in PUBLIC_BLUEPRINTS
