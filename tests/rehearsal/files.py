"""What the files in `deploy/` say of each service: from which image, by which command, as whom, with which promises."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from deploy.bootstrap.pip import ROOT

DEPLOY = ROOT / "deploy"
_VARIABLE = re.compile(r"\$\{(\w+)(?::?([-?])([^}]*))?\}")


@dataclass(frozen=True)
class Image:
    """What a Dockerfile's stage has in it, and how a container of it starts."""

    copies: tuple[tuple[str, str], ...] = ()
    requirements: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    directory: str = "/"
    uid: int = 0
    command: tuple[str, ...] = ()
    healthcheck: tuple[str, ...] = ()
    venv: str = "/venv"


@dataclass(frozen=True)
class Probe:
    """A command in the container, or a path that is asked for from outside of it."""

    command: tuple[str, ...] = ()
    path: str = ""
    timeout_s: float = 30.0


@dataclass(frozen=True)
class Service:
    """One container or unit as its file describes it; `folders`: where it may write, and the volume's name."""

    name: str
    image: Image
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folders: Mapping[str, str]
    grace_s: float
    probes: Mapping[str, Probe] = field(default_factory=dict)
    read_only: bool = False


# Docker -----------------------------------------------------------------------------------------------------------


def dockerfile(path: Path, target: str = "") -> Image:
    """The stage `target` of a Dockerfile, or its last one."""
    stages: dict[str, Image] = {}
    name = ""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE))
    for line in filter(str.strip, text.splitlines()):
        instruction, rest = line.split(maxsplit=1)
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            stages[name] = stages.get(base, Image())
        else:
            stages[name] = _after(stages[name], instruction, rest)
    return stages[target or name]


def _after(image: Image, instruction: str, rest: str) -> Image:
    match instruction:
        case "ENV":
            return replace(image, environment={**image.environment, **_pairs(rest)})
        case "WORKDIR":
            return replace(image, directory=rest)
        case "COPY":
            *sources, target = rest.split()
            folder = f"{image.directory}/{target}"
            copies = ((one, f"{folder}/{Path(one).name}" if target[-1] in "./" else folder) for one in sources)
            return replace(image, copies=(*image.copies, *copies))
        case "RUN":
            return replace(
                image,
                requirements=(*image.requirements, *re.findall(r"--requirement (\S+?);?(?:\s|$)", rest)),
                folders=(*image.folders, *re.findall(r"install --directory --owner orfeas (\S+)", rest)),
            )
        case "USER":
            return replace(image, uid=int(rest))
        case "CMD":
            return replace(image, command=tuple(json.loads(rest)))
        case "HEALTHCHECK":
            return replace(image, healthcheck=tuple(json.loads(rest.partition("CMD ")[2])))
    return image


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in shlex.split(text))


# Compose ----------------------------------------------------------------------------------------------------------


def compose(**variables: str) -> dict[str, Service]:
    """The services of compose.yaml that are built from our Dockerfiles, with these variables in the caller's shell."""
    document = yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text())
    return {
        name: _composed(name, interpolated(service, variables))
        for name, service in document["services"].items()
        if "build" in service
    }


def _composed(name: str, service: dict[str, Any]) -> Service:
    image = dockerfile(ROOT / service["build"]["dockerfile"], service["build"].get("target", ""))
    volumes = (volume.split(":")[:2] for volume in service.get("volumes", ()))
    return Service(
        name, image,
        command=tuple(service.get("command", image.command)),
        environment={**image.environment, **{key: str(value) for key, value in service["environment"].items()}},
        folders={target: source for source, target in volumes},
        grace_s=_seconds(service.get("stop_grace_period", "10s")),
        probes={"healthcheck": Probe(image.healthcheck)},
    )  # fmt: skip


def interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    """As compose replaces variables, wherever in the document they stand.

    Raises:
        ValueError: one is missing without which the file refuses to start.
    """
    if isinstance(value, dict):
        return {key: interpolated(one, variables) for key, one in value.items()}
    if isinstance(value, list):
        return [interpolated(one, variables) for one in value]
    return _VARIABLE.sub(lambda found: _variable(found, variables), value) if isinstance(value, str) else value


