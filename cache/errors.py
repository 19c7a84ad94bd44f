"""What the cache may raise, as one tree; a fault of the shared tier is not among it, it reads as a miss.

CacheError
├── InvalidKey          not 64 hex digits (also a ValueError)
├── BadEntry            metadata that is no JSON or too long (also a ValueError)
├── SharedUnavailable   the Redis of the shared tier did not do what an operator asked for: away, full, read-only
└── ArchiveError
    ├── ArchiveUnavailable   unreachable, slow, refused, 5xx: try again later
    └── ArchiveFull          no space, over quota: try again when an operator has made room
"""

from __future__ import annotations


class CacheError(Exception):
    """Base of the tree."""


class InvalidKey(CacheError, ValueError):
    """The key is not one that `cache.keys.content_key` makes."""


class BadEntry(CacheError, ValueError):
    """The metadata cannot be stored."""


class SharedUnavailable(CacheError):
    """The Redis of the shared tier did not answer an operator, or refused; jobs go on without it."""


class ArchiveError(CacheError):
    """The durable store did not do what was asked; whoever depends on the write must not report success."""


class ArchiveUnavailable(ArchiveError):
    """The store could not be reached, was too slow, or refused."""


class ArchiveFull(ArchiveError):
    """The store has no room for the object."""
