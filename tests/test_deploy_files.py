"""The files in `deploy/`, checked without a Docker engine or a cluster: schemas, linters, and against the code."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any, Literal

import pytest
import redis
import yaml
from celery import Celery
from packaging.utils import canonicalize_name

from deploy.bootstrap.pip import ROOT
from deploy.pins import requirements_in
from deploy.stack.programs import programs
from jobs.broker import Sender, broker_settings
from jobs.records import QUEUES, Queue, Work
from settings import Settings
from tests.rehearsal.files import compose, interpolated, kubernetes, unit
from worker.drain import HEAR_S, WIND_DOWN_S

DOCKER = ROOT / "deploy" / "docker"
DOCKERFILES = sorted(DOCKER.glob("Dockerfile.*"))
COMPOSE_FILES = sorted(DOCKER.glob("compose*.yaml"))
MANIFESTS = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
# What the programs read beside our settings: Python, CUDA, and obstore's S3 client.
FOREIGN_VARIABLES = ("PYTHON", "CUDA_", "AWS_")
ROOMS = {
    "cache": ["shared"],
    "jobs": ["shared"],
    "api": ["api"],
    "worker": ["worker"],
    "client": ["client", "shared"],  # `up` and `demo` read the settings
    "deploy": ["host", "shared"],
}


def by_name(path: Path) -> str:
    return path.name


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def tool(*command: str) -> subprocess.CompletedProcess[str]:
    path = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def copied_by(dockerfile: Path) -> list[str]:
    """The sources of every COPY."""
    lines = [line.split()[1:-1] for line in dockerfile.read_text().splitlines() if line.startswith("COPY ")]
    return [source for sources in lines for source in sources]


def known_settings() -> set[str]:
    return {name.upper() for name in Settings.model_fields}


def is_known(variable: str) -> bool:
    return variable in known_settings() or variable.startswith(FOREIGN_VARIABLES)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=by_name)
def test_dockerfile_passes_the_linter(dockerfile: Path) -> None:
    checked = tool("hadolint", str(dockerfile))
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=by_name)
def test_dockerfile_copies_what_exists_and_what_the_context_holds(dockerfile: Path) -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for source in copied_by(dockerfile):
        assert (ROOT / source).exists(), source
        assert source.split("/")[0] in allowed, f"{source} is not in the build's context, see .dockerignore"


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=by_name)
def test_image_runs_as_an_unprivileged_user_and_checks_its_health(dockerfile: Path) -> None:
    lines = dockerfile.read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert "0" not in users
    assert "root" not in users
    assert sum(line.startswith("HEALTHCHECK") for line in lines) == len(users)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=by_name)
def test_variables_of_images_are_settings(dockerfile: Path) -> None:
    variables = [
        pair.split("=")[0]
        for line in re.findall(r"^ENV (.*)$", dockerfile.read_text(), re.MULTILINE)
        for pair in line.split()
    ]
    assert [name for name in variables if not is_known(name)] == []


@pytest.mark.parametrize(
    ("dockerfile", "statement"),
    [
        ("Dockerfile.api", "import api.wsgi, deploy.healthcheck"),
        ("Dockerfile.worker", "import worker.app, worker.process"),
        ("Dockerfile.worker", "import deploy.healthcheck, jobs.fleet"),
    ],
)
def test_folders_in_an_image_are_enough_to_start(dockerfile: str, statement: str, tmp_path: Path) -> None:
    for source in copied_by(DOCKER / dockerfile):
        target = tmp_path / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, target)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "DATA_DIR": str(tmp_path / "data")}
    ran = subprocess.run(
        [sys.executable, "-c", statement], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("room", ROOMS)
def test_room_imports_only_packages_that_its_image_installs(room: str) -> None:
    files = [f"deploy/requirements/{name}.txt" for name in ROOMS[room]]
    required = {canonicalize_name(requirement.name) for requirement in requirements_in(files)}
    provided_by = packages_distributions()
    own = {path.stem for path in ROOT.glob("*.py")} | {path.name for path in ROOT.iterdir() if path.is_dir()}
    for path in (ROOT / room).rglob("*.py"):
        if path.name.startswith("gunicorn_"):
            continue  # loaded by gunicorn alone, in the API's image: tests/rehearsal
        for module in imported_by(path) - own - sys.stdlib_module_names:
            # A package of one compiled file has no list of its modules.
            distributions = {canonicalize_name(name) for name in provided_by.get(module, [module])}
            assert distributions & required or is_for_maintainers(path), f"{path.name} imports {module}"


def imported_by(path: Path) -> set[str]:
    """The top-level modules that a file imports, wherever in it."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.append(node.module or "")
    return {name.split(".")[0] for name in names}


