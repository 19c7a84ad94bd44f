"""How a job, a duration and a size read to a person."""

from __future__ import annotations

from client.models import Job

SERVED_FROM = {
    "MISS": "generated",
    "HIT-L1": "worker's memory",
    "HIT-L2": "shared cache",
    "HIT-ARCHIVE": "archive",
    "COALESCED": "joined one in flight",
}
_UNITS = ("B", "kB", "MB", "GB", "TB")


def served_from(job: Job) -> str:
    """Which tier answered, with the word that the API uses for it."""
    return "" if not job.cache else f"{SERVED_FROM.get(job.cache, 'cache')} ({job.cache})"


def saved(job: Job) -> str:
    """Generating that somebody else had paid for already."""
    return duration(job.saved_s) if job.saved_s else ""


def doing(job: Job) -> str:
    """What happens to a job now."""
    if job.status == "queued" and job.queue_position is not None:
        return f"queued, {job.queue_position} ahead" if job.queue_position else "queued, next"
    if job.status == "running" and job.stage:
        return job.stage
    return job.status


def expected(job: Job) -> str:
    """When it will be done, as far as the service can tell; no more exact than that."""
    return "" if job.eta_s is None or job.ended else f"about {duration(max(1, round(job.eta_s)))}"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 and isinstance(seconds, float) else f"{seconds:.0f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"


def size(size_bytes: float | None) -> str:
    """Bytes in decimal units."""
    if size_bytes is None:
        return ""
    unit = 0
    while size_bytes >= 1000 and unit < len(_UNITS) - 1:
        size_bytes /= 1000
        unit += 1
    return f"{size_bytes:.0f} {_UNITS[unit]}" if unit == 0 else f"{size_bytes:.1f} {_UNITS[unit]}"


def dimensions(size_mm: tuple[float, ...]) -> str:
    return " × ".join(f"{side:.1f}" for side in size_mm) + " mm" if size_mm else ""


def count(number: int | None) -> str:
    return "" if number is None else f"{number:,}".replace(",", " ")
