"""`orfeas up`: the whole service in the foreground."""

from __future__ import annotations

import signal

from client.cli.local import load_settings, local_url, running_stack
from client.cli.output import say


def up() -> None:
    """Start everything on this machine and keep it running until Ctrl-C."""
    settings = load_settings()
    try:
        with running_stack(settings) as stack:
            for program in stack.programs():
                say(f"  {program.name:<18} pid {program.pid}")
            say(f"\nOrfeas  {local_url(settings)}", style="bold green")
            if settings.flower_port:
                say(f"Flower  http://127.0.0.1:{settings.flower_port}")
            say(f"Data    {settings.data_dir}\n\nCtrl-C stops everything.")
            signal.pause()
    except KeyboardInterrupt:
        say("stopped")
