"""Runs a program that can only log text, each of its lines as JSON: `python -m deploy.stack.json_lines NAME COMMAND…`

The signals that stop it are handed on, and its exit status is this program's own. When this program is killed, the
stack's guard ends the other one.
"""

from __future__ import annotations

import signal
import subprocess
import sys

import logs

HANDED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(name: str, command: list[str]) -> int:
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as program:
        for number in HANDED_ON:
            signal.signal(number, lambda number, _: program.send_signal(number))
        assert program.stdout is not None
        for line in program.stdout:
            if text := line.decode(errors="replace").strip():
                sys.stdout.buffer.write(logs.line_of(text, name))
                sys.stdout.buffer.flush()
    # As shells do it: a program that a signal ended has no status of its own.
    return program.returncode if program.returncode >= 0 else 128 - program.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
