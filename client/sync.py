"""`Client`: the service as blocking calls. What to send and when is decided in `core` and its neighbours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

from client import downloads, following
from client.core import DEFAULT_URL, Core, service_url
from client.downloads import DEFAULT_TIMEOUT_S, Form
from client.drivers import Driver
from client.models import CacheEntry, CacheStats, Generator, Health, Job, Refusal, WebhookLog, WebhookTry
from client.retries import RetryPolicy
from client.submission import Image, JobOptions


class Client:
    """One service. Close it, or use it as a context manager; threads may share it.

    Every call can raise `client.errors.NotReachable` and `client.errors.ApiError`.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        api_key: str | None = None,
        *,
        retries: RetryPolicy | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._core = Core(service_url(url), retries or RetryPolicy(), clock)
        self._driver = Driver(self._core.url, api_key, sleep)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._driver.close()

    @property
    def url(self) -> str:
        return self._core.url

    def submit(self, image: Image, **options: Unpack[JobOptions]) -> Job:
        """Submit a picture (path, bytes or open binary file); the options are those of `JobOptions`.

        Raises:
            BadRequest: the picture or an option was refused.
            OSError: the picture cannot be read.
        """
        return self._driver.run(self._core.submit(image, options))

    def submit_batch(self, images: Iterable[Image], **options: Unpack[JobOptions]) -> list[Job | Refusal]:
        """Submit up to 100 pictures with the same options in one call; each is judged alone, in the order given.

        A picture that cannot be read is a `Refusal` too, and costs the others nothing.

        Raises:
            OSError: none of them can be read.
        """
        return self._driver.run(self._core.submit_batch(images, options))

    def job(self, job: Job | str) -> Job:
        """A job as it is now.

        Raises:
            NotFound: there is none of this id.
        """
        return self._driver.run(self._core.job(job))

    def jobs(
        self,
        *,
        status: str | None = None,
        generator: str | None = None,
        label: str | None = None,
        page_size: int | None = None,
    ) -> Iterator[Job]:
        """All jobs that match, newest first; pages are fetched as they are needed."""
        return self._driver.iterate(self._core.jobs(status=status, generator=generator, label=label, limit=page_size))

    def wait(
        self, job: Job | str, timeout_s: float | None = None, on_progress: Callable[[Job], Any] | None = None
    ) -> Job:
        """Wait for a job to end well; `on_progress` is told each change, about once a second.

        Raises:
            JobFailed, JobCanceled: it ended otherwise.
            WaitTimeout: it has not ended after `timeout_s`; it goes on.
        """
        return self._driver.run(following.wait(self._core, job, timeout_s, on_progress))

    def stream(self, job: Job | str) -> Iterator[Job]:
        """The job at each change, as the service tells it, up to its end; resumes by itself when the stream breaks."""
        return self._driver.iterate(following.stream(self._core, job))

    def cancel(self, job: Job | str) -> Job:
        """Cancel a job; others that wait for the same mesh are not disturbed.

        Raises:
            Conflict: it has ended already.
        """
        return self._driver.run(self._core.cancel(job))

    def download(
        self,
        job: Job | str,
        to: str | PathLike[str],
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        **form: Unpack[Form],
    ) -> Path:
        """Save the mesh of a finished job to the file `to`, in the job's own form or in another one.

        Raises:
            Conflict: there is no mesh, or the form was not ready after `timeout_s`.
            OSError: the file cannot be written.
        """
        return self._driver.run(downloads.download(self._core, job, Path(to), form, timeout_s))

    def model(self, job: Job | str, *, timeout_s: float = DEFAULT_TIMEOUT_S, **form: Unpack[Form]) -> bytes:
        """The mesh of a finished job as bytes; otherwise as `download`."""
        return self._driver.run(downloads.model(self._core, job, form, timeout_s))

    def preview(self, job: Job | str, size_px: int | None = None, timeout_s: float = DEFAULT_TIMEOUT_S) -> bytes:
        """A shaded picture of the mesh, PNG, `size_px` wide and high."""
        return self._driver.run(downloads.preview(self._core, job, size_px, timeout_s))

    def webhook_log(self, job: Job | str) -> WebhookLog:
        """What was tried to deliver a job's webhook."""
        return self._driver.run(self._core.webhook_log(job))

    def resend_webhook(self, job: Job | str) -> WebhookLog:
        """Send an ended job's webhook again, under the same id.

        Raises:
            Conflict: it has not ended, or has no webhook.
        """
        return self._driver.run(self._core.resend_webhook(job))

    def test_webhook(self, url: str) -> WebhookTry:
        """Have the service send an invented job to a URL, and tell how that went."""
        return self._driver.run(self._core.test_webhook(url))

    def webhook_secrets(self) -> list[str]:
        """What to verify this caller's webhooks with; two while the service changes over."""
        return self._driver.run(self._core.webhook_secrets())

    def generators(self) -> list[Generator]:
        return self._driver.run(self._core.generators())

    def health(self) -> Health:
        return self._driver.run(self._core.health())

    def cache_stats(self) -> CacheStats:
        return self._driver.run(self._core.cache_stats())

    def cache_config(self, **changes: object) -> Mapping[str, Any]:
        """The cache's effective configuration, after these changes if there are any (`max_size=500` …)."""
        return self._driver.run(self._core.cache_config(changes))

    def cache_clear(self, tier: str | None = None) -> Mapping[str, Any]:
        """Clear `local`, `shared`, `archive` or `all`; without a tier, local and shared."""
        return self._driver.run(self._core.cache_clear(tier))

    def cache_entries(self, tier: str | None = None, page_size: int | None = None) -> Iterator[CacheEntry]:
        """The entries of a tier, most recent first."""
        return self._driver.iterate(self._core.cache_entries(tier=tier, limit=page_size))

    def cache_entry(self, key: str) -> Mapping[str, Any]:
        return self._driver.run(self._core.cache_entry(key))

    def cache_delete(self, key: str) -> Mapping[str, Any]:
        """Delete one entry from every tier."""
        return self._driver.run(self._core.cache_delete(key))
