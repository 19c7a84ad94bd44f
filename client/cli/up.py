"""`orfeas up`: the whole service in the foreground."""

from __future__ import annotations

import typer

from client.cli.local import keep_running, load_settings


def up() -> None:
    """Start everything on this machine, restart what dies, and stop it all on Ctrl-C."""
    raise typer.Exit(keep_running(load_settings()))
