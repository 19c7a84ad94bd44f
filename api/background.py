"""The threads of an API process: cache heartbeat, webhook deliveries, and the first connections.

They start in the process that answers requests: a parent that loads the application and forks keeps none of them.
"""

from __future__ import annotations

import os
import threading

from api.deliveries import deliver_webhooks
from api.services import Services, follow_fleet
from cache.loops import Loop

AGAIN_S = 1.0


class Background:
    """Started any number of times, it runs once per process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._started_in = 0
        self._lock = threading.Lock()
        self._connecting = Loop("first-connections", self._connect, every_s=AGAIN_S)

    def start(self) -> None:
        if self._started_in == os.getpid():
            return
        with self._lock:
            if self._started_in == os.getpid():
                return
            self._started_in = os.getpid()
        follow_fleet(self._services)
        deliver_webhooks(self._services)
        self._connecting.start()

    def _connect(self) -> None:
        """Opens, once Redis answers, what the first burst of requests would otherwise open in its midst.

        Raises: redis.RedisError.
        """
        self._services.store.depths()
        self._services.sender.connect()
        self._connecting.close()
