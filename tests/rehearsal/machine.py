"""A machine for one rehearsal: a network of its own, in which the ports and names of the files are free to use.

Each service gets a root folder that holds what its image would hold: the copied files, the packages that its
requirement files lead to and no others, and this host's Python. Where this user may not set up namespaces, the
services run on the host: with paths, ports and names of the host instead, as this user, all file systems writable.
"""

from __future__ import annotations

import ctypes
import fcntl
import functools
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from importlib.metadata import distribution
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import pytest

from deploy.bootstrap.pip import ROOT
from deploy.pins import pins, requirements_in
from tests.rehearsal.files import Image, Probe, Service
from tests.servers import free_port, server_binary, wait_until

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP, IFF_LOOPBACK = 0x8914, 1, 8
HOST_FOLDERS = ("/bin", "/lib", "/lib64", "/usr", "/proc", "/dev", "/etc", sys.base_prefix)
NAMES = ("redis", "orfeas-redis")


_FOLDERS = re.compile(r"(?<![\w.])(/srv/orfeas|/opt/orfeas|/venv|/var/lib/orfeas|/data|/lab|/home/orfeas)(?!\w)")
_PORTS = re.compile(r"\b(5000|5555|6379|6399)\b")
_NAMES = re.compile(rf"//({'|'.join(NAMES)}):")
_thread = threading.local()


def on_a_machine_of_its_own(test: Callable[..., None]) -> Callable[..., None]:
    """Runs a test in a thread with a network namespace, if it may; the processes that it starts inherit it."""

    @functools.wraps(test)
    def wrapped(*args: Any, **more: Any) -> None:
        raised: list[BaseException] = []

        def run() -> None:
            try:
                _thread.isolated = _unshare_network()
                test(*args, **more)
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if raised:
            raise raised[0]

    return wrapped


def isolated() -> bool:
    """Whether this thread has a machine of its own."""
    return getattr(_thread, "isolated", False)


def _unshare_network() -> bool:
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        return False
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP | IFF_LOOPBACK))
    return True


class Container:
    """A running service."""

    def __init__(
        self, service: Service, process: subprocess.Popen[bytes], log: Path, spec: dict[str, Any] | None = None,
        here: Callable[[str], str] = str,
    ) -> None:  # fmt: skip
        self.service = service
        self.process = process
        self.log = log
        self.stopped = False
        self._spec = spec or {}
        self._here = here

    def probe(self, kind: str) -> tuple[int, str]:
        """Runs a probe that is a command: its exit status and what it says."""
        probe: Probe = self.service.probes[kind]
        spec = {**self._spec, "command": [self._here(word) for word in probe.command]}
        command = _command(spec, self.log.with_suffix(f".{kind}"))
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=probe.timeout_s)
        except subprocess.TimeoutExpired as late:
            return 1, str(late)
        return done.returncode, done.stdout + done.stderr

    @property
    def running(self) -> bool:
        return self.stopped or self.process.poll() is None

    def healthy(self, kind: str) -> bool:
        return self.probe(kind)[0] == 0

    def stop(self) -> float:
        """SIGTERM, as Docker, Kubernetes and systemd send it; not to have ended within the grace is an error here."""
        began, self.stopped = time.monotonic(), True
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(self.service.grace_s)
        return time.monotonic() - began

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])


