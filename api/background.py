"""The threads of an API process: cache heartbeat, webhook deliveries, and the first connections.

They start in the process that answers requests: a parent that loads the application and forks keeps none of them.
"""

from __future__ import annotations

import logging
import os
import threading

from kombu.exceptions import OperationalError
from redis import RedisError

from api.deliveries import deliver_webhooks
from api.services import Services, follow_fleet

log = logging.getLogger(__name__)


class Background:
    """Started any number of times, it runs once per process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._started_in = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        if self._started_in == os.getpid():
            return
        with self._lock:
            if self._started_in == os.getpid():
                return
            self._started_in = os.getpid()
        follow_fleet(self._services)
        deliver_webhooks(self._services)
        threading.Thread(target=self._connect, name="first-connections", daemon=True).start()

    def _connect(self) -> None:
        """Opens what the first burst of requests would otherwise open in its midst."""
        try:
            self._services.store.depths()
            self._services.sender.connect()
        except (RedisError, OperationalError) as error:
            log.warning("Redis does not answer yet: %s", error)