def is_for_maintainers(path: Path) -> bool:
    return path == ROOT / "deploy" / "pins.py"


@pytest.mark.parametrize("compose", COMPOSE_FILES, ids=by_name)
def test_compose_file_is_valid(compose: Path) -> None:
    checked = tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(compose))
    assert checked.returncode == 0, checked.stdout


def test_compose_services_use_our_settings_and_queues() -> None:
    services = documents(DOCKER / "compose.yaml")[0]["services"]
    for name, service in services.items():
        assert [variable for variable in service.get("environment", {}) if not is_known(variable)] == [], name
        if build := service.get("build"):
            assert (ROOT / build["dockerfile"]).exists()
    assert services["render"]["command"][5] in QUEUES
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service.get("ports", []))


def test_redis_of_every_deployment_never_evicts_and_has_room_for_the_cache() -> None:
    settings = Settings()
    commands = [
        documents(DOCKER / "compose.yaml")[0]["services"]["redis"]["command"],
        " ".join(
            documents(ROOT / "deploy/kubernetes/redis.yaml")[1]["spec"]["template"]["spec"]["containers"][0]["args"]
        ),
        " ".join(programs(settings)[0].command),
    ]
    for command in commands:
        assert re.search(r"--maxmemory-policy noeviction\b", command)
        assert re.search(r"--appendonly yes\b", command)
        limit = re.search(r"--maxmemory (\d+)mb", command)
        assert limit
        assert int(limit[1]) > 1.5 * settings.cache_shared_max_memory_mb


@pytest.mark.parametrize("manifest", MANIFESTS, ids=by_name)
def test_kubernetes_manifest_is_valid(manifest: Path) -> None:
    checked = tool("kubernetes-validate", "--strict", "--no-warn", str(manifest))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert all(document["kind"] and document["metadata"]["name"] for document in documents(manifest)
               if document["kind"] != "Kustomization")  # fmt: skip


def test_kustomization_names_every_manifest() -> None:
    resources = documents(ROOT / "deploy/kubernetes/kustomization.yaml")[0]["resources"]
    assert sorted(resources) == [path.name for path in MANIFESTS if path.name != "kustomization.yaml"]


def test_kubernetes_settings_exist() -> None:
    settings = documents(ROOT / "deploy/kubernetes/settings.yaml")[0]["data"]
    assert set(settings) <= known_settings()


def waiting_work(queue: Queue, kind: Literal["generation", "rendition"], priority: int) -> Work:
    name = f"{queue}-{priority}"
    return Work(
        key=name, kind=kind, queue=queue, generator="inflate", task_id=name, priority=priority, attempts=0, token="",
        anew=False, generation_key=name, request=None, options=None, cache=None, timings={}, created_at_ms=0,
        started_at_ms=None, request_id="",
    )  # fmt: skip


def test_scaler_watches_the_lists_that_messages_really_wait_in(real_redis: redis.Redis, redis_url: str) -> None:
    app = Celery("onlooker")
    app.conf.update(broker_settings(redis_url, longest_job_s=60))
    for queue, kind in (("generate", "generation"), ("render", "rendition")):
        for priority in range(3):
            Sender(app).send(waiting_work(queue, kind, priority))
    waiting = {key.decode() for key in real_redis.keys() if real_redis.type(key) == b"list"}  # noqa: SIM118
    scaled = [trigger["metadata"]["listName"] for document in documents(ROOT / "deploy/kubernetes/scaling.yaml")
              for trigger in document["spec"]["triggers"]]  # fmt: skip
    assert set(scaled) == waiting
    app.close()


