"""The worker's composition root: the Celery app, each setting with its reason, and the process behind its tasks.

Start it with `celery -A worker.app worker -Q generate -c 1` (one per GPU) or `-Q render -c N`.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
from functools import cache
from typing import Any

import celery.apps.worker
from billiard import active_children, current_process
from celery import Celery
from celery.signals import (
    celeryd_init,
    setup_logging,
    task_revoked,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_shutting_down,
)

import logs
from jobs.broker import Sender, broker_settings
from jobs.records import QUEUES
from jobs.store import JobStore
from settings import drop_service_links, load
from worker import remote as remote  # replaces Celery's commands
from worker.consuming import Consuming, ConsumingStep
from worker.drain import set_signal_aside
from worker.guard import Guard, Ticks
from worker.link import connect
from worker.revocations import Revocations

log = logging.getLogger(__name__)

drop_service_links()
# Workers and Flower bind no HOST. The logs are set up here because Flower sends no signal to do it.
settings = load(protected_mode=False)
app = Celery("orfeas", include=["worker.tasks"])
app.conf.update(
    broker_settings(settings.broker_url, longest_job_s=settings.job_time_limit_s),
    # A worker holds exactly the message that it runs; the next one stays where idle workers see it.
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    # A lost child is noticed by its heartbeat; the broker must not requeue on its own, without counting attempts.
    task_reject_on_worker_lost=False,
    # The pulse ends a hung child; this is for one whose threads stand still as well.
    task_time_limit=settings.job_time_limit_s + 60,
    # A worker would hold back messages that idle ones could run.
    worker_disable_rate_limits=True,
    # Flower.
    worker_send_task_events=True,
    # A child that loads a big model must not be killed for being slow, least of all after a crash.
    worker_proc_alive_timeout=600,
    # Started before Redis, it waits; when the connection breaks, a running task goes on, since its claim is fenced.
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    # A Redis that is full or read-only for a while answers errors; without this the worker ends at the first of them.
    broker_channel_error_retry=True,
    # Ids only travel; nothing here is worth a result backend, `JobStore` owns the state.
    result_backend=None,
)

_process: Any = None
# Children inherit it. Not host and process id: two containers may share both.
_PARENT = secrets.token_hex(8)
_TICKS = Ticks()
_CONSUMING = Consuming()
_REVOCATIONS = Revocations(lambda: JobStore(connect(settings.broker_url)))


@setup_logging.connect
def keep_logs(**_: object) -> None:
    """Keeps Celery from setting up formats of its own."""


@celeryd_init.connect
def print_nothing_but_logs(instance: Any, **_: object) -> None:
    """With JSON, no banner and no plain sentences when it stops; `celery inspect` and its like are not concerned."""
    if settings.log_format == "json":
        instance.quiet = True
        logs.capture_output()
        # Written in signal handlers, past `logging` and every stream.
        celery.apps.worker.safe_say = lambda event, *_: os.write(2, logs.line_of(event, "celery.worker"))


@worker_init.connect
def guard_children(**_: object) -> None:
    """The fleet takes over from a silent child after HEARTBEAT_TIMEOUT_S; after three times that it is ended."""
    Guard(_TICKS, patience_s=3 * settings.heartbeat_timeout_s).start(active_children)
    _REVOCATIONS.start()


@task_revoked.connect
def cancel_jobs(request: Any = None, **_: object) -> None:
    """Somebody revoked or terminated a task of ours."""
    if request is not None and len(request.args) == 2:
        _REVOCATIONS.put(request.args[1], request.id)


@worker_process_init.connect
def build_process(**_: object) -> None:
    """After the fork: CUDA, sockets and threads begin in the child.

    A child that cannot be built would live on without working, so the whole worker ends: whoever supervises it sees
    it fall, with the reason in its log.
    """
    set_signal_aside()
    _TICKS.tick(_index(), 0)
    try:
        process()
    except Exception:
        log.exception("this worker cannot start")
        os.kill(os.getppid(), signal.SIGTERM)
        os._exit(1)


@worker_shutting_down.connect
def tell_children(how: str = "Warm", **_: object) -> None:
    """Celery waits for its children without telling them; ours finish in time or hand over (`worker/drain.py`)."""
    if how == "Warm":
        for child in active_children():
            child.terminate()


@worker_process_shutdown.connect
def close_process(**_: object) -> None:
    if _process is not None:
        _process.close()


def process() -> Any:
    """This child's `Process`, built once."""
    global _process
    if _process is None:
        from worker.process import Process  # here, so that the parent never imports torch

        _process = Process(settings, Sender(app), queue=_served(), slot=_slot(), consuming=_CONSUMING)
        _process.start()
        _TICKS.start(_index())
    return _process


def _queue() -> str:
    """The queue that this worker was started for."""
    serves = [queue for queue in QUEUES if queue in app.amqp.queues.consume_from]
    return serves[0] if serves else QUEUES[0]


# What a worker was started for, whatever it is told to consume later.
_served = cache(_queue)
ConsumingStep.consuming, ConsumingStep.queue = _CONSUMING, staticmethod(_served)
app.steps["consumer"].add(ConsumingStep)


def _slot() -> str:
    """This child's place: the successor of a killed child sits in the same one."""
    return f"{_PARENT}:{_index()}"


def _index() -> int:
    return getattr(current_process(), "index", 0)
