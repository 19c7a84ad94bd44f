"""How API and workers speak through the broker: task names, queues, priorities, and one `Sender` for both.

It holds plain values and takes the Celery app as an argument, so that neither side imports the other's.
A message carries the generator's name, for people who watch, and the work's key; never bytes.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from cache.redis_url import RedisAddress
from jobs.records import Queue, Work

TASKS = {"generation": "orfeas.generate", "rendition": "orfeas.render"}

# By a work's priority: urgent, high, normal, low. kombu's Redis transport serves low numbers first.
_PRIORITIES = (0, 3, 6, 9)


def broker_settings(url: str, *, longest_job_s: float) -> dict[str, Any]:
    """Celery's settings that both sides must agree on.

    The smallest visibility time-out set by any client of a broker wins, so both set the same: far above the longest
    job, since a lost worker is noticed by its heartbeat and the broker's own redelivery is only the last net.

    Raises:
        ValueError: the URL is not supported; the message repeats no part of it.
    """
    address = RedisAddress.parse(url)
    return {
        "broker_url": broker_url(address),
        # Celery and Flower verify a server with TLS only if this says so; what a URL carries is not enough for Flower.
        "broker_use_ssl": None if address.tls is None else dict(address.tls),
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_default_queue": "generate",
        "task_send_sent_event": True,
        "task_queue_max_priority": 10,
        "broker_connection_timeout": 1.0,
        "broker_transport_options": {
            "visibility_timeout": int(24 * 3600 + 2 * longest_job_s),
            "priority_steps": list(_PRIORITIES),
            "queue_order_strategy": "priority",
            "socket_connect_timeout": 1.0,
            "socket_timeout": 5.0,
            "socket_keepalive": True,
            "health_check_interval": 25,
        },
    }


def broker_url(address: RedisAddress) -> str:
    """The address as Celery and Flower write it; TLS options are given apart from it."""
    secrets = ":".join(quote(part or "", safe="") for part in (address.username, address.password))
    sign_in = f"{secrets}@" if address.username or address.password else ""
    if address.socket:
        return f"redis+socket://{sign_in}{quote(address.socket)}?virtual_host={address.database}"
    scheme = "redis" if address.tls is None else "rediss"
    host = f"[{address.host}]" if ":" in address.host else quote(address.host)
    return f"{scheme}://{sign_in}{host}:{address.port}/{address.database}"


class Sender:
    """Sends the messages of works through a Celery app, without waiting for anybody."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def prepare(self) -> None:
        """Loads what the first message needs, which takes a fifth of a second; it touches no network."""
        app = self._app
        _ = app.backend, app.amqp.queues, app.connection_for_write().transport

    def connect(self) -> None:
        """Opens the connection that messages are sent through.

        Raises: kombu.exceptions.OperationalError.
        """
        with self._app.producer_or_acquire() as producer:
            producer.connection.ensure_connection(max_retries=1)

    def send(self, work: Work) -> None:
        """Raises: kombu.exceptions.OperationalError when the broker does not take it; the work stays due."""
        self._app.send_task(
            TASKS[work.kind],
            args=[work.generator, work.key],
            task_id=work.task_id,
            queue=work.queue,
            priority=_PRIORITIES[work.priority],
            retry=False,
        )

    def backlog(self, queue: Queue) -> int:
        """Messages of a queue that no worker has taken yet."""
        with self._app.connection_for_write() as connection:
            try:
                declared = connection.default_channel.queue_declare(queue=queue, passive=True)
            except connection.channel_errors:  # to kombu's Redis transport an empty queue is none
                return 0
            return int(declared.message_count)
