"""Runs the stack in the foreground until Ctrl-C: `python -m deploy.stack`, for systemd and for people."""

from __future__ import annotations

import sys

from deploy.stack.foreground import run
from settings import load


def main() -> int:
    return run(load(), say=lambda line: print(line, flush=True))


if __name__ == "__main__":
    sys.exit(main())
