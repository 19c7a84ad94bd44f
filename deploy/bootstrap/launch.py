"""From the arguments of `./orfeas` to the process that carries them out, in a ready environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from deploy.bootstrap.environment import Environment
from deploy.bootstrap.errors import SetupError
from deploy.bootstrap.pip import ROOT

RUN = ("requirements.txt",)
TEST = ("requirements.txt", "requirements-test.txt")
# The whole suite, on two cores: the fleets of real processes wait most of their time. Chosen tests run one by one.
WHOLE_SUITE = ("-n", "2")
# Bytecode is written at first use, not at installation; without it each import of torch takes 2.5 s longer.
NOT_HANDED_ON = ("PYTHONHOME", "PYTHONDONTWRITEBYTECODE")


def launch(arguments: list[str]) -> int:
    """Replace this process by the command; answers an exit status only when that could not be done."""
    try:
        if os.pathsep in str(ROOT):
            raise SetupError(f"no search path can hold {ROOT}, since {os.pathsep} separates its folders; rename it")
        folder = Path(os.environ.get("ORFEAS_VENV") or ROOT / ".venv").absolute()
        environment = Environment(folder, os.environ.get("ORFEAS_TORCH") or "cpu")
        testing = arguments[:1] == ["test"]
        environment.make_ready(TEST if testing else RUN)
        if testing:
            os.chdir(ROOT)
            _become(environment.python, ["-m", "pytest", *(arguments[1:] or WHOLE_SUITE)])
        _become(environment.python, ["-m", "client", *arguments])
    except SetupError as error:
        print(f"\norfeas: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\norfeas: interrupted; the next run takes up where this one stopped", file=sys.stderr)
        return 130


def _become(python: Path, arguments: list[str]) -> NoReturn:
    # One folder on the path, whatever the caller's PYTHONPATH: the command works from every working directory.
    variables = {name: value for name, value in os.environ.items() if name not in NOT_HANDED_ON}
    os.execve(python, [str(python), *arguments], {**variables, "PYTHONPATH": str(ROOT)})
