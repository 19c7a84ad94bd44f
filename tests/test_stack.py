"""A stack of small programs: started, watched over, and gone without a trace however it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from deploy.stack import AlreadyRunning, NotReady, PortInUse, Stack
from deploy.stack.programs import Port, Program
from deploy.stack.session import Session
from deploy.stack.stack import ROOT
from settings import Settings
from tests.servers import free_port, wait_until

WAIT = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)
PARENT = (
    "import subprocess, sys, time; "
    "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid, flush=True); time.sleep(600)"
)


def python(name: str, code: str, **options: object) -> Program:
    return Program(name, (sys.executable, "-c", code), priority=10, **options)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", port=free_port(), stop_grace_s=1)


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[..., Stack]]:
    """Starts a stack of the given programs and waits until each runs; everything is stopped afterwards."""
    started: list[Stack] = []

    def start(*programs: Program) -> Stack:
        stack = Stack(settings, programs)
        started.append(stack)
        stack.start()
        wait_until(lambda: len(pids(stack)) == len(programs) + 1, what="all programs and the guard to run")
        return stack

    yield start
    for stack in started:
        stack.stop()


def pids(stack: Stack) -> dict[str, int]:
    return {program.name: program.pid for program in stack.programs() if program.pid}


def supervisor_pid(settings: Settings) -> int:
    return int((settings.data_dir / "run" / "supervisor.pid").read_text())


def gone(*processes: int) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in processes)


def log_of(settings: Settings, name: str) -> str:
    log = settings.data_dir / "logs" / f"{name}.log"
    return log.read_text() if log.exists() else ""


def test_program_that_was_killed_is_started_again(start: Callable[..., Stack]) -> None:
    stack = start(python("worker", WAIT))
    first = pids(stack)["worker"]
    wait_until(lambda: {program.name: program.state for program in stack.programs()}["worker"] == "RUNNING")
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: pids(stack).get("worker") not in (None, first), what="a successor")


def test_program_that_cannot_start_is_tried_again_and_again(start: Callable[..., Stack], settings: Settings) -> None:
    stack = Stack(settings, [python("broken", "print('no luck', flush=True); raise SystemExit(1)")])
    with stack:
        wait_until(lambda: log_of(settings, "broken").count("no luck") > 1, what="a second try")


def test_stop_ends_programs_that_will_not_listen(start: Callable[..., Stack], settings: Settings) -> None:
    stack = start(python("deaf", STUBBORN))
    wait_until(lambda: "deaf" in log_of(settings, "deaf"))
    everyone = [*pids(stack).values(), supervisor_pid(settings)]
    stack.stop()
    assert gone(*everyone)
    assert stack.programs() == []


def test_supervisor_that_was_killed_takes_everything_with_it(start: Callable[..., Stack], settings: Settings) -> None:
    stack = start(python("worker", WAIT), python("deaf", STUBBORN))
    everyone = list(pids(stack).values())
    os.kill(supervisor_pid(settings), signal.SIGKILL)
    wait_until(lambda: gone(*everyone), what="guard and programs to end")


def test_owner_that_was_killed_takes_everything_with_it(settings: Settings) -> None:
    code = (
        "import sys; from deploy.stack import Stack; from settings import Settings; from tests.test_stack import *\n"
        "stack = Stack(Settings(), [python('worker', WAIT)]); stack.start(); print('up', flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, **settings.as_environment(), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"up\n"
    onlooker = Stack(settings, [])
    wait_until(lambda: len(pids(onlooker)) == 2)
    everyone = [*pids(onlooker).values(), supervisor_pid(settings)]
    owner.kill()
    owner.communicate()
    wait_until(lambda: gone(*everyone), what="the stack to end")


def test_leftovers_of_a_killed_guard_and_supervisor_are_ended_by_the_next_start(
    start: Callable[..., Stack], settings: Settings
) -> None:
    first = start(python("deaf", STUBBORN))
    left = pids(first)
    for pid in (supervisor_pid(settings), left.pop("guard")):
        os.kill(pid, signal.SIGKILL)
    record = (settings.data_dir / "run" / "session.json").read_bytes()
    assert not gone(*left.values())
    first._lock = os.close(first._lock)  # as the kernel does when the owner is killed as well
    (settings.data_dir / "run" / "session.json").write_bytes(record)
    second = start(python("worker", WAIT))
    assert gone(*left.values())
    assert set(pids(second)) == {"guard", "worker"}


def test_children_of_a_killed_program_do_not_work_on_beside_its_successor(
    start: Callable[..., Stack], settings: Settings
) -> None:
    stack = start(python("parent", PARENT))
    wait_until(lambda: "\n" in log_of(settings, "parent"))
    child = int(log_of(settings, "parent").split()[0])
    os.kill(pids(stack)["parent"], signal.SIGKILL)
    wait_until(lambda: gone(child), what="the orphan to end")


def test_port_in_use_is_named_with_its_setting_before_anything_starts(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stack = Stack(settings, [python("api", WAIT, port=Port("127.0.0.1", port, "PORT"))])
        with pytest.raises(PortInUse, match=f"127.0.0.1:{port}.*set PORT"):
            stack.start()
    assert not (settings.data_dir / "run" / "supervisor.conf").exists()


def test_second_stack_in_the_same_folder_is_refused(start: Callable[..., Stack], settings: Settings) -> None:
    start(python("worker", WAIT))
    with pytest.raises(AlreadyRunning, match="DATA_DIR"):
        Stack(settings, []).start()


def test_stack_starts_again_after_it_was_stopped(start: Callable[..., Stack]) -> None:
    stack = start(python("worker", WAIT))
    stack.stop()
    stack.start()
    wait_until(lambda: "worker" in pids(stack))


def test_folder_with_a_long_name_and_odd_characters_serves(tmp_path: Path) -> None:
    folder = tmp_path / ("a long %s name with spaces " + "x" * 120)
    with Stack(Settings(data_dir=folder, port=free_port(), stop_grace_s=1), [python("worker", WAIT)]) as stack:
        wait_until(lambda: "worker" in pids(stack))


def test_arguments_with_percent_signs_and_quotes_arrive_unchanged(
    start: Callable[..., Stack], settings: Settings
) -> None:
    odd = '50% of %h\'s "quoted" $HOME; text'
    code = "import sys, time; print(sys.argv[1], flush=True); time.sleep(600)"
    start(Program("echo", (sys.executable, "-c", code, odd), priority=10))
    wait_until(lambda: log_of(settings, "echo") == odd + "\n", what=odd)


def test_programs_see_the_settings_of_the_stack(start: Callable[..., Stack], settings: Settings) -> None:
    start(
        python(
            "echo", "from settings import Settings; import time; print(Settings().port, flush=True); time.sleep(600)"
        )
    )
    wait_until(lambda: log_of(settings, "echo") == f"{settings.port}\n")


def test_waiting_for_a_stack_that_does_not_get_ready_ends_with_its_logs(
    start: Callable[..., Stack], settings: Settings
) -> None:
    stack = start(python("api", "print('no such module', flush=True); raise SystemExit(3)"))
    wait_until(lambda: "no such module" in log_of(settings, "api"))
    told: list[str] = []
    with pytest.raises(NotReady, match="no such module"):
        stack.wait_ready(timeout_s=0.5, on_progress=told.append)
    assert told[0].startswith("waiting for the API")
    assert len(told) < 3


def test_waiting_ends_at_once_when_the_supervisor_dies(start: Callable[..., Stack], settings: Settings) -> None:
    stack = start(python("worker", WAIT))
    os.kill(supervisor_pid(settings), signal.SIGKILL)
    with pytest.raises(NotReady, match="supervisor ended"):
        stack.wait_ready(timeout_s=30)


def test_record_of_a_session_before_the_last_boot_ends_nobody() -> None:
    own = os.getsid(0)
    assert Session(own, psutil.boot_time() - 60).members() == []


def test_session_number_that_was_given_out_anew_ends_nobody(start: Callable[..., Stack], settings: Settings) -> None:
    start(python("worker", WAIT))
    pid = supervisor_pid(settings)
    began_s = psutil.Process(pid).create_time()
    assert pid in {member.pid for member in Session(pid, began_s).members()}
    assert pid not in {member.pid for member in Session(pid, began_s - 60).members()}
