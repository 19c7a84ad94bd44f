"""Becomes one program of a container: a root of its own, a name, a user, and the environment that it is given.

    python enter.py SPEC.json

Runs by itself, without the packages of this repository: what it imports, the program must not find by accident.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

CLONE_NEWNS, CLONE_NEWUTS = 0x00020000, 0x04000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
PR_SET_NO_NEW_PRIVS = 38
_libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, flags: int) -> None:
    call = _libc.mount(source.encode(), target.encode(), None, ctypes.c_ulong(flags), None)
    checked(call, f"mount {source} on {target}")


def enter(spec: dict[str, Any]) -> None:
    if (root := spec["root"]) is not None:
        change_root(root, spec)
    os.chdir(spec["directory"])
    checked(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    os.execvpe(spec["command"][0], spec["command"], spec["environment"])


def change_root(root: str, spec: dict[str, Any]) -> None:
    """Also the host's name and the user."""
    checked(_libc.unshare(CLONE_NEWNS | CLONE_NEWUTS), "unshare")
    mount("none", "/", MS_REC | MS_PRIVATE)
    mount(root, root, MS_BIND)
    if spec["read_only"]:
        mount("none", root, MS_REMOUNT | MS_BIND | MS_RDONLY)
    for source, target in spec["binds"]:
        mount(source, root + target, MS_BIND | MS_REC)
    name = spec["hostname"].encode()
    checked(_libc.sethostname(name, len(name)), "sethostname")
    os.chroot(root)
    os.setgroups([])
    os.setgid(spec["uid"])
    os.setuid(spec["uid"])


if __name__ == "__main__":
    enter(json.loads(Path(sys.argv[1]).read_text()))
