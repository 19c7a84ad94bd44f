"""Runs the stack in the foreground until Ctrl-C: `python -m deploy.stack`, for systemd and for people."""

from __future__ import annotations

import sys

from pydantic import ValidationError

from deploy.stack.foreground import run
from settings import Settings


def main() -> int:
    try:
        settings = Settings()
    except ValidationError as error:
        print(error, file=sys.stderr)
        return 2
    return run(settings, say=lambda line: print(line, flush=True))


if __name__ == "__main__":
    sys.exit(main())
