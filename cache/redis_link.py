"""One process' line to the Redis of the shared tier: connections, scripts, and what happens when it does not answer.

Nothing is tried twice: a script that counts would count twice. Nothing waits longer than the time-outs given here,
because a cache that is slower than doing without is none. redis-py's own defaults wait up to a minute.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import redis
from redis.exceptions import NoPermissionError, NoScriptError, RedisError, ResponseError

from cache.breaker import Breaker
from cache.errors import SharedUnavailable
from cache.redis_client import make_client

log = logging.getLogger(__name__)
T = TypeVar("T")
F = TypeVar("F")
Command = Sequence[Any]

_SCRIPTS = Path(__file__).parent / "scripts"
_BEGUN = {b"epoch", b"version", b"policy", b"max_size", b"max_bytes", b"ttl_ms"}
KEY_NAMES = ("state", "order", "expiry", "entries", "hits", "events")


@cache
def script_source(name: str) -> str:
    """The text of one script with the common part in front."""
    return "".join((_SCRIPTS / f"{part}.lua").read_text(encoding="utf-8") for part in ("common", name))


@cache
def script_sha(name: str) -> str:
    return hashlib.sha1(script_source(name).encode(), usedforsecurity=False).hexdigest()


def connect(url: str, *, connect_timeout_s: float = 0.2, timeout_s: float = 0.5, **options: Any) -> redis.Redis:
    """A client with its own pool, short time-outs and no retries; it connects at the first command.

    Raises:
        ValueError: the URL is not supported; the message repeats no part of it.
    """
    return make_client(
        url, connect_timeout_s=connect_timeout_s, timeout_s=timeout_s, socket_read_size=1 << 20, **options
    )


def _gone_again() -> ResponseError:
    return ResponseError("the state of the shared tier vanishes as soon as it is written; look at maxmemory-policy")


@contextmanager
def borrowed(client: redis.Redis) -> Iterator[Any]:
    """A connection of the client's pool; a fault closes it, so that nobody ever reads what was left of an answer."""
    connection = client.connection_pool.get_connection()
    try:
        yield connection
    except BaseException:
        connection.disconnect()  # type: ignore[no-untyped-call]
        raise
    finally:
        client.connection_pool.release(connection)


