"""How gunicorn serves the API in every deployment: address, processes, threads and grace by the settings, one format of
logs, its worker, and a folder in which its processes add up their metrics. An option of its command line comes first.

Read by gunicorn itself when it starts in this folder; see https://docs.gunicorn.org/en/stable/configure.html.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import logs
import settings
from deploy.gunicorn_logger import Logger
from deploy.gunicorn_start import follow_threads, refuse_strangers

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

on_starting = follow_threads
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


def on_exit(_server: object) -> None:
    shutil.rmtree(_counts, ignore_errors=True)
