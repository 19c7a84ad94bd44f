"""`orfeas generate`: pictures in, meshes out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from client.aio import AsyncClient
from client.cli.local import Service, service
from client.cli.options import (
    ApiKey,
    AsJson,
    Faces,
    FormatOption,
    Priority,
    SizeMm,
    UpAxisOption,
    UrlOrOwn,
    connect,
    patience,
)
from client.cli.orders import chosen_format, orders
from client.cli.outcomes import exit_code, joint_code
from client.cli.output import say, say_error, write_json
from client.cli.progress import Bars
from client.cli.runs import Plan, Run, run_all
from client.cli.summary import write_summary
from client.errors import OrfeasError
from client.models import Job
from client.submission import JobOptions

Images = Annotated[list[str], typer.Argument(help="Pictures; - for standard input.", metavar="IMAGES...")]
Output = Annotated[str, typer.Option("--output", "-o", help="Folder; a file for one picture; - for standard output.")]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", "-p", help="A parameter of the generator; repeatable.", metavar="K=V"),
]


def generate(
    images: Images,
    output: Output = "out",
    generator: Annotated[str | None, typer.Option("--generator", "-g", help="See `orfeas generators`.")] = None,
    param: Params = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the generator's randomness.")] = None,
    format: FormatOption = None,
    size_mm: SizeMm = None,
    up_axis: UpAxisOption = None,
    faces: Faces = None,
    priority: Annotated[Priority | None, typer.Option(help="Place in the queue.")] = None,
    label: Annotated[str | None, typer.Option(help="A word to find the jobs by.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Make the mesh anew.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Save a picture of each mesh beside it.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Submit, print the jobs' ids and leave.")] = False,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait for each job at most.", metavar="S")] = None,
    at_once: Annotated[int, typer.Option(min=1, max=32, help="Jobs followed at the same time.")] = 4,
    cancel_on_interrupt: Annotated[
        bool, typer.Option("--cancel-on-interrupt", help="Ctrl-C also cancels the jobs; else they go on.")
    ] = False,
    url: UrlOrOwn = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Turn pictures into meshes and save them; starts the service for the call when none runs."""
    if output == "-" and (as_json or preview or detach):
        raise typer.BadParameter("standard output takes the mesh; --json, --preview and --detach cannot go there too")
    form = chosen_format(format, output)
    runs = [Run(order) for order in orders(images, output, form)]
    options = JobOptions(
        generator=generator,
        params=_parameters(param or []),
        seed=seed,
        format=form,
        size_mm=size_mm,
        up_axis=up_axis,
        target_faces=faces,
        priority=priority,
        label=label,
        no_cache=no_cache,
    )
    plan = Plan(options, at_once, wait=not detach, timeout_s=timeout, with_preview=preview)
    with service(url, api_key, lasting=detach) as found:
        begun_s = time.monotonic()
        try:
            _run(runs, plan, found)
        except KeyboardInterrupt:
            _after_interrupt(runs, cancel_on_interrupt, found)
            raise
        _report(runs, as_json, time.monotonic() - begun_s)
    raise typer.Exit(joint_code(exit_code(run.error) for run in runs))


def _parameters(pairs: Sequence[str]) -> dict[str, Any]:
    """`k=v` pairs, the values as they are: the service knows each parameter's type and reads them by it."""
    broken = [pair for pair in pairs if not pair.partition("=")[0] or "=" not in pair]
    if broken:
        raise typer.BadParameter(f"--param takes name=value, got {', '.join(broken)}")
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def _run(runs: Sequence[Run], plan: Plan, found: Service) -> None:
    client = AsyncClient(found.url, found.api_key, retries=patience())
    with Bars() as bars:
        asyncio.run(run_all(client, runs, plan, bars))


def _after_interrupt(runs: Sequence[Run], cancel: bool, found: Service) -> None:
    left = [run.job for run in runs if run.job and not run.job.ended]
    if left and (cancel or not found.goes_on):
        _cancel(left, found)
    elif left:
        say(f"{len(left)} job(s) go on; to stop them: orfeas cancel {' '.join(job.id for job in left)}")


def _cancel(jobs: Sequence[Job], found: Service) -> None:
    with connect(found.url, found.api_key) as client:
        for job in jobs:
            try:
                say(f"{job.id} {client.cancel(job).status}")
            except OrfeasError as error:
                say_error(str(error))


def _report(runs: Sequence[Run], as_json: bool, seconds: float) -> None:
    for run in runs:
        if run.error:
            say_error(f"{run.order.name}: {run.error}")
    if as_json:
        write_json([run.as_json() for run in runs])
    elif runs[0].order.target is not None:
        write_summary(runs, seconds)
