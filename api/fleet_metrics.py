"""The fleet's figures as Prometheus metrics, read from Redis when somebody asks; one process answers for all.

A Redis that is down costs a scrape its time-outs and these metrics, never the answer: `orfeas_redis_up` says so.
Label values are words of ours, queues, devices and registered generators, so there are few.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString
from redis import RedisError

from api.services import Services
from cache.loops import THREADS
from jobs.errors import JobError
from jobs.figures import Durations, Figures, read_figures
from jobs.fleet import WorkerInfo
from jobs.records import QUEUES, Queue
from version import VERSION

log = logging.getLogger(__name__)

MB = 2**20
_ENDS = ("succeeded", "failed", "canceled")
_ADMISSIONS = ("new", "joined", "done")
_SERVED = ("MISS", "HIT-L1", "HIT-L2", "HIT-ARCHIVE", "COALESCED")
_DELIVERIES = ("delivered", "retried", "failed")
_THREADS = ("cache-beat", "change-feed", "fleet-pulse", "janitor", "pulse", "watch", "webhooks")


class FleetCollector:
    """Made anew for each scrape."""

    def __init__(self, house: Services) -> None:
        self._house = house

    def collect(self) -> Iterator[Metric]:
        yield _gauge("build_info", "Constant 1, with the version", ["version"], {(VERSION,): 1})
        try:
            figures, workers = read_figures(self._house.store), self._house.fleet.workers()
            stalled = self._house.store.stalls()
        except RedisError as error:
            log.warning("metrics without the fleet: Redis does not answer: %s", error)
            yield _gauge("redis_up", "1 when the job store answers", [], {(): 0})
            return
        yield _gauge("redis_up", "1 when the job store answers", [], {(): 1})
        yield from _of_jobs(figures)
        yield from _of_queues(figures, stalled, self._house.settings.queue_limit)
        yield from _of_threads(figures, workers, self._house.settings.heartbeat_timeout_s)
        yield from _of_workers(workers, self._house.settings.heartbeat_timeout_s)
        yield from _of_redis(figures)
        yield from _of_cache(self._house.fleet_cache.stats())


def _of_jobs(figures: Figures) -> Iterator[Metric]:
    count = figures.counters
    yield _counter("jobs_submitted", "Jobs accepted", [], {(): count.get("submitted", 0)})
    admitted = {(word,): count.get(f"outcome:{word}", 0) for word in _ADMISSIONS}
    yield _counter("jobs_admitted", "Jobs by what was there: nothing, a work, a result", ["outcome"], admitted)
    yield _counter("jobs_ended", "Jobs by how they ended", ["status"], {(end,): count.get(end, 0) for end in _ENDS})
    served = figures.by("served")
    yield _counter(
        "jobs_served", "Succeeded jobs by where they were served from", ["cache"],
        {(word,): served.get(word, 0) for word in _SERVED},
    )  # fmt: skip
    # Each from 0 on: Prometheus sees no increase in a series that begins with its first failure.
    failures = {(code,): 0 for code in codes_of(JobError)} | {
        (code,): number for code, number in figures.by("failed").items()
    }
    yield _counter("job_failures", "Failed jobs by error code", ["code"], failures)
    generations = figures.by("generation")
    yield _counter(
        "generations", "Generations by where the mesh came from", ["cache"],
        {(word,): generations.get(word, 0) for word in _SERVED[:-1]},
    )  # fmt: skip
    yield _histogram("generation_seconds", "Time of the generator itself", "generator", figures.generations)
    delivered = figures.by("webhook")
    yield _counter(
        "webhook_deliveries", "Tries of webhooks, by outcome", ["outcome"],
        {(word,): delivered.get(word, 0) for word in _DELIVERIES},
    )  # fmt: skip
    yield _gauge("webhooks_pending", "Webhooks to be delivered", [], {(): figures.webhooks_pending})


def codes_of(kind: type[JobError]) -> set[str]:
    """The codes of an error class and of all below it."""
    return {kind.code}.union(*(codes_of(one) for one in kind.__subclasses__()))


def _of_queues(figures: Figures, stalled: Mapping[Queue, int], limit: int) -> Iterator[Metric]:
    depths = {(queue,): depth for queue, depth in figures.depths.items()}
    yield _gauge("queue_depth", "Works that wait for a worker", ["queue"], depths)
    waiting = {(queue,): works for queue, works in stalled.items()}
    yield _gauge("queue_stalled", "Works that wait beside an idle worker", ["queue"], waiting)
    sent_again = {(queue,): figures.by("stalled").get(queue, 0) for queue in QUEUES}
    yield _counter("stalled_works_sent_again", "Times that such a work was sent again", ["queue"], sent_again)
    yield _gauge("queue_limit", "Works that may wait (QUEUE_LIMIT)", [], {(): limit})
    yield _histogram("queue_wait_seconds", "Time from submission to a worker", "queue", figures.waits)


def _of_threads(figures: Figures, workers: Iterable[WorkerInfo], patience_s: float) -> Iterator[Metric]:
    failures = {(name,): 0 for name in _THREADS} | {
        (name,): number for name, number in figures.by("thread_failed").items()
    }
    yield _counter("thread_failures", "Failed steps of background threads, which go on", ["thread"], failures)
    gone = len(THREADS.gone()) + sum(len(one.threads_gone) for one in workers if one.alive(patience_s))
    yield _gauge("threads_gone", "Background threads of the workers and of this process that ended", [], {(): gone})


def _of_workers(workers: Iterable[WorkerInfo], patience_s: float) -> Iterator[Metric]:
    alive = [one for one in workers if one.alive(patience_s)]
    present = Counter((one.queue, one.device) for one in alive)
    served = {one.queue for one in alive}
    missing = {(queue, "none"): 0 for queue in QUEUES if queue not in served}
    yield _gauge("workers_alive", "Worker processes that beat", ["queue", "device"], present | missing)
    ready = Counter(one.queue for one in alive if one.ready(patience_s))
    yield _gauge(
        "workers_ready", "Those of them that take work", ["queue"], {(queue,): ready[queue] for queue in QUEUES}
    )
    memory = {
        (one.host, one.device, kind): mb * 2**20
        for one in alive
        if one.memory_total_mb
        for kind, mb in (("used", one.memory_used_mb), ("total", one.memory_total_mb))
    }
    yield _gauge("device_memory_bytes", "Memory of the workers' GPUs", ["host", "device", "kind"], memory)
    busy = Counter(one.queue for one in alive if one.doing)
    yield _gauge("workers_busy", "Worker processes at work", ["queue"], {(queue,): busy[queue] for queue in QUEUES})


def _of_redis(figures: Figures) -> Iterator[Metric]:
    """Each only where this user of Redis may read it."""
    for name, text, value in (
        ("redis_memory_bytes", "Memory that the job store's Redis uses", figures.memory_bytes),
        ("redis_memory_limit_bytes", "Its maxmemory; 0 is none", figures.memory_limit_bytes),
        ("redis_persistence_ok", "1 when its last writes to disk went well", figures.persisted),
    ):
        if value is not None:
            yield _gauge(name, text, [], {(): int(value)})


def _of_cache(told: Mapping[str, Any]) -> Iterator[Metric]:
    available = bool(told["shared"]["available"])
    yield _gauge("cache_shared_up", "1 when the shared tier answers", [], {(): int(available)})
    yield _gauge("cache_enabled", "1 when the tiers answer", [], {(): int(told["cache_enabled"])})
    if not available:
        return
    tiers: dict[str, Mapping[str, Any]] = {"local": told["stats"], "shared": told["shared"]}
    hits = {(name,): tier["hits"] for name, tier in tiers.items()}
    hits[("archive",)] = told["stats"]["archive_hits"]
    yield _counter("cache_hits", "Lookups that a tier answered", ["tier"], hits)
    yield _counter("cache_misses", "Lookups that it did not", ["tier"], {(n,): t["misses"] for n, t in tiers.items()})
    evictions = {
        (name, reason): tier[f"evictions_by_{reason}"] for name, tier in tiers.items() for reason in ("count", "size")
    }
    yield _counter("cache_evictions", "Entries that gave way", ["tier", "reason"], evictions)
    rebuilds = {(): told["shared"]["index_rebuilds"]}
    yield _counter("cache_index_rebuilds", "Rebuilds of the shared tier's index after keys had vanished", [], rebuilds)
    usage = (told["archive"] or {}).get("usage")
    counted = {"current_items": usage["objects"], "current_memory_mb": usage["memory_mb"]} if usage else {}
    for metric, field, unit, text in (
        ("cache_entries", "current_items", 1, "Entries of a tier"),
        ("cache_entries_limit", "max_items", 1, "Entries that it may have"),
        ("cache_bytes", "current_memory_mb", MB, "Bytes of a tier"),
        ("cache_bytes_limit", "max_memory_mb", MB, "Bytes that it may have"),
    ):
        held = tiers | ({"archive": counted} if field in counted else {})
        yield _gauge(metric, text, ["tier"], {(name,): tier[field] * unit for name, tier in held.items()})
    saved = {(): told["stats"]["gpu_seconds_saved"]}
    yield _counter("gpu_seconds_saved", "Seconds of generating that hits have saved", [], saved)


def _gauge(name: str, text: str, labels: list[str], values: Mapping[Any, float]) -> Metric:
    return _filled(GaugeMetricFamily(f"orfeas_{name}", text, labels=labels), values)


def _counter(name: str, text: str, labels: list[str], values: Mapping[Any, float]) -> Metric:
    return _filled(CounterMetricFamily(f"orfeas_{name}", text, labels=labels), values)


def _filled(family: Any, values: Mapping[Any, float]) -> Metric:
    for labels, value in values.items():
        family.add_metric(list(labels), value)
    return family


def _histogram(name: str, text: str, label: str, values: Mapping[Any, Durations]) -> Metric:
    family = HistogramMetricFamily(f"orfeas_{name}", text, labels=[label])
    for value, durations in values.items():
        buckets = [(floatToGoString(bound), count) for bound, count in durations.cumulative]
        family.add_metric([value], buckets=buckets, sum_value=durations.sum_s)
    return family
