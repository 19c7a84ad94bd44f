"""The table at the end: where each mesh was served from, how long it took, what it is and where it lies."""

from __future__ import annotations

from collections.abc import Iterable

from client.cli import wording
from client.cli.output import write_table
from client.cli.runs import Run

_COLUMNS = ("PICTURE", "SERVED FROM", "TIME", "FACES", "FILE")


def write_summary(runs: Iterable[Run]) -> None:
    """One row per run, on standard output."""
    write_table(_COLUMNS, [_row(run) for run in runs], numbers=("TIME", "FACES"))


def _row(run: Run) -> tuple[str, ...]:
    job = run.job
    served = "" if job is None else wording.served_from(job) or job.status
    faces = wording.count(job.result.faces) if job and job.result else ""
    place = str(run.file) if run.file else f"job {job.id}" if job else ""
    return run.order.name, "failed" if run.error else served, wording.duration(run.seconds), faces, place
