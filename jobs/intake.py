"""From a request to a job: check, hash, look whether it exists, submit, send. What both single and batch use.

It knows nothing of HTTP; errors are those of `jobs/errors.py`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cache import MISSING
from cache.archive import Archive
from cache.singleflight import SingleFlight
from cache.tiered import TieredCache
from jobs.broker import Sender
from jobs.errors import GeneratorUnavailable, ImageTooLarge, NoGenerators, UnknownGenerator
from jobs.fleet import GeneratorCard
from jobs.parameters import fill
from jobs.pictures import check_picture
from jobs.requests import GenerationRequest, RenditionOptions
from jobs.states import served_from
from jobs.store import JobStore, Outcome
from jobs.submission import Submission

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """What a caller asks for, beside the picture. `generator` None takes the fleet's default."""

    generator: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    options: RenditionOptions = field(default_factory=RenditionOptions)
    priority: str = "normal"
    label: str | None = None
    webhook_url: str | None = None
    idempotency_key: str | None = None
    anew: bool = False
    request_id: str = ""


@dataclass(frozen=True)
class UploadLimits:
    max_upload_bytes: int
    max_megapixels: float


class Intake:
    """Takes orders in. `cache` has no local tier here; with `lookup` off, repeats are left to the workers."""

    def __init__(
        self,
        store: JobStore,
        cards: Callable[[], Mapping[str, GeneratorCard]],
        cache: TieredCache,
        inputs: Archive,
        sender: Sender,
        limits: UploadLimits,
        *,
        lookup: bool = True,
    ) -> None:
        self._store = store
        self._cards = cards
        self._cache = cache
        self._inputs = inputs
        self._sender = sender
        self._limits = limits
        self._lookup = lookup
        self._uploads: SingleFlight[object] = SingleFlight()

    def submit(self, image: bytes, order: Order, *, owner: str) -> tuple[Outcome, str]:
        """Accepts the order; answers the outcome and the job's id.

        Raises:
            InputError: the picture or a parameter is not acceptable.
            GeneratorUnavailable: known, but no worker can run it, or no worker has ever said hello.
            cache.errors.ArchiveUnavailable: the upload could not be kept.
            redis.RedisError: Redis does not answer.
        """
        cards = self._cards()  # first of all: a Redis that hangs is noticed here, before its time-outs add up
        self._check(image)
        request = self._request(image, order, choose_card(cards, order.generator))
        submission = self._look_up(Submission(
            owner=owner, generation=request, options=order.options, priority=order.priority, label=order.label,
            webhook_url=order.webhook_url, idempotency=_idempotency(owner, order, request), anew=order.anew,
            request_id=order.request_id,
        ))  # fmt: skip
        if submission.found == "nothing":
            self._keep_input(request.image_sha256, image)
        outcome, job_id, to_send = self._store.submit(submission)
        if to_send:
            self._send(to_send)
        return outcome, job_id

    def _keep_input(self, sha256: str, image: bytes) -> None:
        """Stores the upload with a new age, so that the janitor leaves it; simultaneous ones of a picture share that.

        Raises: cache.errors.ArchiveUnavailable.
        """
        self._uploads.run(sha256, lambda: self._inputs.replace(sha256, image, {}))

    def check_ready(self) -> None:
        """Raises: redis.RedisError, GeneratorUnavailable: an order would not be accepted now."""
        choose_card(self._cards(), None)

    def _check(self, image: bytes) -> None:
        if len(image) > self._limits.max_upload_bytes:
            raise ImageTooLarge(
                f"the image is {len(image)} bytes; the limit is {self._limits.max_upload_bytes} (MAX_UPLOAD_MB)"
            )
        check_picture(image, max_megapixels=self._limits.max_megapixels)

    def _request(self, image: bytes, order: Order, card: GeneratorCard) -> GenerationRequest:
        return GenerationRequest(
            image_sha256=hashlib.sha256(image).hexdigest(),
            generator=card.name,
            revision=card.revision,
            params=fill(card.schema, order.params),
            seed=order.seed,
        )

    def _look_up(self, submission: Submission) -> Submission:
        """Notes what the shared tier or the archive already holds: the rendition, or at least its mesh."""
        if submission.anew or not self._lookup:
            return submission
        generation_key = submission.generation.key
        described = self._cache.describe(submission.options.key(generation_key))
        if described is not MISSING:
            meta: Mapping[str, Any] = described.meta
            return replace(
                submission, found="rendition", cache=served_from(described.tier), result=meta["result"],
                saved_s=meta.get("cost_s"),
            )  # fmt: skip
        described = self._cache.describe(generation_key)
        if described is not MISSING:
            return replace(submission, found="mesh", cache=served_from(described.tier))
        return submission

    def _send(self, key: str) -> None:
        try:
            for work in self._store.due(only=key):
                self._sender.send(work)
                self._store.sent(work)
        except Exception as error:  # any transport's own error: the job is accepted, and the watch will send it
            log.warning("the message of work %s was not sent yet: %s", key, error)


def choose_card(cards: Mapping[str, GeneratorCard], name: str | None) -> GeneratorCard:
    """The named generator's card, or the default one's.

    Raises: UnknownGenerator, GeneratorUnavailable.
    """
    if not cards:
        raise NoGenerators("no generate worker has said hello yet; start one, or try again in a moment")
    card = cards.get(name) if name else next((card for card in cards.values() if card.default), None)
    if card is None:
        raise UnknownGenerator(f"no generator is called {name!r}; there are: {', '.join(sorted(cards))}")
    if card.unavailable_because:
        raise GeneratorUnavailable(f"{card.name} is not available: {card.unavailable_because}")
    return card


def _idempotency(owner: str, order: Order, request: GenerationRequest) -> tuple[str, str] | None:
    """The key's name in the store, apart per owner, and a digest of everything the body asked for."""
    if not order.idempotency_key:
        return None
    name = hashlib.sha256(f"{owner}\0{order.idempotency_key}".encode()).hexdigest()
    asked = (request.key, order.options.model_dump_json(), order.priority, order.label, order.webhook_url, order.anew)
    return name, hashlib.sha256(repr(asked).encode()).hexdigest()
