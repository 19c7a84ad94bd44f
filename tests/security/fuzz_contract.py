"""Schemathesis against the served document: every operation, boundary values, random bodies, chains of links.

python -m tests.security.fuzz_contract 150 5000    # random, of as many examples, and at least so many cases in all
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.security.served import ADMIN_KEY, Served
from tests.servers import RedisServer

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Verdict:
    """`cases` were tried; `failures` is what schemathesis printed of those that broke the contract, or empty."""

    cases: int
    failures: str


def served_document(served: Served) -> dict[str, object]:
    return served.house.http.get("/openapi.json", headers={"Authorization": f"Bearer {ADMIN_KEY}"}).json


def try_contract(served: Served, folder: Path, *options: str) -> Verdict:
    """Runs schemathesis as a program of its own, which knows the service by its address and document only."""
    document = folder / "openapi.json"
    document.write_text(json.dumps(served_document(served)))
    ran = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "contract.toml"),
            "run", str(document), "--url", served.url, "--no-color", *options,
        ],
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.security.contract_hooks", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )  # fmt: skip
    told = re.search(r"(\d+) generated", ran.stdout)
    return Verdict(int(told[1]) if told else 0, ran.stdout + ran.stderr if ran.returncode else "")


def main(max_examples: str, least_cases: str = "1") -> int:
    with (
        tempfile.TemporaryDirectory() as folder,
        RedisServer() as redis,
        Served(redis.client(decode_responses=True), redis.url, Path(folder)) as served,
    ):
        verdict = try_contract(served, Path(folder), "--max-examples", max_examples)
    print(verdict.failures or f"{verdict.cases} cases, no answer outside the contract")
    return 1 if verdict.failures or verdict.cases < int(least_cases) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:] or ["150"]))
