"""The two tasks. Their arguments are for people who watch, and the key; everything else is asked of the store."""

from __future__ import annotations

from worker.app import app, process


@app.task(name="orfeas.generate")
def generate(generator: str, key: str) -> None:
    process().runner.run_generation(key)


@app.task(name="orfeas.render")
def render(generator: str, key: str) -> None:
    process().runner.run_rendition(key)
