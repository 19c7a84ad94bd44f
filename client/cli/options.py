"""The options that many commands share, each written once; typer reads the environment variables named here."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from client.retries import RetryPolicy
from client.sync import Client

Format = Literal["glb", "obj", "stl", "ply"]
UpAxis = Literal["y", "z"]
Priority = Literal["high", "normal", "low"]


def _url(context: typer.Context, value: str) -> str:
    """Where nobody named a service, that of this machine, which may have taken another port than usual."""
    source = context.get_parameter_source("url")
    if source is None or source.name != "DEFAULT":
        return value
    from client.cli.local import load_settings, own_url

    try:
        return own_url(load_settings())
    except typer.BadParameter:
        return value


Url = Annotated[
    str,
    typer.Option("--url", envvar="ORFEAS_URL", help="Where the service runs.", metavar="URL", callback=_url),
]
UrlOrOwn = Annotated[
    str | None,
    typer.Option(
        "--url", envvar="ORFEAS_URL", help="Use this service; else this machine's, started for the call if none runs.",
        metavar="URL",
    ),
]  # fmt: skip
ApiKey = Annotated[
    str | None,
    typer.Option("--api-key", envvar="ORFEAS_API_KEY", help="Key, when the service asks for one.", metavar="KEY"),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output; people's text on standard error.")]
FormatOption = Annotated[Format | None, typer.Option("--format", "-f", help="Format of the mesh.", show_default="glb")]
SizeMm = Annotated[float | None, typer.Option("--size-mm", help="Longest side in mm.", metavar="MM", show_default="50")]
UpAxisOption = Annotated[
    UpAxis | None,
    typer.Option("--up-axis", help="Axis that points up.", show_default="y for glb and obj, z for stl and ply"),
]
Faces = Annotated[int | None, typer.Option("--faces", help="At most so many faces.", metavar="N", show_default="all")]
Tier = Annotated[
    Literal["local", "shared", "archive", "all"] | None, typer.Option("--tier", help="One tier of the cache.")
]


def patience() -> RetryPolicy:
    """At a terminal, somebody waits: give up after about a second when nobody answers."""
    return RetryPolicy(attempts=3, longest_wait_s=30.0)


def connect(url: str, api_key: str | None) -> Client:
    """The client of a command."""
    return Client(url, api_key, retries=patience())
