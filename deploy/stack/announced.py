"""Where the stack of a DATA_DIR listens, for commands on its host: it may have taken other ports than usual."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.stack.session import Session
from settings import Settings

RECORD = "session.json"
_FILE = "ports.json"


@dataclass(frozen=True)
class Announced:
    """The ports of a stack that was started."""

    port: int
    flower_port: int
    redis_port: int

    @classmethod
    def of(cls, settings: Settings) -> Announced:
        return cls(settings.port, settings.flower_port, settings.redis_port)

    def save(self, run_dir: Path) -> None:
        (run_dir / _FILE).write_text(json.dumps(asdict(self)))

    @staticmethod
    def forget(run_dir: Path) -> None:
        (run_dir / _FILE).unlink(missing_ok=True)


def as_running(settings: Settings) -> Settings:
    """The settings with the ports of the stack that runs in their DATA_DIR; as they are when none runs there."""
    run_dir = settings.data_dir / "run"
    with contextlib.suppress(OSError, ValueError, TypeError):
        ports = Announced(**json.loads((run_dir / _FILE).read_text()))
        session = Session.load(run_dir / RECORD)
        if session and session.members():
            return Settings(**{name: getattr(settings, name) for name in settings.model_fields_set} | asdict(ports))
    return settings
