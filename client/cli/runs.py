"""Runs orders: submits pictures, follows their jobs and saves their meshes, several at a time on one event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.aio import AsyncClient
from client.cli.orders import Order
from client.cli.output import write_bytes
from client.cli.progress import Bar, Bars
from client.downloads import write_whole
from client.errors import OrfeasError
from client.models import Job
from client.submission import JobOptions


@dataclass
class Run:
    """What has become of one order; `seconds` is from the submission until the mesh was saved."""

    order: Order
    job: Job | None = None
    file: Path | None = None
    preview: Path | None = None
    seconds: float | None = None
    error: BaseException | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "image": self.order.name,
            "file": str(self.file) if self.file else None,
            "preview": str(self.preview) if self.preview else None,
            "seconds": round(self.seconds, 3) if self.seconds is not None else None,
            "job": self.job.body if self.job else None,
            "error": str(self.error) if self.error else None,
        }


@dataclass(frozen=True)
class Plan:
    """How all orders are to be run; `wait` false only submits."""

    options: JobOptions
    at_once: int
    wait: bool
    timeout_s: float | None
    with_preview: bool


async def run_all(client: AsyncClient, runs: Sequence[Run], plan: Plan, bars: Bars) -> None:
    """Run every order, at most `plan.at_once` at a time; each run keeps its own error."""
    gate = asyncio.Semaphore(plan.at_once)
    async with client, asyncio.TaskGroup() as group:
        for run in runs:
            group.create_task(_run_in_turn(client, run, plan, bars.add(run.order.name), gate))


async def _run_in_turn(client: AsyncClient, run: Run, plan: Plan, bar: Bar, gate: asyncio.Semaphore) -> None:
    async with gate:
        bar.say("sending")
        try:
            await _run(client, run, plan, bar)
        except Exception as error:  # also what nobody foresaw: it must not end the other pictures' runs
            run.error = error if isinstance(error, OrfeasError | OSError) else OrfeasError(_unforeseen(error))
            bar.say("failed", "red")


def _unforeseen(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


async def _run(client: AsyncClient, run: Run, plan: Plan, bar: Bar) -> None:
    started_s = time.monotonic()
    run.job = await client.submit(run.order.image, **plan.options)
    bar.show(run.job)
    if not plan.wait:
        return

    def on_progress(job: Job) -> None:
        run.job = job
        bar.show(job)

    run.job = await client.wait(run.job, plan.timeout_s, on_progress)
    await _save_mesh(client, run, run.job)
    run.seconds = time.monotonic() - started_s
    if plan.with_preview:
        await _save_preview(client, run, run.job)


async def _save_mesh(client: AsyncClient, run: Run, job: Job) -> None:
    if run.order.target is None:
        write_bytes(await client.model(job))
    else:
        run.file = await client.download(job, run.order.target)


async def _save_preview(client: AsyncClient, run: Run, job: Job) -> None:
    if run.order.preview_target is not None:
        write_whole(run.order.preview_target, await client.preview(job))
        run.preview = run.order.preview_target
