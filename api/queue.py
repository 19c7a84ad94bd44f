"""The API's end of the queue: a Celery app that only sends, by name, without ever importing a task."""

from __future__ import annotations

from celery import Celery

from jobs.broker import Sender, broker_settings
from settings import Settings


def make_sender(settings: Settings) -> Sender:
    app = Celery("orfeas-api", set_as_current=False)
    app.conf.update(broker_settings(settings.broker_url, longest_job_s=settings.job_time_limit_s))
    sender = Sender(app)
    sender.prepare()
    return sender
