"""The `orfeas` command: one file per group of commands. What it does, a program can do with `client.Client`."""

from __future__ import annotations


def main() -> None:
    """Run the command line of this process and exit with a code of `client.cli.outcomes.Exit`."""
    from client.cli import streams

    streams.prepare()
    from client.cli.app import app

    app(prog_name="orfeas")


__all__ = ["main"]
