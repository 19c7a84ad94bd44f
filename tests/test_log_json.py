"""With LOG_FORMAT=json every line is JSON: what libraries print, warnings, tracebacks, programs that cannot start."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.stack import Stack
from deploy.stack.programs import programs
from settings import Settings
from tests.servers import free_port, wait_until
from tests.test_stack import ROOT, log_of, python

CELERY = (sys.executable, "-m", "celery", "-A", "worker.app")
GUNICORN = (sys.executable, "-m", "gunicorn", "--no-control-socket")


def lines_of(text: str) -> list[dict[str, Any]]:
    """Every line, read as JSON."""
    return [json.loads(line) for line in text.splitlines()]


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LOG_FORMAT": "json", **variables}
    return subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("print('one\\ntwo')", "two"),
        ("print('par', end=''); print('ted')", "parted"),
        ("import sys; sys.stderr.write('10 %\\r20 %\\rdone\\n')", "20 %"),
        ("import warnings; warnings.warn('odd\\nthing')", "odd\nthing"),
        ("import logging; logging.getLogger('x').error('%d', 'no number')", "%d"),
        ("import traceback\ntry: 1 / 0\nexcept ArithmeticError: traceback.print_exc()", "ZeroDivisionError"),
        ("import threading; threading.Thread(target=lambda: 1 / 0).start()", "ZeroDivisionError"),
        ("raise ValueError('the end')", "the end"),
        ("import logging, sys; logging.getLogger('y').info('ü\\u2028\\x1b[31m')", "ü"),
    ],
)
def test_whatever_a_program_says_is_a_line_of_json(code: str, says: str) -> None:
    done = run(sys.executable, "-c", f"import logs; logs.configure(as_json=True); logs.capture_output()\n{code}")
    assert says in "\n".join(str(line["event"]) for line in lines_of(done.stdout))


def test_what_people_ask_of_celery_still_comes_as_they_asked(redis_url: str) -> None:
    done = run(*CELERY, "report", REDIS_URL=redis_url)
    assert "software ->" in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        (*CELERY, "worker", "-Q", "generate"),
        (*CELERY, "flower"),
        (*GUNICORN, "api.wsgi:app"),
        (sys.executable, "-m", "deploy.stack"),
    ],
    ids=["worker", "flower", "api", "stack"],
)
def test_a_program_with_a_wrong_setting_names_it_in_json(command: tuple[str, ...]) -> None:
    done = run(*command, PORT="0", API_KEYS="not-to-be-seen")
    assert done.returncode != 0
    assert any("PORT" in line["event"] for line in lines_of(done.stdout)) and "not-to-be-seen" not in done.stdout


def test_servers_that_cannot_start_say_so_in_json(redis_url: str, tmp_path: Path) -> None:
    variables = {"REDIS_URL": redis_url, "DATA_DIR": str(tmp_path)}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        flower = run(*CELERY, "flower", f"--port={port}", "--address=127.0.0.1", **variables)
    assert flower.returncode != 0 and lines_of(flower.stdout)
    api = run(*GUNICORN, "api.no_such_module:app", PORT=str(free_port()), **variables)
    assert any("Worker failed to boot" in line["event"] for line in lines_of(api.stdout))


def test_supervisor_guard_and_embedded_redis_log_json(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, redis_port=free_port(), redis_url="", log_format="json", stop_grace_s=2)
    redis = programs(settings)[0]
    with Stack(settings, [redis, python("broken", "import logs; logs.configure(as_json=True); 1 / 0")]) as stack:
        for name, event in (("redis", "Ready to accept connections"), ("supervisor", "exited")):
            wait_until(lambda name=name, event=event: event in log_of(stack.settings, name), 20, f"{name}: {event}")
    logs = {log.name: lines_of(log.read_text()) for log in tmp_path.glob("logs/*.log")}
    assert set(logs) == {"broken.log", "guard.log", "redis.log", "supervisor.log"}
    assert {line["level"] for line in logs["supervisor.log"]} <= {"info", "warning", "error", "critical"}
    assert any("bye bye" in line["event"] for line in logs["redis.log"]), "it was stopped, and not killed"
