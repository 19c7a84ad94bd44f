"""The files that say how the service is deployed give away neither root nor a port."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.stack.programs import programs
from settings import Settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"] in ("Deployment", "StatefulSet", "DaemonSet"):
                yield document["metadata"]["name"], document["spec"]["template"]["spec"]


def test_pods_run_without_root_and_without_privileges() -> None:
    found = dict(pods())
    assert len(found) >= 4
    for name, pod in found.items():
        assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert not pod.get("hostNetwork") and not pod.get("hostPID"), name
        for container in pod["containers"] + pod.get("initContainers", []):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False and not context.get("privileged"), name
            assert context["capabilities"] == {"drop": ["ALL"]}, name


def test_compose_services_have_no_privileges_and_ports_on_this_host_only() -> None:
    (compose,) = yaml.safe_load_all((DEPLOY / "docker" / "compose.yaml").read_text())
    for name, service in compose["services"].items():
        assert not service.get("privileged") and "docker.sock" not in str(service), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name
        if "build" in service:
            assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"], name
    assert "ports" not in compose["services"]["redis"]


def test_flower_has_no_kubernetes_service() -> None:
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"] in ("Service", "Ingress"):
                assert "flower" not in str(document), path.name


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_run_as_a_user_of_their_own_in_a_system_they_cannot_write(unit: Path) -> None:
    text = unit.read_text()
    (user,) = re.findall(r"^User=(\S+)$", text, re.MULTILINE)
    assert user != "root"
    for line in ("NoNewPrivileges=yes", "PrivateTmp=yes", "ProtectSystem=strict", "ProtectHome=yes"):
        assert line in text.splitlines(), line


def test_programs_of_the_stack_listen_on_loopback_but_the_api_with_keys() -> None:
    for keys, host in (((), "127.0.0.1"), (("a-key",), "0.0.0.0")):
        settings = Settings(api_keys=keys, redis_url="")
        ports = {program.name: program.port.host for program in programs(settings) if program.port}
        assert ports == {"redis": "127.0.0.1", "api": host, "flower": "127.0.0.1"}


def test_no_command_line_is_given_a_secret() -> None:
    secret = "hunter2-hunter2"
    settings = Settings(
        api_keys=(secret,),
        admin_keys=(secret,),
        redis_url=f"redis://:{secret}@db/0",
        cache_redis_url=f"redis://:{secret}@c/0",
    )
    for program in programs(settings):
        assert secret not in str(program), program.name
