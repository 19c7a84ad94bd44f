"""Which build of torch gets installed: the CPU one, unless ORFEAS_TORCH=cuda asks for gigabytes of CUDA."""

from __future__ import annotations

import contextlib
import sys
import threading
import urllib.request
from collections.abc import Iterable

from deploy.bootstrap.errors import SetupError

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TIMEOUT_S = 2.0
CUDA_PREFIXES = ("nvidia-", "cuda-", "triton", "pytorch-triton")
BUILDS = ("cpu", "cuda")


def check_build(build: str) -> None:
    """Raises: SetupError: `build` is no build of torch."""
    if build not in BUILDS:
        raise SetupError(f"ORFEAS_TORCH is {build!r}; it can be {' or '.join(BUILDS)}")


def index_for(build: str) -> str | None:
    """PyTorch's own CPU index when it is wanted and answers in time; `None` leaves it to pip's configuration.

    Only Linux needs it: elsewhere the public registry's own build is the CPU one.
    """
    return CPU_INDEX if build == "cpu" and sys.platform == "linux" and _answers(f"{CPU_INDEX}/torch/") else None


def refuse_cuda(packages: Iterable[str], build: str) -> None:
    """Raises: SetupError: a resolution made for the CPU would download CUDA."""
    cuda = sorted(name for name in packages if name.lower().startswith(CUDA_PREFIXES))
    if cuda and build == "cpu":
        raise SetupError(
            f"nothing was installed: this would download the CUDA build of torch, {len(cuda)} packages of gigabytes "
            f"({', '.join(cuda[:3])} …): {CPU_INDEX} did not answer within {TIMEOUT_S:.0f} s, and where pip is "
            "configured to look there is no CPU build for this Python. Make that address reachable, "
            "or give pip a CPU wheel (PIP_FIND_LINKS=folder), or accept CUDA with ORFEAS_TORCH=cuda."
        )


def _answers(url: str) -> bool:
    answers: list[bool] = []

    def ask() -> None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=TIMEOUT_S):
            answers.append(True)

    # In a thread, because the time-out of urlopen does not cover the name server.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(TIMEOUT_S)
    return bool(answers)
