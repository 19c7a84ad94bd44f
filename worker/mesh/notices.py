"""What a person should know of a mesh, carried with it from the generator to every rendition."""

from __future__ import annotations

from collections.abc import Iterable

import trimesh

from jobs.requests import Notice

_NAME = "notices"


def notices(mesh: trimesh.Trimesh) -> tuple[Notice, ...]:
    """Those that the mesh carries."""
    return tuple(Notice.model_validate(notice) for notice in mesh.metadata.get(_NAME, ()))


def with_notices(mesh: trimesh.Trimesh, carried: Iterable[Notice]) -> trimesh.Trimesh:
    """The same mesh, now carrying these."""
    mesh.metadata[_NAME] = [notice.model_dump() for notice in carried]
    return mesh
