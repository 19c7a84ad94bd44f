"""The table at the end: where each mesh was served from, how long it took, what that saved and where it lies."""

from __future__ import annotations

from collections.abc import Sequence

from client.cli import wording
from client.cli.output import say, write_table
from client.cli.runs import Run

_COLUMNS = ("PICTURE", "SERVED FROM", "TIME", "SAVED", "FACES", "FILE")


def write_summary(runs: Sequence[Run], seconds: float | None = None) -> None:
    """One row per run, on standard output; what all of them took together, for people."""
    write_table(_COLUMNS, [_row(run) for run in runs], numbers=("TIME", "SAVED", "FACES"))
    for run in runs:
        for notice in run.job.result.notices if run.job and run.job.result else ():
            say(f"{run.order.name}: {notice.message}")
    if len(runs) > 1 and seconds is not None:
        say(total(runs, seconds))


def total(runs: Sequence[Run], seconds: float) -> str:
    """Many runs in one line."""
    made = sum(run.error is None for run in runs)
    saved_s = sum(run.job.saved_s or 0.0 for run in runs if run.job)
    meshes = f"{made} of {len(runs)} meshes" if made < len(runs) else f"{made} meshes"
    return f"{meshes} in {wording.duration(seconds)}" + (
        f"; the caches saved {wording.duration(saved_s)} of generating" if saved_s else ""
    )


def _row(run: Run) -> tuple[str, ...]:
    job = run.job
    served = "" if job is None else wording.served_from(job) or job.status
    saved = wording.saved(job) if job else ""
    faces = wording.count(job.result.faces) if job and job.result else ""
    place = str(run.file) if run.file else f"job {job.id}" if job else ""
    return run.order.name, "failed" if run.error else served, wording.duration(run.seconds), saved, faces, place
