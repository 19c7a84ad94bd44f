"""Webhooks as callers see them: their secret, what became of a job's delivery, another try, and a test event."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from flask_openapi import APIBlueprint, Tag

from api.auth import caller
from api.deliveries import Post, new_message_id
from api.errors import Problem
from api.jobs import known
from api.ordering import checked_webhook
from api.outbound import Outbound
from api.places import full, place
from api.problems import problems
from api.schemas import (
    JobBody,
    JobPath,
    JobUrls,
    WebhookLogBody,
    WebhookSecretsBody,
    WebhookTestBody,
    WebhookTestForm,
)
from api.services import Services, services
from api.signatures import Signer
from jobs.records import Job
from jobs.requests import MeshResult, RenditionOptions
from jobs.webhooks import Outbox, Try
from settings import Settings

webhooks = APIBlueprint("webhooks", __name__, abp_tags=[Tag(name="webhooks")], abp_responses=problems(503))


@webhooks.get("/api/webhooks/secret", responses={200: WebhookSecretsBody, **problems(404)})
def read_secret() -> dict[str, Any]:
    """What this caller verifies signatures with; every caller has another."""
    signer = Signer(services().settings.webhook_secret)
    if not signer.ready:
        raise Problem(404, "webhooks_off", "this service sends no webhooks (WEBHOOK_SECRET)")
    return WebhookSecretsBody(secrets=signer.secrets_of(caller().owner)).model_dump()


@webhooks.post("/api/webhooks/test", responses={200: WebhookTestBody, **problems(415, 422)})
def send_test(body: WebhookTestForm) -> dict[str, Any]:
    """Post the body of an invented job to a URL, once, and say how it went."""
    settings = services().settings
    url = checked_webhook(body.url, field="url")
    message_id = new_message_id()
    post = Post(Outbound.of(settings), Signer(settings.webhook_secret))
    owner = caller().owner
    with place(owner) as there_is_one:  # the receiver may take its time
        if not there_is_one:
            raise full()
        tried = post(url, message_id, _invented(settings).model_dump_json().encode(), owner=owner).tried
    return WebhookTestBody(**_told(tried), webhook_id=message_id).model_dump(mode="json")


@webhooks.get("/api/jobs/<job_id>/webhooks", responses={200: WebhookLogBody, **problems(404, 422)})
def read_log(path: JobPath) -> dict[str, Any]:
    """Every try to deliver a job's webhook, and when the next one is."""
    house = services()
    return _log(house, known(house, path.job_id))


@webhooks.post("/api/jobs/<job_id>/webhooks", responses={200: WebhookLogBody, **problems(404, 409, 422)})
def resend(path: JobPath) -> dict[str, Any]:
    """Send an ended job's webhook again, under the same `Webhook-Id`, with all its tries."""
    house = services()
    job = known(house, path.job_id)
    answer = _outbox(house).resend(job.id)
    if answer == "none":
        raise Problem(409, "no_webhook", "the job was submitted without webhook_url")
    if answer == "early":
        raise Problem(409, "not_ready", f"the job is {job.status}; its webhook is sent when it ends", retryable=True)
    return _log(house, job)


def _outbox(house: Services) -> Outbox:
    return Outbox(house.store, max_attempts=house.settings.webhook_attempts)


def _log(house: Services, job: Job) -> dict[str, Any]:
    found = _outbox(house).log(job.id, job.owner)
    return WebhookLogBody(
        url=job.webhook_url,
        status=found.status if job.webhook_url else None,
        attempts=found.attempts,
        next_attempt_at=found.next_at,
        tries=[_told(one) for one in found.tries],  # type: ignore[misc]  # pydantic reads them
    ).model_dump(mode="json")


def _told(one: Try) -> dict[str, Any]:
    return asdict(one) | {"delivered": one.delivered}


def _invented(settings: Settings) -> JobBody:
    """A succeeded job that never was; its id is all zeros."""
    now, job_id = datetime.now(UTC), "0" * 32
    result = MeshResult(
        format="glb", size_bytes=1024, vertices=8, faces=12, watertight=True, volume_mm3=125_000.0,
        size_mm=(50.0, 50.0, 50.0), sha256="0" * 64,
    )  # fmt: skip
    return JobBody(
        id=job_id, task_id=None, status="succeeded", stage=None, progress=100, queue_position=None, eta_s=None,
        generator="test", params={}, options=RenditionOptions().model_dump(mode="json"), key="0" * 64, cache="MISS",
        saved_s=0.0, attempts=1, label="webhook test", created_at=now, started_at=now, finished_at=now, timings={},
        result=result, error=None,
        urls=JobUrls.of(job_id, "glb", settings.public_url),
    )  # fmt: skip
