"""The life of one stack: start it, wait until it can accept work, look at it, stop it.

Does not know what the programs are (`programs.py`) nor how they are restarted (`supervision.py`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from xmlrpc.client import Fault

from deploy.stack import supervision
from deploy.stack.announced import RECORD, Announced
from deploy.stack.errors import AlreadyRunning, NotReady, StackError
from deploy.stack.ports import Ports, check_ports
from deploy.stack.programs import Program, programs
from deploy.stack.readiness import Readiness
from deploy.stack.session import Session
from settings import Settings

ROOT = Path(__file__).resolve().parents[2]
POLL_S = 0.1
LOG_TAIL_LINES = 8
MORE_TRIES_S = 20


@dataclass(frozen=True)
class ProgramState:
    """What the supervisor says of one program. `state`: STARTING, RUNNING, BACKOFF, STOPPING, STOPPED, FATAL …"""

    name: str
    state: str
    pid: int
    log: Path


class Stack:
    """All programs of the service on this host, with one `DATA_DIR`.

    Used as a context manager it is started at the entry and stopped at the exit. When the process that started it
    dies, however, the stack goes too. `only` runs other programs than the service's own. Without `usual_ports` it
    listens on any free ports, but for those that the environment names.
    """

    def __init__(self, settings: Settings, only: Sequence[Program] | None = None, *, usual_ports: bool = True) -> None:
        self._usual_ports = usual_ports
        self.settings = settings
        self._asked = settings
        self._ports = Ports()
        self._only = only
        self._programs: list[Program] = []
        self._run_dir = settings.data_dir / "run"
        self._log_dir = settings.data_dir / "logs"
        self._lock: int | None = None
        self._session: Session | None = None
        self._supervisor: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Stack:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where the API answers, as seen from this host."""
        return self.settings.local_url

    @property
    def log_dir(self) -> Path:
        return self._log_dir

    def start(self) -> None:
        """Start all programs and return at once; what a killed stack left behind is ended first.

        `settings` then hold the ports that were taken: the next free ones where the environment names none.

        Raises:
            AlreadyRunning: another stack uses this DATA_DIR.
            NoRedisServer: this host has none, and REDIS_URL names none.
            PortInUse: nothing was started.
        """
        self._make_folders()
        self._take_lock()
        try:
            self._end_leftovers()
            if self._only is None:
                self.settings = self._ports.choose(self._asked, usual=self._usual_ports)
            self._programs = programs(self.settings) if self._only is None else list(self._only)
            check_ports(self._programs)
            self._start_supervisor()
            Announced.of(self.settings).save(self._run_dir)
        except BaseException:
            self.stop()
            raise

    def wait_ready(
        self,
        timeout_s: float = 60.0,
        on_progress: Callable[[str], None] | None = None,
        stopping: threading.Event | None = None,
        *,
        wait_for_others: bool = False,
    ) -> None:
        """Return when the API accepts work and every worker has signed in, or when `stopping` is set.

        `on_progress` is told what is waited for, each time that changes. `wait_for_others`: what only another host
        can bring, like its Redis, is waited for without limit.

        Raises:
            NotReady: it did not happen in time, or the supervisor died; says what stands in the logs.
        """
        readiness, stopping = Readiness(self.settings), stopping or threading.Event()
        deadline, told, ended = time.monotonic() + timeout_s, "", ""
        while (missing := readiness.missing()) is not None:
            lacks = missing.text
            if not self.is_running():
                raise NotReady(f"the supervisor ended:\n{_tail(self._log_dir / 'supervisor.log')}")
            if wait_for_others and missing.elsewhere:
                deadline, ended = time.monotonic() + timeout_s, ""
            elif not ended and (ended := self._program_that_ended()):
                # What waits for another program does not end; more than a few tries tell nothing new.
                deadline = min(deadline, time.monotonic() + MORE_TRIES_S)
            state = f"{lacks}; {ended} ended and is started again, its log is in {self._log_dir}" if ended else lacks
            if time.monotonic() > deadline:
                raise NotReady(f"not ready: {state}{self._complaints(lacks)}")
            if on_progress and state != told:
                on_progress(state)
                told = state
            if stopping.wait(POLL_S):
                return

    def is_running(self) -> bool:
        return self._supervisor is not None and self._supervisor.poll() is None

    def programs(self) -> list[ProgramState]:
        """The state of every program, in the order of their names; none when the stack is not running."""
        with contextlib.suppress(OSError, Fault):
            rows = supervision.connect(self._run_dir).getAllProcessInfo()
            return [
                ProgramState(row["name"], row["statename"], row["pid"], Path(row["stdout_logfile"]))
                for row in sorted(rows, key=lambda row: str(row["name"]))
            ]
        return []

    def stop(self) -> None:
        """Stop every program, running work after STOP_GRACE_S; no process is left. Stopping twice does no harm."""
        if self._supervisor is not None:
            self._supervisor.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._supervisor.wait(timeout=self._longest_stop_s())
        if self._session is not None:
            self._session.end(grace_s=0)
        if self._supervisor is not None:
            self._supervisor.wait()
        self._supervisor = self._session = None
        self._ports.release()
        if self._lock is not None:
            self._record.unlink(missing_ok=True)
            Announced.forget(self._run_dir)
            os.close(self._lock)
            self._lock = None

    @property
    def _record(self) -> Path:
        return self._run_dir / RECORD

    def _make_folders(self) -> None:
        # Logs and results may hold people's pictures: for this user only.
        self.settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self._run_dir, self._log_dir, *(self.settings.data_dir / name for name in ("redis", "flower"))):
            folder.mkdir(exist_ok=True)

    def _take_lock(self) -> None:
        if self._lock is not None:
            raise StackError("this stack was started already")
        lock = os.open(self._run_dir / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise AlreadyRunning(self.settings.data_dir) from None
        self._lock = lock

    def _end_leftovers(self) -> None:
        if left := Session.load(self._record):
            left.end(self.settings.stop_grace_s)
        self._record.unlink(missing_ok=True)

    def _start_supervisor(self) -> None:
        path = self._run_dir / "supervisor.conf"
        config = supervision.configuration(
            [self._guard(), *self._programs],
            root=ROOT,
            run_dir=self._run_dir,
            log_dir=self._log_dir,
            stop_grace_s=self.settings.stop_grace_s,
        )
        path.write_text(config.text)
        module = "deploy.stack.supervisord" if self.settings.log_format == "json" else "supervisor.supervisord"
        # Its own session, so that Ctrl-C in the terminal reaches this process alone, which then stops it in order.
        with (self._log_dir / "supervisor.log").open("ab") as log:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", module, "--configuration", str(path)],
                cwd=ROOT,
                env={**os.environ, **self.settings.as_environment(), **config.variables, "PYTHONPATH": _search_path()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._session = Session.led_by(self._supervisor.pid)
        self._session.save(self._record)

    def _guard(self) -> Program:
        grace = f"{self.settings.stop_grace_s:.0f}"
        command = (sys.executable, "-m", "deploy.stack.guard", str(os.getpid()), grace, self.settings.log_format)
        return Program("guard", command, priority=1)

    def _longest_stop_s(self) -> float:
        # Groups stop one after the other, and each may use its grace.
        groups = {program.group or program.name for program in self._programs}
        return (self.settings.stop_grace_s + 2) * (len(groups) + 1)

    def _program_that_ended(self) -> str:
        return next((program.name for program in self.programs() if program.state == "BACKOFF"), "")

    def _complaints(self, lacks: str) -> str:
        # A worker whose child cannot start runs, and yet does not sign in.
        named = [program for program in self.programs() if program.name.rstrip("0123456789") in lacks]
        down = [program for program in self.programs() if program.state != "RUNNING"] or named
        return "".join(
            f"\n\n{program.name} is {program.state}; {program.log}:\n{_tail(program.log)}" for program in down
        )


def _tail(log: Path) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
    except OSError as error:
        return str(error)


def _search_path() -> str:
    """This tree first, then what the caller's own PYTHONPATH adds: generators of other packages may stand there."""
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join(dict.fromkeys([str(ROOT), *filter(None, others)]))
