"""What an operator may set while the fleet runs, checked as a whole before any of it holds.

Settings of the local tiers are kept in the shared state only when somebody set them; every process falls back on
what it was started with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cache.limits import positive, whole_number
from cache.redis_admin import limit_fields, limits_shown


@dataclass(frozen=True, slots=True)
class LocalConfig:
    """How every process runs its tiers; a field is `None` where the process' own setting holds."""

    max_size: int | None = None
    max_memory_mb: float | None = None
    ttl_seconds: float | None = None
    enabled: bool | None = None

    @classmethod
    def from_state(cls, state: Mapping[bytes, bytes]) -> LocalConfig:
        """Read what `state_fields` wrote."""

        def number(field: bytes) -> float | None:
            return float(state[field]) if field in state else None

        size, enabled = number(b"local_max_size"), state.get(b"enabled")
        return cls(
            max_size=None if size is None else int(size),
            max_memory_mb=number(b"local_max_memory_mb"),
            ttl_seconds=number(b"local_ttl_s"),
            enabled=None if enabled is None else enabled == b"1",
        )

    def over(self, own: LocalConfig) -> LocalConfig:
        """These settings, and those of `own` where there is none."""
        return LocalConfig(
            **{name: getattr(own, name) if value is None else value for name, value in asdict(self).items()}
        )


def state_fields(
    *,
    max_size: int | None = None,
    max_memory_mb: float | None = None,
    ttl_seconds: float | None = None,
    shared_max_size: int | None = None,
    shared_max_memory_mb: float | None = None,
    enabled: bool | None = None,
) -> dict[str, Any]:
    """The fields of the shared state that a change sets; `ttl_seconds` holds for the local and the shared tier.

    Raises:
        ValueError: a value makes no sense; the message names the field, and nothing has changed.
    """
    fields: dict[str, Any] = {}
    if max_size is not None:
        fields["local_max_size"] = whole_number("max_size", max_size)
    if max_memory_mb is not None:
        fields["local_max_memory_mb"] = positive("max_memory_mb", max_memory_mb)
    if ttl_seconds is not None:
        fields["local_ttl_s"] = positive("ttl_seconds", ttl_seconds)
        fields |= limit_fields(ttl_s=ttl_seconds)
    if shared_max_size is not None:
        fields |= limit_fields(max_size=whole_number("shared_max_size", shared_max_size))
    if shared_max_memory_mb is not None:
        fields |= limit_fields(max_memory_mb=positive("shared_max_memory_mb", shared_max_memory_mb))
    if enabled is not None:
        if not isinstance(enabled, bool):
            raise ValueError(f"enabled is {enabled!r}; it must be true or false (enabled)")
        fields["enabled"] = int(enabled)
    return fields


def config_shown(state: Mapping[bytes, bytes], own: LocalConfig) -> dict[str, Any]:
    """The configuration in force, in the words it is set with."""
    local, shared = LocalConfig.from_state(state).over(own), limits_shown(state)
    return {
        "max_size": local.max_size,
        "max_memory_mb": local.max_memory_mb,
        "ttl_seconds": shared["ttl_s"],
        "shared_max_size": shared["max_size"],
        "shared_max_memory_mb": shared["max_memory_mb"],
        "enabled": local.enabled,
        "policy": shared["policy"],
    }
