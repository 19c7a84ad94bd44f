"""One accepted request, and the fields of the job and the works that the store makes of it."""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jobs.estimates import pace_name
from jobs.records import PRIORITIES
from jobs.requests import GenerationRequest, PreviewOptions, RenditionOptions
from jobs.states import Served


@dataclass(frozen=True)
class Submission:
    """One accepted request. `found` is what the caches already hold: the rendition, only its mesh, or nothing.

    `saved_s` is what generating the mesh of a found rendition had cost; None when that is not known.
    """

    owner: str
    generation: GenerationRequest
    options: RenditionOptions
    priority: str = "normal"
    label: str | None = None
    webhook_url: str | None = None
    idempotency: tuple[str, str] | None = None  # name, digest of the body
    anew: bool = False
    request_id: str = ""
    found: Literal["rendition", "mesh", "nothing"] = "nothing"
    cache: Served | None = None
    result: Mapping[str, Any] | None = None
    saved_s: float | None = None

    def arguments(self) -> dict[str, object]:
        """What `lua/submit.lua` needs of it."""
        generation_key = self.generation.key
        rendition_key = self.options.key(generation_key)
        told = {"anew": str(int(self.anew)), "request_id": self.request_id}
        rendition = rendition_fields(self.generation.generator, generation_key, self.options)
        return {
            "found": self.found,
            "priority": PRIORITIES[self.priority],
            "job": self._job_fields(generation_key, rendition_key),
            "rendition": {
                "key": rendition_key,
                "queue": "render",
                "fields": rendition | {"cache": self.cache or ""} | told,
            },
            "generation": {
                "key": generation_key,
                "queue": "generate",
                "fields": generation_fields(self.generation, generation_key) | told,
            },
            "result": json.dumps(self.result or {}),
        }

    def _job_fields(self, generation_key: str, rendition_key: str) -> dict[str, str]:
        return {
            "id": new_job_id(),
            "owner": self.owner,
            "generator": self.generation.generator,
            "generation": generation_key,
            "rendition": rendition_key,
            "request": json.dumps({"params": self.generation.params, "seed": self.generation.seed}),
            "options": self.options.model_dump_json(),
            "priority": str(PRIORITIES[self.priority]),
            "label": self.label or "",
            "webhook_url": self.webhook_url or "",
            "cache": self.cache or "",
            "saved_s": seconds_text(self.saved_s),
        }


def new_job_id() -> str:
    """32 hex digits that sort by time: 13 of microseconds, 19 of chance, so ids cannot be guessed."""
    return f"{time.time_ns() // 1000:013x}{secrets.token_hex(10)[1:]}"


def seconds_text(value: float | None) -> str:
    """As a field holds it: empty where nobody knows."""
    return "" if value is None else f"{value:.4f}"


def generation_fields(request: GenerationRequest, key: str) -> dict[str, str]:
    """A work that makes a mesh."""
    return {
        "kind": "generation",
        "generator": request.generator,
        "task_id": str(uuid.uuid4()),
        "request": request.model_dump_json(),
        "generation": key,
        "pace": pace_name(request),
    }


def rendition_fields(generator: str, generation_key: str, options: RenditionOptions | PreviewOptions) -> dict[str, str]:
    """A work that makes a form of a mesh."""
    return {
        "kind": "rendition",
        "generator": generator,
        "task_id": str(uuid.uuid4()),
        "generation": generation_key,
        "options": options.model_dump_json(),
    }
