"""What `supervisor` shall do with our programs, as its configuration file, and the door to ask it what it does.

Sections and options: https://supervisord.org/configuration.html
"""

from __future__ import annotations

import hashlib
import re
import shlex
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xmlrpc.client import ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from deploy.stack.programs import Program

Section = tuple[str, Mapping[str, object]]

_PLAIN = re.compile(r"[\w./:=,@+-]+(?: [\w./:=,@+-]+)*", re.ASCII)
LOG_BYTES = "10MB"
LOG_BACKUPS = 5
# A program that ends sooner counts as failed to start, and is started again after 1, 2, 3 … seconds, for ever.
STARTED_AFTER_S = 3
NEVER_GIVE_UP = 1_000_000_000
# The longest path of a Unix socket is 104 bytes on macOS; supervisor appends its process id while it opens one.
LONGEST_SOCKET_PATH = 90


def socket_path(run_dir: Path) -> Path:
    """Where the supervisor answers: in `run_dir`, or in the folder for temporary files when that path is too long."""
    path = run_dir / "supervisor.sock"
    if len(str(path).encode()) <= LONGEST_SOCKET_PATH:
        return path
    name = hashlib.sha256(str(run_dir).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"orfeas-{name}.sock"


def connect(run_dir: Path) -> Any:
    """The supervisor's XML-RPC namespace, http://supervisord.org/api.html."""
    transport = SupervisorTransport(None, None, f"unix://{socket_path(run_dir)}")
    return ServerProxy("http://127.0.0.1", transport=transport).supervisor


@dataclass(frozen=True)
class Configuration:
    """The text of supervisord.conf, and the variables that it reads: no quoting keeps a # or ; out of a comment."""

    text: str
    variables: dict[str, str]


def configuration(
    programs: Sequence[Program], *, root: Path, run_dir: Path, log_dir: Path, stop_grace_s: float
) -> Configuration:
    variables: dict[str, str] = {}
    sections = [
        *_supervisor_sections(run_dir, log_dir),
        *(_program_section(program, root, log_dir, stop_grace_s) for program in programs),
        *_group_sections(programs),
    ]
    lines = [line for section in sections for line in _section(*section, variables)]
    return Configuration("\n".join(lines), variables)


def _supervisor_sections(run_dir: Path, log_dir: Path) -> list[Section]:
    return [
        ("unix_http_server", {"file": socket_path(run_dir), "chmod": "0700"}),
        (
            "supervisord",
            {
                "nodaemon": "true",
                "logfile": log_dir / "supervisor.log",
                "logfile_maxbytes": LOG_BYTES,
                "logfile_backups": LOG_BACKUPS,
                "pidfile": run_dir / "supervisor.pid",
                "childlogdir": log_dir,
                "silent": "true",
            },
        ),
        (
            "rpcinterface:supervisor",
            {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
    ]


def _program_section(program: Program, root: Path, log_dir: Path, stop_grace_s: float) -> Section:
    options: dict[str, object] = {
        "command": shlex.join(program.command),
        "directory": root,
        "priority": program.priority,
        "autorestart": "true",
        "startsecs": STARTED_AFTER_S,
        "startretries": NEVER_GIVE_UP,
        "stopsignal": "TERM",
        "stopwaitsecs": f"{stop_grace_s:.0f}",
        # What a program leaves in its group when it is stopped goes with it.
        "killasgroup": "true",
        "redirect_stderr": "true",
        # Of all options, this one is expanded twice.
        "stdout_logfile": _escaped(log_dir / f"{program.name}.log"),
        "stdout_logfile_maxbytes": LOG_BYTES,
        "stdout_logfile_backups": LOG_BACKUPS,
    }
    if program.environment:
        options["environment"] = ",".join(f'{name}="{value}"' for name, value in program.environment.items())
    return f"program:{program.name}", options


def _group_sections(programs: Iterable[Program]) -> list[Section]:
    groups: dict[str, list[Program]] = {}
    for program in programs:
        if program.group:
            groups.setdefault(program.group, []).append(program)
    return [
        (
            f"group:{name}",
            {"programs": ",".join(member.name for member in members), "priority": members[0].priority},
        )
        for name, members in groups.items()
    ]


def _section(name: str, options: Mapping[str, object], variables: dict[str, str]) -> list[str]:
    return [f"[{name}]", *(f"{option} = {_value(value, variables)}" for option, value in options.items()), ""]


def _value(value: object, variables: dict[str, str]) -> str:
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    name = f"ORFEAS_SUPERVISED_{len(variables)}"
    variables[name] = text
    return f"%(ENV_{name})s"


def _escaped(value: object) -> str:
    # A percent sign begins an expansion in this file.
    return str(value).replace("%", "%%")
