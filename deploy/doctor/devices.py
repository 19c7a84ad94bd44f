"""Which devices torch sees; asked of a process of its own, since torch takes seconds and a gigabyte to load."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from deploy.doctor.findings import Finding, fail, ok, warn

PATIENCE_S = 90
_ASK = """
import json, torch
seen = []
if torch.cuda.is_available():
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        seen.append({"name": torch.cuda.get_device_name(number), "free": free, "total": total})
print(json.dumps({"torch": torch.__version__, "cuda": torch.version.cuda, "seen": seen}))
"""
_TAKE_CUDA = "remove .venv and run `ORFEAS_TORCH=cuda ./orfeas up`, or set DEVICE=cpu"


def device_findings(device: str) -> Iterator[Finding]:
    """What there is, held against the setting DEVICE."""
    try:
        done = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, timeout=PATIENCE_S)
        told = json.loads(done.stdout.strip().splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        yield fail("device", f"torch does not load: {error}", "./orfeas installs it; its log is in .venv")
        return
    yield judged(device, told, has_gpu=shutil.which("nvidia-smi") is not None)


def judged(device: str, told: dict[str, Any], *, has_gpu: bool) -> Finding:
    """The verdict on what torch told; `has_gpu` is whether this host has NVIDIA's driver."""
    seen, torch = told["seen"], f"torch {told['torch']}"
    if seen:
        return ok("device", f"{', '.join(map(_shown, seen))}; {torch}")
    if device.startswith("cuda"):
        reason = "it is a build for the CPU" if told["cuda"] is None else "no GPU is visible to it"
        mend = _TAKE_CUDA if told["cuda"] is None else "look at `nvidia-smi`, the driver and CUDA_VISIBLE_DEVICES"
        return fail("device", f"DEVICE={device}, but {torch} sees no GPU: {reason}", mend)
    if has_gpu and device == "auto":
        return warn("device", f"this host has a GPU that {torch} does not use", _TAKE_CUDA)
    return ok("device", f"CPU; {torch}")


def _shown(gpu: dict[str, Any]) -> str:
    return f"{gpu['name']} with {gpu['free'] / 2**30:.0f} of {gpu['total'] / 2**30:.0f} GiB free"
