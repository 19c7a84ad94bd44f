"""A worker's client of the job store; light enough for the parent process, which loads no generators."""

from __future__ import annotations

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from cache.redis_client import make_plain_client


def connect(url: str) -> Redis:
    """A worker's client: it may wait a little, since a short pause of Redis should not cost a minute of GPU."""
    retry = Retry(ExponentialWithJitterBackoff(base=0.1, cap=1.0), retries=3)
    return make_plain_client(
        url, connect_timeout_s=1.0, timeout_s=5.0, decode_responses=True, retry=retry, health_check_interval=30
    )
