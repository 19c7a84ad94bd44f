"""Looks at everything that the service on this host needs, and says of each how it is and how to mend it.

It changes nothing: its probe in the archive is gone when it ends.
"""

from __future__ import annotations

from collections.abc import Iterator

from deploy.doctor.archive import archive_findings
from deploy.doctor.devices import device_findings
from deploy.doctor.findings import Finding, Level
from deploy.doctor.fleet import api_finding, worker_findings
from deploy.doctor.host import access_finding, package_finding, port_findings, python_finding
from deploy.doctor.redis import connect, redis_findings, where
from deploy.redis_permissions import CACHE, JOBS, WHOLE
from deploy.stack import as_running
from settings import Settings

__all__ = ["Finding", "Level", "examine"]


def examine(settings: Settings) -> Iterator[Finding]:
    """One finding after the other, as they come in; none raises, and each is bounded in time."""
    settings = as_running(settings)
    yield python_finding()
    yield package_finding()
    yield access_finding(settings)
    api = api_finding(settings)
    yield api
    runs = api.level == Level.OK
    yield from port_findings(settings, runs=runs)
    apart = where(settings.cache_url) != where(settings.broker_url)
    embedded, needs = not settings.redis_url, JOBS if apart else WHOLE
    yield from redis_findings("redis", settings.broker_url, settings, embedded=embedded, needs=needs)
    if apart:
        yield from redis_findings("cache redis", settings.cache_url, settings, embedded=False, needs=CACHE)
    yield from worker_findings(connect(settings.broker_url), settings, runs=runs)
    yield from archive_findings(settings.archive_location)
    yield from device_findings(settings.device)
