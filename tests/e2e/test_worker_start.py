"""A worker that cannot do its work does not pretend to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_worker_whose_device_is_missing_ends_and_says_why(redis_url: str, tmp_path: Path) -> None:
    environment = os.environ | {"REDIS_URL": redis_url, "DATA_DIR": str(tmp_path), "DEVICE": "cuda:77"}
    command = [sys.executable, "-m", "celery", "-A", "worker.app", "worker", "-Q", "generate", "-c", "1"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert "DEVICE='cuda:77'" in ended.stderr
    assert "this worker cannot start" in ended.stderr
