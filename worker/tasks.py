"""The two tasks. Their arguments are for people who watch, and the key; everything else is asked of the store."""

from __future__ import annotations

from typing import Any

from worker.app import app, process


@app.task(name="orfeas.generate", bind=True)
def generate(task: Any, generator: str, key: str) -> None:
    process().runner.run_generation(key, task_id=task.request.id)


@app.task(name="orfeas.render", bind=True)
def render(task: Any, generator: str, key: str) -> None:
    process().runner.run_rendition(key, task_id=task.request.id)
