"""Shares the host's GPUs among its generate workers: one each, in turn. Knows no torch; it asks `nvidia-smi`."""

from __future__ import annotations

import shutil
import subprocess

TIMEOUT_S = 5


def visible_devices(device: str, workers: int) -> list[dict[str, str]]:
    """Per worker, the variables that show it its GPU alone; nothing where there are not several to share."""
    gpus = _gpus() if workers > 1 and device in ("auto", "cuda") else []
    if len(gpus) < 2:
        return [{} for _ in range(workers)]
    return [{"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} for number in range(workers)]


def _gpus() -> list[str]:
    # UUIDs, so that the order in which CUDA counts devices does not matter. nvidia-smi ignores CUDA_VISIBLE_DEVICES:
    # whoever sets it restricts the whole stack, and then gives each worker its device by hand.
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    query = [command, "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return answer.stdout.split()