class RedisLink:
    """Runs commands and scripts in one round trip, counts what fails, and gives the server a rest when it is down."""

    def __init__(self, client: redis.Redis, tag: str, seed: Mapping[str, Any], breaker: Breaker) -> None:
        self.client = client
        self.tag = tag
        self.state_key = f"{tag}:state"
        self.breaker = breaker
        self.version = 0  # of the shared state, as of the last answer
        self.on_version: Callable[[int], None] | None = None
        self._seed = dict(seed)
        self._seeded = False
        self._faults: Counter[str] = Counter()
        self._faults_lock = threading.Lock()
        self._keys = tuple(f"{tag}:{name}" for name in KEY_NAMES)

    def run(self, name: str, *args: Any, before: Sequence[Command] = (), also: Sequence[Command] = ()) -> list[Any]:
        """Run one script, and commands before and after it in the same round trip; all answers, in order.

        Raises:
            redis.RedisError: the server failed or refused.
        """
        self.ensure_seed()
        command = ("EVALSHA", script_sha(name), len(self._keys), *self._keys, self.tag, *args)
        replies = self.round_trip(*before, command, *also)
        if replies[len(before)][0] == b"unseeded":  # the server was emptied under us
            self.plant_seed()
            replies = self.round_trip(*before, command, *also)
        if replies[len(before)][0] == b"unseeded":
            raise _gone_again()
        self._note_version(replies[len(before)])
        return replies

    def configure(self, seed: str, fields: Mapping[str, Any]) -> None:
        """Set fields of the state: always, or with a `seed` only when it is another than the last one."""
        pairs = [item for pair in fields.items() for item in pair]
        command = ("EVALSHA", script_sha("configure"), len(self._keys), *self._keys, self.tag, seed, *pairs)
        (reply,) = self.round_trip(command)
        if reply[0] == b"unseeded":  # the server was emptied under us
            self.plant_seed()
            (reply,) = self.round_trip(command)
        if reply[0] == b"unseeded":
            raise _gone_again()
        self._seeded = True
        self._note_version(reply)

    def ensure_seed(self) -> None:
        """Once per process: say what it was started with."""
        if not self._seeded:
            self.plant_seed()

    def plant_seed(self) -> None:
        """Begin the state on an empty server; elsewhere apply this process' settings if they are new ones."""
        self.configure(repr(sorted(self._seed.items())), self._seed)

    def read_state(self, *also: Command) -> list[Any]:
        """The fields of the state, begun where there is none, and the answers to other commands of the same moment.

        Raises:
            redis.RedisError: the server failed or refused.
        """
        self.ensure_seed()
        for _ in range(2):
            state, *answers = self.round_trip(("HGETALL", self.state_key), *also)
            if state.keys() >= _BEGUN:
                return [state, *answers]
            self.plant_seed()
        raise _gone_again()

    def _note_version(self, reply: Sequence[Any]) -> None:
        version = int(reply[1])
        moved, self.version = version != self.version, version
        if moved and self.on_version is not None:
            self.on_version(version)

    def round_trip(self, *commands: Command) -> list[Any]:
        """Send the commands together and return their answers in order.

        A server that has lost its scripts gets them, and the commands are sent once more: those that stand beside a
        script must be ones that may run twice.

        Raises:
            redis.RedisError: of the first command that failed.
        """
        replies = self._send(commands)
        if any(isinstance(reply, NoScriptError) for reply in replies):
            for name in {path.stem for path in _SCRIPTS.glob("*.lua")} - {"common"}:
                self.client.script_load(script_source(name))
            replies = self._send(commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def _send(self, commands: Sequence[Command]) -> list[Any]:
        """All answers, refusals among them, without the bookkeeping of redis-py's own pipeline."""
        with borrowed(self.client) as connection:
            connection.send_packed_command(connection.pack_commands(commands))
            return [self._answer(connection, command[0]) for command in commands]

    def _answer(self, connection: Any, name: str) -> Any:
        try:
            return self.client.parse_response(connection, name)  # type: ignore[no-untyped-call]
        except NoPermissionError as refusal:
            # Hosted servers keep INFO to themselves. Its figures are advice; the tier works without them.
            return {} if name == "INFO" else refusal
        except ResponseError as refusal:
            return refusal

    def attempt(self, operation: str, call: Callable[[], T], fallback: F) -> T | F:
        """The call's answer, or `fallback` when the server fails it or is being left alone."""
        try:
            return self.ask(operation, call)
        except SharedUnavailable:
            return fallback

    def ask(self, operation: str, call: Callable[[], T]) -> T:
        """The call's answer; every failure is counted.

        Raises:
            SharedUnavailable: the server failed it, refused it, or is being left alone; the message says which.
        """
        if not self.breaker.allow():
            self.count(f"{operation}: left alone")
            raise SharedUnavailable("the Redis of the shared tier did not answer lately and is asked again in a second")
        try:
            answer = call()
        except ResponseError as error:  # it answers, if only with a refusal: full, read-only
            self._note(operation, error)
            self._alive()
            raise SharedUnavailable(f"the Redis of the shared tier refused: {error}") from error
        except (RedisError, OSError) as error:
            self._note(operation, error)
            if self.breaker.failed():
                log.warning("shared tier: left alone after %s in %s", type(error).__name__, operation)
            raise SharedUnavailable("the Redis of the shared tier did not answer; see /health") from error
        self._alive()
        return answer

    def _alive(self) -> None:
        if self.breaker.succeeded():
            log.warning("shared tier: answers again")

    def _note(self, operation: str, error: Exception) -> None:
        if self.count(f"{operation}: {type(error).__name__}") == 1:  # the rest is in the counters
            log.warning("shared tier: %s failed, and is done without: %s", operation, error)

    def count(self, fault: str) -> int:
        """Note that something was done without; answers how often it was so far."""
        with self._faults_lock:
            self._faults[fault] += 1
            return self._faults[fault]

    def fault_counts(self) -> dict[str, int]:
        """How often what failed, since this process started."""
        with self._faults_lock:
            return dict(self._faults)
