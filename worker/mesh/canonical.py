"""The canonical mesh as bytes: what the tiers and the archive keep, and what every rendition starts from.

One form only, a GLB in the mesh's own units (longest side 1); formats that people ask for are made in `renditions.py`.
"""

from __future__ import annotations

import numpy as np
import trimesh

from jobs.requests import Notice
from worker.mesh import glb
from worker.mesh.appearance import appearance, visuals
from worker.mesh.notices import notices, with_notices


def encode(mesh: trimesh.Trimesh) -> bytes:
    """The mesh as GLB, its texture inside: the same mesh gives the same bytes.

    Positions and UV are kept as float32; a texture that is not yet a JPEG or PNG file is compressed once, here.
    """
    extras = {"notices": [notice.model_dump() for notice in notices(mesh)]} if notices(mesh) else None
    look = appearance(mesh)
    return glb.write(np.asarray(mesh.vertices), np.asarray(mesh.faces), look, normals=None, extras=extras)


def read(data: bytes) -> trimesh.Trimesh:
    """The mesh of `encode`'s bytes; encoding it again gives those bytes.

    Make renditions from this, also right after `encode`: the texture has then been through its compression, so that a
    rendition made while the mesh is hot has the bytes of one made from the archive.

    Raises:
        ValueError: the bytes are not such a file.
    """
    vertices, faces, look, extras = glb.read(data)
    mesh = trimesh.Trimesh(vertices, faces, visual=visuals(look), process=False)
    return with_notices(mesh, [Notice.model_validate(notice) for notice in extras.get("notices", ())])
