"""What gunicorn cannot be told in one line: its worker, and a folder in which its processes add up their metrics.

Read by gunicorn itself when it starts in this folder; see https://docs.gunicorn.org/en/stable/configure.html.
"""

from __future__ import annotations

import gc
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

_OTHER_FILES = 256  # of a process: Redis, archive, logs, webhooks


def _descriptors(wanted: int) -> int:
    """Raises the number of files that this process and its children may open, as far as it is allowed to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    aim = wanted if hard == unlimited else min(wanted, hard)
    if soft == unlimited or soft >= aim:
        return aim
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (aim, hard))
    except (ValueError, OSError):  # macOS bounds it further
        return max(soft, 2 * _OTHER_FILES)
    return aim


worker_class = "patience.Worker"
# Connections that wait cost no thread; without this many, simultaneous callers would be cut off. One descriptor each.
worker_connections = _descriptors(8192 + _OTHER_FILES) - _OTHER_FILES
backlog = 4096  # Linux bounds it by net.core.somaxconn
control_socket_disable = True  # several servers of one user would share one socket

_NAME = "orfeas-metrics-"


def _sweep() -> None:
    """Removes what servers left behind that were killed: the number in the name was their process."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_NAME}*-*"):
        number = folder.name.removeprefix(_NAME).partition("-")[0]
        if number.isdigit() and not Path(f"/proc/{number}").exists():
            shutil.rmtree(folder, ignore_errors=True)


if Path("/proc/self").exists():
    _sweep()
# SIGHUP reads this file again in the same process, after taking `raw_env` back: the folder is remembered apart, so
# that it stays the one that everybody writes into.
_REMEMBERED = "ORFEAS_METRICS_OF_" + str(os.getpid())
_counts = os.environ.get(_REMEMBERED) or tempfile.mkdtemp(prefix=f"{_NAME}{os.getpid()}-")
os.environ[_REMEMBERED] = _counts

# prometheus_client reads it when it is first imported, so not in here.
raw_env = [f"PROMETHEUS_MULTIPROC_DIR={_counts}"]


def on_starting(server: Any) -> None:
    """Refuses what cannot work, before any process is forked; not asked again on SIGHUP."""
    settings = Path(__file__).with_name("settings.py")
    # In a process of its own: what this one has loaded, all that it forks would keep after a reload.
    if subprocess.run([sys.executable, str(settings), "check"], check=False).returncode:
        raise SystemExit(2)
    if not issubclass(server.cfg.worker_class, ThreadWorker):
        sys.stderr.write(
            "error: --worker-class must be left out or be gthread: other classes of gunicorn answer one request at a"
            " time, so that a stream keeps everybody out, or need another concurrency model\n"
        )
        raise SystemExit(2)
    if (server.cfg.uid, server.cfg.gid) != (os.geteuid(), os.getegid()):  # --user, --group
        os.chown(_counts, server.cfg.uid, server.cfg.gid)


def pre_fork(_server: Any, _worker: Any) -> None:
    """Leaves what --preload has loaded out of the children's garbage collection, which would copy it all."""
    gc.freeze()


def post_worker_init(worker: Any) -> None:
    """Starts the application's threads in the process that answers, also where --preload has loaded it elsewhere."""
    background = sys.modules.get("api.wsgi")
    if background is not None:
        background.background.start()


def on_exit(_server: object) -> None:
    shutil.rmtree(_counts, ignore_errors=True)
