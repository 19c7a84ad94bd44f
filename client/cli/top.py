"""`orfeas top`: the fleet and its cache as they are now, looked at again and again until Ctrl-C."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from client.cli import wording
from client.cli.options import ApiKey, AsJson, Url, connect
from client.cli.output import stdout, write_json
from client.core import DEFAULT_URL
from client.errors import ApiError, OrfeasError, UnexpectedAnswer
from client.models import CacheStats, Health
from client.sync import Client

_MB = 2**20


@dataclass(frozen=True)
class Look:
    """One look at the fleet; `cache` is `None` where this key may not see it."""

    health: Health
    cache: CacheStats | None


def top(
    every: Annotated[float, typer.Option("--every", min=0.2, help="Seconds between two looks.", metavar="S")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look once and leave; so does a pipe.")] = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Show workers, queues and cache, live."""
    with connect(url, api_key) as client:
        if as_json:
            look = look_at(client)
            write_json({"health": look.health.body, "cache": look.cache.body if look.cache else None})
        elif once or not sys.stdout.isatty():
            stdout().print(view(look_at(client)))
        else:
            _follow(client, every)


def look_at(client: Client) -> Look:
    """Raises: OrfeasError: the service does not answer."""
    health = client.health()
    try:
        return Look(health, client.cache_stats())
    except (ApiError, UnexpectedAnswer):
        return Look(health, None)


def view(look: Look, complaint: str = "") -> RenderableType:
    """What one look shows; `complaint` is why there was no newer one."""
    parts: list[RenderableType] = [_headline(look.health), _queues(look.health), Text(), _workers(look.health)]
    if look.cache is not None:
        parts += [Text(), _tiers(look.cache)]
    if complaint:
        parts += [Text(), Text(complaint, "bold red")]
    return Group(*parts)


def _follow(client: Client, every_s: float) -> None:
    look, complaint = look_at(client), ""
    try:
        with Live(view(look), console=stdout(), screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(every_s)
                try:
                    look, complaint = look_at(client), ""
                except OrfeasError as error:
                    complaint = str(error)
                live.update(view(look, complaint), refresh=True)
    except KeyboardInterrupt:
        return  # the way out


def _headline(health: Health) -> Text:
    style = "green" if health.status == "ok" else "bold yellow"
    rest = f"  redis {health.redis}  {time.strftime('%X')}"
    return Text.assemble(("Orfeas ", "bold"), f"{health.version}  ", (health.status, style), rest)


def _queues(health: Health) -> Text:
    waiting = "   ".join(f"{queue} {wording.count(depth)}" for queue, depth in health.queues.items())
    stalled = sum(health.stalled.values())
    beside = f"   {wording.count(stalled)} of them beside an idle worker" if stalled else ""
    return Text(f"waiting: {waiting or 'nobody knows'}{beside}")


def _workers(health: Health) -> Table:
    table = _table(("WORKER", "HOST", "QUEUE", "DEVICE", "SEEN", "DOING"))
    for one in sorted(health.workers, key=lambda one: [str(one.get(name)) for name in ("queue", "host", "id")]):
        alive = one.get("alive") is True
        seen = f"{one.get('seen_s_ago', 0):.0f} s ago"
        cells = (str(one.get(name) or "") for name in ("id", "host", "queue", "device"))
        ready = alive and one.get("ready") is not False
        doing = str(one.get("doing") or ("idle" if ready else "takes no work" if alive else "silent"))
        table.add_row(*map(Text, (*cells, seen, doing)), style="" if ready else "red")
    if not health.workers:
        table.add_row(Text("none", "bold red"))
    return table


def _tiers(cache: CacheStats) -> Table:
    table = _table(("TIER", "HITS", "HIT RATE", "ENTRIES", "MEMORY", "EVICTED"), right=5)
    for name, tier in (("local", cache.stats), ("shared", cache.shared)):
        memory = f"{_size(tier, 'current_memory_mb')} of {_size(tier, 'max_memory_mb')}"
        rate = f"{tier.get('hit_rate_percent', 0):.1f} %"
        entries = f"{_count(tier, 'current_items')} of {_count(tier, 'max_items')}"
        table.add_row(name, _count(tier, "hits"), rate, entries, memory, _count(tier, "evictions"))
    counted = cache.archive.get("usage") or {}  # by the janitor, now and then
    held = (_count(counted, "objects"), _size(counted, "memory_mb")) if counted else ("", "")
    table.add_row("archive", _count(cache.stats, "archive_hits"), "", *held, "")
    saved = cache.stats.get("gpu_seconds_saved")
    if isinstance(saved, int | float):
        table.caption = Text(f"{wording.duration(float(saved))} of generating saved", justify="left")
    return table


def _table(columns: tuple[str, ...], right: int = 0) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", caption_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if 0 < number <= right else "left", overflow="fold")
    return table


def _count(tier: Mapping[str, Any], name: str) -> str:
    return wording.count(tier.get(name, 0))


def _size(tier: Mapping[str, Any], name: str) -> str:
    return wording.size(tier.get(name, 0) * _MB)