def test_scaled_deployments_exist() -> None:
    deployments = {
        document["metadata"]["name"]
        for path in MANIFESTS
        for document in documents(path)
        if document["kind"] == "Deployment"
    }
    targets = {
        document["spec"]["scaleTargetRef"]["name"] for document in documents(ROOT / "deploy/kubernetes/scaling.yaml")
    }
    assert targets <= deployments


@pytest.mark.parametrize("unit", UNITS, ids=by_name)
def test_systemd_unit_starts_a_module_that_exists(unit: Path) -> None:
    text = unit.read_text()
    command = re.search(r"^ExecStart=/opt/orfeas/.venv/bin/python -m (\S+)", text, re.MULTILINE)
    assert command
    assert command[1] == "celery" or (ROOT / command[1].replace(".", "/") / "__main__.py").exists()
    variables = [
        pair.split("=")[0] for line in re.findall(r"^Environment=(.*)$", text, re.MULTILINE) for pair in line.split()
    ]
    assert [name for name in variables if not is_known(name)] == []


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd on this machine")
@pytest.mark.parametrize("unit", UNITS, ids=by_name)
def test_systemd_accepts_the_unit(unit: Path, tmp_path: Path) -> None:
    # Only the checkout in /opt is missing here: a program that exists stands in for its Python.
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/orfeas/.venv/bin/python", "/usr/bin/env"))
    checked = tool("systemd-analyze", "verify", "--man=no", str(copy))
    assert (checked.returncode, checked.stderr) == (0, "")


def test_what_a_container_gets_to_stop_in_is_more_than_its_work_gets() -> None:
    variables = {"API_KEYS": "a", "ADMIN_KEYS": "b"}
    workers = [
        *(service for name, service in compose().items() if name in ("worker", "render")),
        *(pod for name, pod in kubernetes(variables, {}).items() if name in ("orfeas-worker", "orfeas-render")),
        unit("orfeas-worker@.service", variables, instance="0"),
    ]
    assert len(workers) == 5
    for worker in workers:
        assert Settings().stop_grace_s < float(worker.environment["STOP_GRACE_S"]) < worker.grace_s, worker.name
    generate = kubernetes(variables, {})["orfeas-worker"].environment
    assert float(generate["STOP_GRACE_S"]) > float(generate["JOB_TIME_LIMIT_S"]) + HEAR_S + WIND_DOWN_S
    stack = unit("orfeas.service", {})
    groups = {program.group or program.name for program in programs(Settings())}
    assert stack.grace_s > (Settings().stop_grace_s + 2) * (len(groups) + 1), "as long as the stack takes at most"


def test_pods_hear_nothing_of_services_that_are_called_like_our_settings() -> None:
    for name, pod in kubernetes({"API_KEYS": "a"}, {"REDIS_PORT": "tcp://10.0.0.1:6379"}).items():
        assert "REDIS_PORT" not in pod.environment, name


def test_threads_port_and_address_of_the_api_stand_in_the_settings_alone() -> None:
    commands = [compose()["api"].command, kubernetes({}, {})["orfeas-api"].command]
    commands += [program.command for program in programs(Settings()) if program.name == "api"]
    for command in commands:
        assert not {"-w", "--workers", "--threads", "-b", "--bind", "--graceful-timeout"} & set(command), command


def test_a_compose_file_that_insists_on_a_variable_is_read_so() -> None:
    with pytest.raises(ValueError, match="API_KEYS: set it"):
        interpolated("${API_KEYS:?set it}", {})
    assert interpolated(["${A:-b}", "${A-}", "x${C}y"], {"C": "c"}) == ["b", "", "xcy"]
