"""How API and workers speak through the broker: task names, queues, priorities, and one `Sender` for both.

It holds plain values and takes the Celery app as an argument, so that neither side imports the other's.
A message carries the generator's name, for people who watch, and the work's key; never bytes.
"""

from __future__ import annotations

from typing import Any

from jobs.records import Queue, Work

TASKS = {"generation": "orfeas.generate", "rendition": "orfeas.render"}

# By a work's priority: urgent, high, normal, low. kombu's Redis transport serves low numbers first, AMQP high ones.
_REDIS_PRIORITY = (0, 3, 6, 9)
_AMQP_PRIORITY = (10, 7, 4, 1)


def broker_settings(url: str, *, longest_job_s: float) -> dict[str, Any]:
    """Celery's settings that both sides must agree on.

    The smallest visibility time-out set by any client of a broker wins, so both set the same: far above the longest
    job, since a lost worker is noticed by its heartbeat and the broker's own redelivery is only the last net.
    """
    settings: dict[str, Any] = {
        "broker_url": url,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_default_queue": "generate",
        "task_send_sent_event": True,
        "task_queue_max_priority": 10,
        "broker_connection_timeout": 1.0,
    }
    if url.startswith(("redis", "unix")):
        settings["broker_transport_options"] = {
            "visibility_timeout": int(24 * 3600 + 2 * longest_job_s),
            "priority_steps": list(_REDIS_PRIORITY),
            "queue_order_strategy": "priority",
            "socket_connect_timeout": 1.0,
            "socket_timeout": 5.0,
            "socket_keepalive": True,
            "health_check_interval": 25,
        }
    return settings


class Sender:
    """Sends the messages of works through a Celery app, without waiting for anybody."""

    def __init__(self, app: Any) -> None:
        self._app = app
        amqp = not str(app.conf.broker_url).startswith(("redis", "unix"))
        self._priorities = _AMQP_PRIORITY if amqp else _REDIS_PRIORITY

    def send(self, work: Work) -> None:
        """Raises: kombu.exceptions.OperationalError when the broker does not take it; the work stays due."""
        self._app.send_task(
            TASKS[work.kind],
            args=[work.generator, work.key],
            task_id=work.task_id,
            queue=work.queue,
            priority=self._priorities[work.priority],
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
