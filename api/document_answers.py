"""Examples of what the fleet, its caches and webhooks answer, for the OpenAPI document; jobs are in the file beside."""

from __future__ import annotations

from typing import Any

_GENERATION = "76afd304a39b2b47cc7dca6d7b425b175114ad433e360cfec0374f23dc3c9492"
_KEY = "37ea8eb83e8e9466a254677677f20dcabd812fa10b51656613e0b60a494b2d78"
_WORKER = "a6f2eced23ec3a9d"

_CONFIG: dict[str, Any] = {
    "max_size": 1000, "max_memory_mb": 512.0, "ttl_seconds": 86400.0, "shared_max_size": 10000,
    "shared_max_memory_mb": 4096.0, "enabled": True, "policy": "lru", "version": 3,
    "workers": {"applied": [_WORKER], "pending": []},
}  # fmt: skip
_ENTRY: dict[str, Any] = {
    "key": _KEY, "size_mb": 3.91, "timestamp": "2026-01-01T12:00:03Z", "age_seconds": 47.7, "access_count": 2,
    "expires_at": "2026-01-02T12:00:03Z", "expired": False, "generator": "inflate", "kind": "rendition",
    "generation": _GENERATION, "format": "glb", "cost_seconds": 11.9, "worker": None,
}  # fmt: skip
_FIGURES: dict[str, Any] = {
    "hits": 40, "misses": 12, "hit_rate_percent": 76.92, "evictions": 3, "evictions_by_count": 0,
    "evictions_by_size": 3, "current_items": 9, "current_memory_mb": 61.5, "max_items": 1000, "max_memory_mb": 512.0,
    "memory_utilization_percent": 12.01, "max_memory_seen_mb": 64.0,
}  # fmt: skip
_STATS: dict[str, Any] = {
    "status": "ok", "cache_enabled": True, "timestamp": "2026-01-01T12:00:00Z",
    "stats": _FIGURES | {"gpu_seconds_saved": 910.4, "archive_hits": 2},
    "local": {"workers": [
        {"id": _WORKER, "host": "gpu1", "queue": "generate", "alive": True, "seen_s_ago": 0.5, "stats": _FIGURES}
    ]},
    "shared": {"available": True, "hits": 65, "misses": 96, "current_items": 26, "max_items": 10000, "advice": []},
    "archive": {"url": "s3://meshes/orfeas", "hits": 2, "misses": 1, "faults": 0},
}  # fmt: skip
_HEALTH: dict[str, Any] = {
    "status": "ok", "version": "0.1.0", "redis": "ok", "queues": {"generate": 3, "render": 0},
    "stalled": {"generate": 0, "render": 0}, "threads_gone": [], "notes": [],
    "workers": [
        {
            "id": _WORKER, "host": "gpu1", "queue": "generate", "device": "cuda:0", "alive": True, "ready": True,
            "seen_s_ago": 0.6, "doing": "inflate 76afd304a39b", "memory_used_mb": 2150.0, "memory_total_mb": 81559.0,
            "threads_gone": [],
        }
    ],
}  # fmt: skip
_GENERATOR: dict[str, Any] = {
    "name": "inflate", "title": "Inflate: the picture's shape as a rounded, textured, printable solid",
    "revision": "2", "default": True, "needs": [], "available": True, "unavailable_because": None,
    "parameters": {
        "type": "object", "additionalProperties": False,
        "properties": {"thickness": {"type": "number", "default": 0.8, "minimum": 0.05, "maximum": 2.0}},
    },
}  # fmt: skip
_TRY: dict[str, Any] = {
    "at": "2026-01-01T12:00:03Z", "duration_ms": 41, "status_code": 204, "error": None, "delivered": True,
}  # fmt: skip
_LOG: dict[str, Any] = {
    "url": "https://example.com/orfeas", "status": "delivered", "attempts": 1, "next_attempt_at": None, "tries": [_TRY],
}  # fmt: skip
_METRICS = "# TYPE orfeas_jobs_submitted counter\norfeas_jobs_submitted_total 1530.0\n"

ANSWERS: dict[tuple[str, str], Any] = {
    ("read_config", "200"): _CONFIG,
    ("change_config", "200"): _CONFIG,
    ("clear", "200"): {"cleared": {"local": None, "shared": 26}, "pending": []},
    ("list_entries", "200"): {"entries": [_ENTRY], "next_cursor": f"1767268803000000 {_KEY}"},
    ("read_entry", "200"): {"key": _KEY, "local": [_ENTRY | {"worker": _WORKER}], "shared": _ENTRY, "archive": None},
    ("delete_entry", "200"): {"key": _KEY, "deleted": True},
    ("read_stats", "200"): _STATS,
    ("list_generators", "200"): {"generators": [_GENERATOR]},
    ("read_health", "200"): _HEALTH,
    ("read_log", "200"): _LOG,
    ("resend", "200"): _LOG | {"status": "pending", "next_attempt_at": "2026-01-01T12:05:00Z"},
    ("read_secret", "200"): {"secrets": ["whsec_…"]},
    ("send_test", "200"): _TRY | {"webhook_id": "msg_00000000000000000000000000000000"},
    ("read_metrics", "200"): _METRICS,
}
REQUESTS: dict[str, dict[str, Any]] = {
    "change_config": {"shared_max_memory_mb": 4096},
    "send_test": {"url": "https://example.com/orfeas"},
}
