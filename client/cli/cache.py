"""`orfeas cache`: what the tiers hold and how well they do, their limits, and clearing them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any, Literal

import typer

from client.cli import wording
from client.cli.options import ApiKey, AsJson, Tier, Url, connect
from client.cli.output import say, write_json, write_table
from client.core import DEFAULT_URL

app = typer.Typer(help="See and steer the result cache.", no_args_is_help=True)


@app.command()
def stats(url: Url = DEFAULT_URL, api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """Hits, misses and memory of each tier."""
    with connect(url, api_key) as client:
        found = client.cache_stats()
    if as_json:
        return write_json(found.body)
    say(f"cache {'enabled' if found.cache_enabled else 'disabled'}")
    tiers = {"local, whole fleet": found.stats, "shared": found.shared, "archive": found.archive}
    rows = [(tier, name, _plain(value)) for tier, numbers in tiers.items() for name, value in _numbers(numbers)]
    write_table(("TIER", "COUNTER", "VALUE"), rows, numbers=("VALUE",))


@app.command()
def config(
    max_size: Annotated[int | None, typer.Option(help="Entries of each worker's local tier.")] = None,
    max_memory_mb: Annotated[float | None, typer.Option(help="Megabytes of each worker's local tier.")] = None,
    ttl_seconds: Annotated[float | None, typer.Option(help="Life of an entry.")] = None,
    shared_max_size: Annotated[int | None, typer.Option(help="Entries of the shared tier.")] = None,
    shared_max_memory_mb: Annotated[float | None, typer.Option(help="Megabytes of the shared tier.")] = None,
    enabled: Annotated[bool | None, typer.Option("--enabled/--disabled", help="Whether any tier answers.")] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Show the limits, or change those that are given, on every worker."""
    wanted = {
        "max_size": max_size,
        "max_memory_mb": max_memory_mb,
        "ttl_seconds": ttl_seconds,
        "shared_max_size": shared_max_size,
        "shared_max_memory_mb": shared_max_memory_mb,
        "enabled": enabled,
    }
    changes = {name: value for name, value in wanted.items() if value is not None}
    with connect(url, api_key) as client:
        found = client.cache_config(**changes)
    _show(found, as_json)


@app.command()
def clear(
    tier: Tier = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before the archive is emptied.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Empty the local and the shared tier, or the one that is named; results stay in the archive unless it is named."""
    if tier in ("archive", "all") and not yes:
        typer.confirm("Finished results in the archive are lost for good. Go on?", abort=True, err=True)
    with connect(url, api_key) as client:
        _show(client.cache_clear(tier), as_json)


@app.command()
def entries(
    tier: Annotated[Literal["local", "shared", "archive"] | None, typer.Option(help="One tier of the cache.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 20,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """What is cached, most recent first."""
    with connect(url, api_key) as client:
        found = list(islice(client.cache_entries(tier=tier, page_size=min(limit, 100)), limit))
    if as_json:
        return write_json([entry.body for entry in found])
    columns = ("KEY", "GENERATOR", "SIZE", "AGE", "USED", "COST")
    rows = [
        (
            entry.key,
            entry.generator or "",
            wording.size(entry.size_mb * 2**20),
            wording.duration(entry.age_seconds),
            wording.count(entry.access_count),
            wording.duration(entry.cost_seconds),
        )
        for entry in found
    ]
    write_table(columns, rows, numbers=columns[2:])


def _show(found: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        return write_json(found)
    write_table(("NAME", "VALUE"), [(name, _plain(value)) for name, value in _numbers(found)])


def _numbers(found: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """Nested objects as one flat list, names joined by dots; lists of objects are left to --json."""
    rows: list[tuple[str, Any]] = []
    for name, value in found.items():
        if isinstance(value, Mapping):
            rows += _numbers(value, f"{above}{name}.")
        elif not isinstance(value, list):
            rows.append((above + name, value))
    return rows


def _plain(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else "" if value is None else str(value)