class Machine:
    """Starts services; everything is gone at its end."""

    def __init__(self, folder: Path, plugins: Mapping[str, Path] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._plugins = plugins or {}
        self._started: list[Container] = []
        self._ports: dict[int, int] = {}
        (folder / "hosts").write_text("127.0.0.1 localhost " + " ".join(NAMES) + "\n")
        (folder / "passwd").write_text("root:x:0:0::/root:/bin/sh\norfeas:x:10001:10001::/home/orfeas:/bin/sh\n")
        (folder / "group").write_text("root:x:0:\norfeas:x:10001:\n")

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        for one in self._started:
            if kind is not None:
                print(f"--- {one.service.name}\n{one.tail()}")
            for process in (*_children(one.process.pid), one.process):
                process.kill()
            one.process.wait()

    def port(self, number: int) -> int:
        """Where a service answers that the files give this port."""
        return number if isolated() else self._ports.setdefault(number, free_port())

    def redis(self) -> subprocess.Popen[bytes]:
        """The server that the files take from elsewhere."""
        command = [server_binary(), "--port", str(self.port(6379)), "--dir", str(self.folder), "--save", ""]
        with (self.folder / "redis.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        service = Service("redis", Image(), tuple(command), {}, {}, 10)
        self._started.append(Container(service, process, self.folder / "redis.log"))
        return process

    def wait_until(self, condition: Callable[[], object], what: str, limit_s: float = 120.0) -> None:
        """As the tests' own; a service that ends meanwhile ends the waiting."""

        def holds() -> bool:
            for one in self._started:
                assert one.running, f"{one.service.name} ended:\n{one.tail()}"
            return bool(condition())

        wait_until(holds, limit_s, what)

    def start(self, service: Service, hostname: str = "", **more: str) -> Container:
        """`hostname` tells the containers of one service apart; `more` are variables that the operator adds."""
        name = hostname or service.name
        root = self._root(service)
        here = functools.partial(self._as_here, root)
        binds = [[folder, folder] for folder in HOST_FOLDERS if Path(folder).exists()]
        binds += [[str(self.folder / file), f"/etc/{file}"] for file in ("hosts", "passwd", "group")]
        binds += [[str(_packages()), str(_packages())]]
        for target, volume in service.folders.items():
            folder = _made(self.folder / "volumes" / volume, service.image.uid)
            for own in service.image.folders:
                if own.startswith(f"{target}/"):  # Docker copies what an image has there into a new volume
                    _made(folder / own.removeprefix(f"{target}/"), service.image.uid)
            binds.append([str(folder), target])
            _mount_point(Path(f"{root}{target}"), folder, service.image.uid)
        if service.read_only:  # PrivateTmp
            binds.append([str(_made(self.folder / "tmp" / name, service.image.uid)), "/tmp"])
        spec = {
            "root": str(root) if isolated() else None, "binds": binds, "hostname": name,
            "directory": here(service.image.directory), "uid": service.image.uid,
            "command": [here(word) for word in service.command], "read_only": service.read_only,
            "environment": {
                "PATH": here(f"{service.image.venv}/bin:/usr/bin:/bin"), "HOME": here("/home/orfeas"),
                **({} if isolated() else {"PORT": here("5000"), "REDIS_PORT": here("6399")}),
                **{name: here(value) for name, value in {**service.environment, **more}.items()},
            },
        }  # fmt: skip
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                _command(spec, log), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        self._started.append(Container(service, process, log, spec, here))
        return self._started[-1]

    def _as_here(self, root: Path, text: str) -> str:
        """A word of a file; on the host, with its own folders, ports and names in place of the container's."""
        if isolated():
            return text
        text = _NAMES.sub("//127.0.0.1:", _FOLDERS.sub(lambda found: f"{root}{found[0]}", text))
        return _PORTS.sub(lambda found: str(self.port(int(found[0]))), text)

    def _root(self, service: Service) -> Path:
        image = service.image
        root = self.folder / "roots" / service.name
        if root.exists():
            return root
        for folder in (*HOST_FOLDERS, "/tmp", "/home/orfeas", image.directory, str(_packages())):
            Path(f"{root}{folder}").mkdir(parents=True, exist_ok=True)
        Path(f"{root}/tmp").chmod(0o1777)
        for folder in image.folders:
            _made(Path(f"{root}{folder}"), image.uid)
        for source, target in image.copies:
            _copy(ROOT / source, Path(f"{root}{target}"))
        _install(image, root, self._plugins)
        return root


def _made(folder: Path, uid: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(folder, uid, uid)
    return folder


def _mount_point(path: Path, volume: Path, uid: int) -> None:
    """A folder to mount the volume on; on the host, a link to it."""
    if isolated():
        _made(path, uid)
    elif not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(volume)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy(source, target)


def _command(spec: dict[str, Any], beside: Path) -> list[str]:
    path = beside.with_suffix(f"{beside.suffix}.json")
    path.write_text(json.dumps(spec))
    return [sys.executable, "-I", str(Path(__file__).with_name("enter.py")), str(path)]


def _packages() -> Path:
    return Path(pytest.__file__).parent.parent


def _install(image: Image, root: Path, plugins: Mapping[str, Path]) -> None:
    """A virtual environment with links to the packages that the requirement files lead to, and to no others."""
    venv = Path(f"{root}{image.venv}")
    python = f"{image.venv if isolated() else venv}/bin/python"
    site = venv / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    site.mkdir(parents=True)
    (venv / "bin").mkdir()
    (venv / "pyvenv.cfg").write_text(f"home = {sys.base_prefix}/bin\ninclude-system-site-packages = false\n")
    for name in ("python", "python3"):
        (venv / "bin" / name).symlink_to(os.path.realpath(sys.executable))
    for name in pins(requirements_in(image.requirements)):
        found = distribution(name)
        tops = {file.parts[0] for file in found.files or () if file.parts[0] != ".."}
        for top in tops - {"__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(_packages() / top)
        for script in found.entry_points.select(group="console_scripts"):
            module, _, call = script.value.partition(":")
            path = venv / "bin" / script.name
            code = f"import sys\nfrom {module} import {call.split(' ')[0]} as run\nsys.exit(run())\n"
            path.write_text(f"#!{python}\n{code}")
            path.chmod(0o755)
    for name, source in plugins.items():
        _copy(source, site / name)


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
