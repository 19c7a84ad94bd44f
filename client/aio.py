"""`AsyncClient`: the service for asyncio, call for call as `client.sync.Client`, on the same decisions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

from client import downloads, following
from client.core import DEFAULT_URL, Core, service_url
from client.downloads import DEFAULT_TIMEOUT_S, Form
from client.drivers import AsyncDriver
from client.models import CacheEntry, CacheStats, Generator, Health, Job, Refusal, WebhookLog, WebhookTry
from client.retries import RetryPolicy
from client.submission import Image, JobOptions


class AsyncClient:
    """One service, for one event loop; what each call does and raises stands at `client.sync.Client`."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        api_key: str | None = None,
        *,
        retries: RetryPolicy | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._core = Core(service_url(url), retries or RetryPolicy(), clock)
        self._driver = AsyncDriver(self._core.url, api_key, sleep)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._driver.close()

    @property
    def url(self) -> str:
        return self._core.url

    async def submit(self, image: Image, **options: Unpack[JobOptions]) -> Job:
        return await self._driver.run(self._core.submit(image, options))

    async def submit_batch(self, images: Iterable[Image], **options: Unpack[JobOptions]) -> list[Job | Refusal]:
        return await self._driver.run(self._core.submit_batch(images, options))

    async def job(self, job: Job | str) -> Job:
        return await self._driver.run(self._core.job(job))

    def jobs(
        self,
        *,
        status: str | None = None,
        generator: str | None = None,
        label: str | None = None,
        page_size: int | None = None,
    ) -> AsyncIterator[Job]:
        return self._driver.iterate(self._core.jobs(status=status, generator=generator, label=label, limit=page_size))

    async def wait(
        self, job: Job | str, timeout_s: float | None = None, on_progress: Callable[[Job], Any] | None = None
    ) -> Job:
        """As `Client.wait`; `on_progress` may be a coroutine function."""
        return await self._driver.run(following.wait(self._core, job, timeout_s, on_progress))

    def stream(self, job: Job | str) -> AsyncIterator[Job]:
        return self._driver.iterate(following.stream(self._core, job))

    async def cancel(self, job: Job | str) -> Job:
        return await self._driver.run(self._core.cancel(job))

    async def download(
        self,
        job: Job | str,
        to: str | PathLike[str],
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        **form: Unpack[Form],
    ) -> Path:
        return await self._driver.run(downloads.download(self._core, job, Path(to), form, timeout_s))

    async def model(self, job: Job | str, *, timeout_s: float = DEFAULT_TIMEOUT_S, **form: Unpack[Form]) -> bytes:
        return await self._driver.run(downloads.model(self._core, job, form, timeout_s))

    async def preview(self, job: Job | str, size_px: int | None = None, timeout_s: float = DEFAULT_TIMEOUT_S) -> bytes:
        return await self._driver.run(downloads.preview(self._core, job, size_px, timeout_s))

    async def webhook_log(self, job: Job | str) -> WebhookLog:
        return await self._driver.run(self._core.webhook_log(job))

    async def resend_webhook(self, job: Job | str) -> WebhookLog:
        return await self._driver.run(self._core.resend_webhook(job))

    async def test_webhook(self, url: str) -> WebhookTry:
        return await self._driver.run(self._core.test_webhook(url))

    async def webhook_secrets(self) -> list[str]:
        return await self._driver.run(self._core.webhook_secrets())

    async def generators(self) -> list[Generator]:
        return await self._driver.run(self._core.generators())

    async def health(self) -> Health:
        return await self._driver.run(self._core.health())

    async def cache_stats(self) -> CacheStats:
        return await self._driver.run(self._core.cache_stats())

    async def cache_config(self, **changes: object) -> Mapping[str, Any]:
        return await self._driver.run(self._core.cache_config(changes))

    async def cache_clear(self, tier: str | None = None) -> Mapping[str, Any]:
        return await self._driver.run(self._core.cache_clear(tier))

    def cache_entries(self, tier: str | None = None, page_size: int | None = None) -> AsyncIterator[CacheEntry]:
        return self._driver.iterate(self._core.cache_entries(tier=tier, limit=page_size))

    async def cache_entry(self, key: str) -> Mapping[str, Any]:
        return await self._driver.run(self._core.cache_entry(key))

    async def cache_delete(self, key: str) -> Mapping[str, Any]:
        return await self._driver.run(self._core.cache_delete(key))
