"""A Redis at a Unix socket serves the job store, the cache, Celery and the rate limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flask import Flask

from api.auth import identify_callers
from api.errors import register_error_handlers
from api.limits import limit_rates
from api.queue import make_sender
from api.services import connect
from cache.keys import content_key
from cache.redis import RedisCache
from jobs.store import JobStore
from settings import Settings
from tests.job_fleet import a_request, submitted
from tests.servers import RedisServer


def test_every_client_works_at_a_unix_socket(own_redis: Callable[..., RedisServer], tmp_path: Path) -> None:
    server = own_redis(unixsocket=str(tmp_path / "redis socket"))
    settings = Settings(
        redis_url=f"unix://{str(tmp_path).replace(' ', '%20')}/redis%20socket?db=3", rate_limit="2/minute"
    )
    store = JobStore(connect(settings.broker_url))
    submitted(store)
    (work,) = store.due(only=a_request().key)
    sender = make_sender(settings)
    sender.send(work)
    assert sender.backlog("generate") == 1
    cache, key = RedisCache(settings.cache_url), content_key({"a": 1})
    assert cache.store(key, b"value", {}) and cache.lookup(key).data == b"value"
    app = Flask("test")
    register_error_handlers(app)
    identify_callers(app, settings)
    limit_rates(app, settings)
    app.add_url_rule("/", "root", lambda: "ok")
    assert [app.test_client().get("/").status_code for _ in range(3)] == [200, 200, 429]
    with server.client(db=3, decode_responses=True) as admin:
        assert any(name.startswith("LIMITS:") for name in admin.keys("*"))
        assert admin.info("keyspace").keys() == {"db3"}
