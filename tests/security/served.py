"""The house behind a real port, with a worker that works, for clients that know nothing of it but its address."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType

from redis import Redis
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.house import House

ADMIN_KEY, USER_KEY, OTHER_KEY = "an-admin-key", "a-user-key", "another-user-key"
SECRET = "whsec_" + "c2VjcmV0" * 5 + "c2U="


class Served:
    """Answers at `url` until the end of its `with`."""

    def __init__(self, redis: Redis, redis_url: str, folder: Path, **settings: object) -> None:
        keys = {"api_keys": (USER_KEY, OTHER_KEY), "admin_keys": (ADMIN_KEY,), "rate_limit": "0", "api_threads": 1000}
        self.house = House(redis, redis_url, folder, **{**keys, "webhook_secret": (SECRET,), **settings}).open()
        self._stop = threading.Event()
        self._server = make_server("127.0.0.1", 0, self.house.app, threaded=True, request_handler=_Silent)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._server.serve_forever, self._work)]

    def __enter__(self) -> Served:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._server.shutdown()
        for thread in self._threads:
            thread.join(timeout=30)
        self._server.server_close()
        self.house.close()

    def _work(self) -> None:
        while not self._stop.wait(0.01):
            self.house.agent.beat()
            self.house.work()


class _Silent(WSGIRequestHandler):
    """HTTP/1.1, so that a client keeps its connection; a test's output is no access log."""

    protocol_version = "HTTP/1.1"

    def log(self, *_: object) -> None: ...
