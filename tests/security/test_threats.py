"""The threat model names a test for each of its lines, and each of them exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "operate" / "threats.md"
_NAME = re.compile(r"`(test_\w+)`")


def existing() -> set[str]:
    return {
        node.name
        for path in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def rows() -> list[str]:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return [line for line in lines if not line.startswith(("| threat", "|---"))]


def test_every_threat_has_a_test_that_exists() -> None:
    known = existing()
    assert len(rows()) > 30
    for row in rows():
        names = _NAME.findall(row)
        assert names, f"no test: {row}"
        assert not [name for name in names if name not in known], row


def test_every_file_of_these_proofs_is_told_of() -> None:
    told = set(_NAME.findall(PAGE.read_text()))
    for path in sorted((TESTS / "security").glob("test_*.py")):
        tree = ast.parse(path.read_text())
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}
        assert names & told or path.name == "test_threats.py", f"{path.name} is not in the threat model"
