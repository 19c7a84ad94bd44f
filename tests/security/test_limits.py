"""One budget per caller, whichever process answers; and what a service without keys listens on."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil

from tests.security.live import Live, live_api
from tests.security.served import ADMIN_KEY, USER_KEY

BUDGET = 12


def ask(live: Live, key: str, path: str = "/api/jobs") -> int:
    """Over a connection of its own, so that either process may take it."""
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.get(f"{live.http.base_url}{path}", headers=headers, trust_env=False, timeout=10).status_code


def test_two_processes_share_one_budget_per_key(tmp_path: Path) -> None:
    with live_api(tmp_path, rate_limit=f"{BUDGET}/minute") as live, ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(lambda _: ask(live, USER_KEY), range(3 * BUDGET)))
        assert answers == {200: BUDGET, 429: 2 * BUDGET}
        assert ask(live, ADMIN_KEY) == 200, "another key has its own"
        guesses = Counter(pool.map(lambda number: ask(live, f"guess-{number}"), range(3 * BUDGET)))
        assert guesses == {401: BUDGET, 429: 2 * BUDGET}, "guesses at keys are counted by address"
        assert {ask(live, "none", "/health") for _ in range(2 * BUDGET)} == {200}


def test_without_keys_all_processes_listen_on_loopback_only(tmp_path: Path) -> None:
    with live_api(tmp_path, api_keys=(), admin_keys=(), host=None) as live:
        processes = [psutil.Process(live.process.pid), *live.process.children()]
        listening = {
            connection.laddr.ip
            for process in processes
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        assert len(processes) >= 3
        assert listening == {"127.0.0.1"}
