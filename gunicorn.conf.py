"""How gunicorn serves the API in every deployment: address, processes, threads and grace by the settings, one format of
logs, its worker, and a folder in which its processes add up their metrics. An option of its command line comes first.

Read by gunicorn itself when it starts in this folder; see https://docs.gunicorn.org/en/stable/configure.html.
"""

from __future__ import annotations

import gc
import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

import logs
import settings
from deploy.gunicorn_logger import Logger
from deploy.gunicorn_start import follow_threads, refuse_strangers

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


# Which address is really bound, by whatever option, is checked when it is.
_settings = settings.load(protected_mode=False)
if _settings.log_format == "json":
    logs.capture_output()

bind = [_settings.bind_address]
workers = _settings.api_processes
threads = _settings.api_threads
# Long polls and streams never end by themselves; what else runs is answered by then.
graceful_timeout = max(1, min(3, int(_settings.stop_grace_s)))
logger_class = Logger
worker_class = "patience.Worker"
# Connections that wait cost no thread; without this many, simultaneous callers would be cut off. One descriptor each.
worker_connections = _descriptors(8192 + _OTHER_FILES) - _OTHER_FILES
backlog = 4096  # Linux bounds it by net.core.somaxconn
control_socket_disable = True  # several servers of one user would share one socket

when_ready = refuse_strangers

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
    if not issubclass(server.cfg.worker_class, ThreadWorker):
        server.log.critical(
            "--worker-class must be left out or be gthread: other classes of gunicorn answer one request at a time, so "
            "that a stream keeps everybody out, or need another concurrency model"
        )
        raise SystemExit(2)
    follow_threads(server)
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
