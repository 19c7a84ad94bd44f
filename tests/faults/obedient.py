"""Runs a program that minds permissions even when root starts it: `python -m tests.faults.obedient PROGRAM ARGUMENT…`.

Root writes everywhere by a capability (capabilities(7)); what is dropped from the bounding set does not survive exec.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE = 1


def main(program: str, *arguments: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0 and libc.prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this root may not give up a capability")
    os.execv(program, (program, *arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
