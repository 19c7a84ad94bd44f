"""What gunicorn cannot be told in one line: a folder in which its processes add up their metrics.

Read by gunicorn itself when it starts in this folder; see https://docs.gunicorn.org/en/stable/configure.html.
"""

from __future__ import annotations

import shutil
import tempfile

_counts = tempfile.mkdtemp(prefix="orfeas-metrics-")

# prometheus_client reads it when it is first imported, so not in here.
raw_env = [f"PROMETHEUS_MULTIPROC_DIR={_counts}"]


def on_exit(_server: object) -> None:
    shutil.rmtree(_counts, ignore_errors=True)
