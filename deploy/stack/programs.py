"""Which programs make up the service on one host, with their command lines; nothing here starts anything."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy.stack.gpus import visible_devices
from deploy.stack.redis_server import redis_command
from settings import Settings

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Port:
    """Where a program listens, and the setting that moves it."""

    host: str
    number: int
    setting: str


@dataclass(frozen=True)
class Program:
    """One supervised command. Lower `priority` starts earlier and stops later; one `group` stops at once."""

    name: str
    command: tuple[str, ...]
    priority: int
    group: str = ""
    port: Port | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def programs(settings: Settings) -> list[Program]:
    """The service's programs in the order in which they start. Each one tolerates every other order as well."""
    return [*_redis(settings), *_workers(settings), _api(settings), *_flower(settings)]


def _redis(settings: Settings) -> list[Program]:
    if settings.redis_url:
        return []
    port = Port(LOOPBACK, settings.redis_port, "REDIS_PORT")
    command = redis_command(settings, LOOPBACK)
    if settings.log_format == "json":
        command = _python("deploy.stack.json_lines", "redis", *command)
    return [Program("redis", command, priority=10, port=port)]


def _workers(settings: Settings) -> list[Program]:
    devices = visible_devices(settings.device, settings.generate_workers)
    generate = [
        Program(
            f"generate{number}",
            _celery("worker", "-Q", "generate", "-P", "prefork", "-c", "1", "-n", f"generate{number}@%h", "-E"),
            priority=20,
            group="workers",
            environment=device,
        )
        for number, device in enumerate(devices, start=1)
    ]
    if not settings.render_workers:
        return generate
    command = _celery(
        "worker", "-Q", "render", "-P", "prefork", "-c", str(settings.render_workers), "-n", "render@%h", "-E"
    )
    return [*generate, Program("render", command, priority=20, group="workers")]


def _api(settings: Settings) -> Program:
    # gunicorn.conf.py reads address, processes, threads and grace from the settings, as in every other deployment.
    command = _python("gunicorn", "--no-control-socket", "api.wsgi:app")
    return Program("api", command, priority=30, port=Port(settings.bind_host, settings.port, "PORT"))


def _flower(settings: Settings) -> list[Program]:
    if not settings.flower_port:
        return []
    # Flower forgets on restart unless told where to keep what it saw.
    events = settings.data_dir / "flower" / "events"
    command = _celery(
        "flower", f"--address={LOOPBACK}", f"--port={settings.flower_port}", "--persistent=True", f"--db={events}",
        "--state_save_interval=10000",
    )  # fmt: skip
    return [Program("flower", command, priority=40, port=Port(LOOPBACK, settings.flower_port, "FLOWER_PORT"))]


def _celery(*arguments: str) -> tuple[str, ...]:
    return _python("celery", "-A", "worker.app", *arguments)


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    # Not the scripts in bin/: their first line breaks when a virtual environment is moved.
    return (sys.executable, "-m", module, *arguments)
