"""Programs that some tests need beside Python. A missing one is a skip on a laptop and an error in CI."""

from __future__ import annotations

import os
import shutil

import pytest


def tool(*names: str, how: str) -> str:
    """Path of the first of these programs that is installed; `how` says what to do when there is none."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        reason = f"no {names[0]} is installed: {how}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return found
