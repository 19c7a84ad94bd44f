"""`orfeas doctor`: is everything there that the service on this machine needs, and how is what is not mended?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from client.cli.local import examined, load_settings
from client.cli.options import AsJson
from client.cli.outcomes import Exit
from client.cli.output import say, stdout, write_json

if TYPE_CHECKING:
    from deploy.doctor import Finding

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}
_NAME_WIDTH = 17


def doctor(as_json: AsJson = False) -> None:
    """Check Redis, archive, devices, versions, clocks, ports, keys and workers; ends with 1 when something fails."""
    found: list[Finding] = []
    for finding in examined(load_settings()):
        found.append(finding)
        if not as_json:
            stdout().print(_line(finding), soft_wrap=True)
    levels = Counter(str(finding.level) for finding in found)
    if as_json:
        rows = [{"name": one.name, "level": str(one.level), "says": one.says, "mend": one.mend} for one in found]
        write_json({"ok": not levels["fail"], "findings": rows})
    else:
        say(f"\n{levels['ok']} ok, {levels['warn']} to look at, {levels['fail']} failed")
    raise typer.Exit(Exit.JOB_FAILED if levels["fail"] else Exit.OK)


def _line(finding: Finding) -> Text:
    level = str(finding.level)
    line = Text.assemble((f"{level:<5}", _STYLES[level]), f"{finding.name:<{_NAME_WIDTH}} {finding.says}")
    if finding.mend:
        line.append(f"\n{'':<5}{'':<{_NAME_WIDTH}} → {finding.mend}", "dim")
    return line
