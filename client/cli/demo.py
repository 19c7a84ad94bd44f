"""`orfeas demo`: the main road once, on this machine: a picture in, a mesh out, and the same picture from the cache."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from client.aio import AsyncClient
from client.cli.local import Service, service
from client.cli.options import ApiKey, AsJson, UrlOrOwn, patience
from client.cli.orders import Order
from client.cli.output import say, write_json
from client.cli.progress import Bars
from client.cli.runs import Plan, Run, run_all
from client.cli.summary import write_summary
from client.submission import JobOptions

ASSETS = Path(__file__).resolve().parents[2] / "assets"


def demo(
    picture: Annotated[Path | None, typer.Argument(help="Your own picture instead of ours.", exists=True)] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the mesh and its picture.")] = Path("out"),
    url: UrlOrOwn = None,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Start the service if none runs, make a mesh of a picture, and ask for the same again."""
    image = picture or sample_picture()
    with service(url, api_key) as found:
        say(f"\nSubmitting {image} to {found.url}")
        order = Order(image.name, image, output / f"{image.stem}.glb")
        runs = [_run_once(replace(order, name=name), found) for name in (image.name, "the same again")]
    if as_json:
        write_json([run.as_json() for run in runs])
    else:
        write_summary(runs)
        say(_hint(output, found.goes_on))


def sample_picture() -> Path:
    """The picture that comes with Orfeas.

    Raises:
        typer.BadParameter: the checkout lacks it.
    """
    pictures = sorted(ASSETS.glob("*.png"))
    if not pictures:
        raise typer.BadParameter(f"no picture in {ASSETS}; name one of yours: orfeas demo PICTURE")
    return pictures[0]


def _run_once(order: Order, found: Service) -> Run:
    run = Run(order)
    plan = Plan(JobOptions(format="glb"), at_once=1, wait=True, timeout_s=None, with_preview=True)
    with Bars() as bars:
        asyncio.run(run_all(AsyncClient(found.url, found.api_key, retries=patience()), [run], plan, bars))
    if run.error:
        raise run.error
    return run


def _hint(output: Path, goes_on: bool) -> str:
    start = "" if goes_on else "  ./orfeas up                        leaves the service running\n"
    return (
        f"\nThe mesh and a picture of it are in {output}. Next:\n{start}"
        "  ./orfeas generate photo.jpg --format stl --size-mm 80\n"
        "  ./orfeas generators                shows what else can make a mesh"
    )
