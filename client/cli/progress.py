"""One bar per job on standard error: stage, percentage, place in the queue, time left. Silent where nobody watches."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from client.cli import wording
from client.cli.output import stderr
from client.models import Job

NAME_COLUMNS = 28
_STYLES = {"succeeded": "green", "failed": "red", "canceled": "yellow"}


class Bar:
    """The bar of one job."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def say(self, doing: str, style: str = "") -> None:
        """What happens now, in the job's place."""
        text = escape(doing)
        self._progress.update(self._task, doing=f"[{style}]{text}[/]" if style else text)

    def show(self, job: Job) -> None:
        """The job as it is now."""
        completed = 100.0 if job.status == "succeeded" else job.progress
        self._progress.update(self._task, completed=completed, left=wording.expected(job))
        self.say(wording.doing(job), _STYLES.get(job.status, ""))


class Bars:
    """All bars; a context manager that leaves the terminal as it was."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[doing]}"),
            TextColumn("{task.fields[left]}", style="dim"),
            TimeElapsedColumn(),
            console=stderr(),
            disable=not sys.stderr.isatty(),
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._progress.stop()

    def add(self, name: str) -> Bar:
        """A bar for one more job."""
        short = name if len(name) <= NAME_COLUMNS else f"…{name[1 - NAME_COLUMNS :]}"
        task = self._progress.add_task(escape(short), total=100.0, doing="waiting", left="")
        return Bar(self._progress, task)
