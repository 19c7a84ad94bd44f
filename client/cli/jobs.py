"""`orfeas status`, `list`, `cancel`, `download`: what becomes of jobs that exist."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import typer

from client.cli import wording
from client.cli.options import ApiKey, AsJson, Faces, FormatOption, SizeMm, UpAxisOption, Url, connect
from client.cli.outcomes import exit_code, joint_code
from client.cli.output import say, say_error, stdout, write_bytes, write_json, write_table
from client.cli.progress import Bars
from client.core import DEFAULT_URL
from client.downloads import Form, write_whole
from client.errors import JobCanceled, JobFailed, OrfeasError
from client.following import checked
from client.models import Job
from client.sync import Client

JobId = Annotated[str, typer.Argument(help="The job's id.", metavar="ID")]


def status(
    job_id: JobId,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow it to its end.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Show a job; with --watch, follow it, and end with 1 when it fails."""
    with connect(url, api_key) as client:
        job = _watched(client, job_id, as_json) if watch else client.job(job_id)
    if as_json and not watch:
        write_json(job.body)
    elif not as_json:
        _show(job)
    if watch:
        checked(job)


def _watched(client: Client, job_id: str, as_json: bool) -> Job:
    with Bars() as bars:
        bar = bars.add(job_id)

        def on_progress(job: Job) -> None:
            bar.show(job)
            if as_json:
                write_json(job.body)

        try:
            return client.wait(job_id, on_progress=on_progress)
        except (JobFailed, JobCanceled) as ended:
            return ended.job


def list_jobs(
    status: Annotated[
        Literal["queued", "running", "succeeded", "failed", "canceled"] | None, typer.Option(help="Only these.")
    ] = None,
    generator: Annotated[str | None, typer.Option(help="Only jobs of this generator.")] = None,
    label: Annotated[str | None, typer.Option(help="Only jobs with this label.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 20,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    with connect(url, api_key) as client:
        found = client.jobs(status=status, generator=generator, label=label, page_size=min(limit, 100))
        jobs = list(islice(found, limit))
    if as_json:
        write_json([job.body for job in jobs])
    else:
        columns = ("ID", "STATUS", "GENERATOR", "SERVED FROM", "CREATED", "LABEL")
        write_table(columns, [_row(job) for job in jobs])


def cancel(
    job_ids: Annotated[list[str], typer.Argument(help="The jobs' ids.", metavar="ID...")],
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Cancel jobs that have not ended; each is tried, whatever becomes of the others."""
    codes = []
    with connect(url, api_key) as client:
        for job_id in job_ids:
            try:
                job = client.cancel(job_id)
            except OrfeasError as error:
                say_error(f"{job_id}: {error}" if job_id not in str(error) else str(error))
                codes.append(exit_code(error))
            else:
                write_json(job.body) if as_json else say(f"{job.id} {job.status}")
    raise typer.Exit(joint_code(codes))


def download(
    job_id: JobId,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File; - for standard output.")] = None,
    format: FormatOption = None,
    size_mm: SizeMm = None,
    up_axis: UpAxisOption = None,
    faces: Faces = None,
    preview: Annotated[bool, typer.Option("--preview", help="The picture of the mesh instead (PNG).")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
) -> None:
    """Save a job's mesh, also in another format or size than it was asked in: that generates nothing again."""
    form = Form(format=format, size_mm=size_mm, up_axis=up_axis, target_faces=faces)
    with connect(url, api_key) as client:
        job = checked(client.job(job_id))
        target = output or Path(f"{job.id}.{'png' if preview else format or job.format}")
        if str(target) == "-":
            return write_bytes(client.preview(job) if preview else client.model(job, **form))
        if preview:
            write_whole(target, client.preview(job))
        else:
            client.download(job, target, **form)
    stdout().print(str(target), markup=False)


def _row(job: Job) -> tuple[str, ...]:
    created = job.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if job.created_at else ""
    return job.id, wording.doing(job), job.generator, wording.served_from(job), created, job.label or ""


def _show(job: Job) -> None:
    rows = [
        ("job", job.id),
        ("status", wording.doing(job)),
        ("progress", f"{job.progress:.0f} %"),
        ("expected in", wording.expected(job)),
        ("generator", job.generator),
        ("label", job.label or ""),
        ("served from", wording.served_from(job)),
        ("saved", f"{saved} of generating" if (saved := wording.saved(job)) else ""),
        ("error", f"{job.error.code}: {job.error.message}" if job.error else ""),
        *_result_rows(job),
    ]
    write_table(("", ""), [row for row in rows if row[1]])


def _result_rows(job: Job) -> list[tuple[str, str]]:
    result = job.result
    if result is None:
        return []
    return [
        ("mesh", f"{result.format}, {wording.size(result.size_bytes)}"),
        ("faces", wording.count(result.faces)),
        ("size", wording.dimensions(result.size_mm)),
        ("watertight", "yes" if result.watertight else "no"),
        ("volume", f"{result.volume_mm3 / 1000:.2f} cm³" if result.volume_mm3 is not None else ""),
        *(("notice", notice.message) for notice in result.notices),
    ]
