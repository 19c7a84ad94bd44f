"""The linter and the type checker, as tests, so that one command says whether a change is good."""

from __future__ import annotations

import subprocess
import sys

import pytest

from deploy.bootstrap.pip import ROOT


@pytest.mark.parametrize("arguments", [["ruff", "check"], ["mypy"]], ids=["lint", "types"])
def test_tree_is_clean(arguments: list[str]) -> None:
    checked = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
