"""This host: Python, packages, ports, and who may call."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from deploy.doctor.findings import Finding, fail, ok, warn
from deploy.stack.errors import StackError
from deploy.stack.ports import is_free, is_unused
from deploy.stack.programs import programs
from settings import Settings

CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"
OLDEST_PYTHON = (3, 11)
_SHOWN = 4


def python_finding() -> Finding:
    told = sys.version.split()[0]
    if sys.version_info < OLDEST_PYTHON:
        return fail("python", told, "use Python 3.11 or newer")
    return ok("python", told)


def package_finding(constraints: Path = CONSTRAINTS) -> Finding:
    """Whether what is installed is what was tested together."""
    others = []
    for line in constraints.read_text().splitlines():
        if line and not line.startswith("#"):
            wanted = Requirement(line)
            here = _installed(wanted.name)
            if here is not None and not wanted.specifier.contains(Version(here).public, prereleases=True):
                others.append(f"{wanted.name} {here} instead of {str(wanted.specifier).lstrip('=')}")
    if not others:
        return ok("packages", "as in constraints.txt")
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    mend = "remove .venv; the next ./orfeas installs the versions that were tested"
    return warn("packages", ", ".join(others[:_SHOWN]) + more, mend)


def access_finding(settings: Settings) -> Finding:
    keys = len(settings.api_keys) + len(settings.admin_keys)
    if not keys:
        says = f"no keys: only this host may call ({settings.bind_host})"
        return warn("access", says, "to open it to others, set API_KEYS and ADMIN_KEYS")
    if not settings.admin_keys:
        return warn("access", "no admin key: nobody can administer the cache", "set ADMIN_KEYS")
    return ok("access", f"{keys} keys, listening on {settings.bind_host}")


def port_findings(settings: Settings, *, runs: bool) -> Iterator[Finding]:
    """Whether our programs can listen; `runs`: the service is there, so its ports are rightly taken."""
    try:
        wanted = [(program.name, program.port) for program in programs(settings) if program.port]
    except StackError as error:
        yield fail("ports", str(error), "")
        return
    for name, port in wanted:
        if runs:
            yield ok(f"port {port.number}", f"taken by the running service ({name})")
        elif port.setting.lower() not in settings.model_fields_set and not is_unused(port.number):
            mend = f"set {port.setting} to choose it yourself"
            yield warn(f"port {port.number}", f"taken: `orfeas up` takes the next free one for {name}", mend)
        elif is_free(port.host, port.number):
            yield ok(f"port {port.number}", f"free for {name}")
        else:
            yield fail(
                f"port {port.number}", f"another program listens where {name} should", f"stop it, or set {port.setting}"
            )


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
