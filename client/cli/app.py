"""Puts the `orfeas` command together from its groups; no command stands here."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from client.cli import cache, demo, doctor, generate, generators, jobs, top, up, webhooks
from client.cli.outcomes import spoken


class _SpokenGroup(TyperGroup):
    """Every command ends in a sentence and an exit code, never in a traceback."""

    def invoke(self, ctx: Any) -> Any:
        with spoken():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_SpokenGroup,
    help="Turns pictures into 3D meshes: `orfeas demo` shows it, `orfeas up` starts it, `orfeas generate` uses it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo.demo)
app.command()(up.up)
app.command()(generate.generate)
app.command()(jobs.status)
app.command("list")(jobs.list_jobs)
app.command()(jobs.cancel)
app.command()(jobs.download)
app.command("generators")(generators.generators)
app.add_typer(cache.app, name="cache")
app.add_typer(webhooks.app, name="webhooks")
app.command()(top.top)
app.command()(doctor.doctor)