def _variable(found: re.Match[str], variables: Mapping[str, str]) -> str:
    name, kind, other = found.groups()
    if value := variables.get(name):
        return value
    if kind == "?":
        raise ValueError(f"compose refuses to start: {name}: {other}")
    return other or ""


def _seconds(text: str) -> float:
    return sum(float(number) * {"s": 1, "m": 60, "h": 3600}[unit] for number, unit in re.findall(r"(\d+)([smh])", text))


# Kubernetes -------------------------------------------------------------------------------------------------------

IMAGES = {
    "orfeas-api": ("Dockerfile.api", "api"),
    "orfeas-flower": ("Dockerfile.api", "flower"),
    "orfeas-worker": ("Dockerfile.worker", ""),
}


def kubernetes(secrets: Mapping[str, str], links: Mapping[str, str]) -> dict[str, Service]:
    """The Deployments of the manifests; `links` are what Kubernetes says of other Services to pods that ask for it."""
    maps = {
        one["metadata"]["name"]: one["data"] for one in _manifests() if one["kind"] == "ConfigMap"
    } | {"orfeas-secrets": secrets}  # fmt: skip
    return {
        one["metadata"]["name"]: _pod(one["metadata"]["name"], one["spec"]["template"]["spec"], maps, links)
        for one in _manifests()
        if one["kind"] == "Deployment"
    }


def _manifests() -> Iterator[dict[str, Any]]:
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text())


def _pod(name: str, pod: dict[str, Any], maps: Mapping[str, Mapping[str, str]], links: Mapping[str, str]) -> Service:
    (container,) = pod["containers"]
    file, target = IMAGES[container["image"]]
    image = replace(dockerfile(DEPLOY / "docker" / file, target), uid=pod["securityContext"]["runAsUser"])
    given = [maps[next(iter(source.values()))["name"]] for source in container["envFrom"]]
    own = {one["name"]: one["value"] for one in container.get("env", ())}
    environment = {**image.environment, **(links if pod.get("enableServiceLinks", True) else {})}
    for variables in (*given, own):
        environment |= variables
    return Service(
        name, image,
        command=tuple(container.get("args", image.command)),
        environment=environment,
        folders={mount["mountPath"]: f"{name}-{mount['name']}" for mount in container["volumeMounts"]},
        grace_s=pod.get("terminationGracePeriodSeconds", 30),
        probes={kind: _probe(container[kind]) for kind in container if kind.endswith("Probe")},
    )  # fmt: skip


def _probe(probe: dict[str, Any]) -> Probe:
    timeout_s = probe.get("timeoutSeconds", 1)
    if "exec" in probe:
        return Probe(command=tuple(probe["exec"]["command"]), timeout_s=timeout_s)
    return Probe(path=probe["httpGet"]["path"], timeout_s=timeout_s)


# systemd ----------------------------------------------------------------------------------------------------------

CHECKOUT = "/opt/orfeas"


def unit(name: str, variables: Mapping[str, str], instance: str = "", host: str = "host") -> Service:
    """A unit whose EnvironmentFile holds `variables`."""
    text = (DEPLOY / "systemd" / name).read_text().replace("%%", "\0").replace("%i", instance).replace("\0", "%")
    options = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    state = f"/var/lib/{options['StateDirectory']}"
    sources = ("api", "cache", "client", "deploy", "jobs", "worker", "gunicorn.conf.py", "logs.py", "patience.py",
               "settings.py", "version.py")  # fmt: skip
    image = Image(
        copies=tuple((source, f"{CHECKOUT}/{source}") for source in sources),
        requirements=("requirements.txt",),
        directory=options["WorkingDirectory"],
        uid=10001,
        venv=f"{CHECKOUT}/.venv",
    )
    return Service(
        name.replace("@", f"-{instance}"), image,
        command=tuple(shlex.split(options["ExecStart"])),
        environment={**_pairs(options["Environment"]), **variables},
        folders={state: "state"},
        grace_s=float(options["TimeoutStopSec"]),
        read_only=options["ProtectSystem"] == "strict",
    )  # fmt: skip
