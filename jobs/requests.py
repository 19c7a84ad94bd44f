"""The two questions a job asks, and their keys: which mesh (expensive), and in which form (cheap).

These models are the only wire shapes of a request; what is in a key is decided here and nowhere else.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from cache.keys import content_key

KEY_VERSION = 1
FORM_VERSION = 3  # of renditions and previews: raised when the same mesh is written with other bytes
Format = Literal["glb", "obj", "stl", "ply"]
FORMATS: tuple[Format, ...] = ("glb", "obj", "stl", "ply")
MEDIA_TYPES = {
    "glb": "model/gltf-binary",
    "obj": "model/obj",
    "stl": "model/stl",
    "ply": "model/ply",
    "png": "image/png",
}
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


class GenerationRequest(BaseModel):
    """One canonical mesh: the picture's SHA-256, the generator, its revision, every parameter with defaults filled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    generator: str
    revision: str
    params: dict[str, JsonValue]
    seed: Seed = 0

    @property
    def key(self) -> str:
        return content_key({"v": KEY_VERSION, "kind": "generation", **self.model_dump(mode="json")})


class RenditionOptions(BaseModel):
    """How a mesh is handed out. Lengths in mm; `None` keeps what the format or the mesh has.

    GLB is written in metres, as glTF 2.0 §3.4 demands; the other formats in millimetres.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Format = Field("glb", description="File format of the mesh")
    size_mm: Annotated[float, Field(ge=0.001, le=10_000)] = Field(
        50.0, description="Longest side of the bounding box in mm"
    )
    up_axis: Literal["y", "z"] | None = Field(
        None, description="Axis that points up; null: y for glb and obj, z for stl and ply"
    )
    target_faces: Annotated[int, Field(ge=4, le=10_000_000)] | None = Field(
        None, description="Most faces, more where fewer would show another shape; null: all that the mesh has"
    )

    @property
    def resolved_up_axis(self) -> Literal["y", "z"]:
        return self.up_axis or ("y" if self.format in ("glb", "obj") else "z")

    def key(self, generation_key: str) -> str:
        options = self.model_dump(mode="json") | {"up_axis": self.resolved_up_axis}
        return content_key({"v": FORM_VERSION, "kind": "rendition", "generation": generation_key, "options": options})


class PreviewOptions(BaseModel):
    """A shaded picture of the mesh, square, PNG."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["png"] = "png"
    size_px: Annotated[int, Field(ge=64, le=2048)] = 512

    def key(self, generation_key: str) -> str:
        options = self.model_dump(mode="json")
        return content_key({"v": FORM_VERSION, "kind": "preview", "generation": generation_key, "options": options})


class Notice(BaseModel):
    """What a person should know of a mesh that was made: a stable `code`, and one sentence."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str


class MeshResult(BaseModel):
    """What a rendition turned out to be: the `result` of a job's body. Lengths in mm, volume in mm³."""

    model_config = ConfigDict(frozen=True)

    format: str
    size_bytes: int
    vertices: int
    faces: int
    watertight: bool
    volume_mm3: float | None
    size_mm: tuple[float, float, float]
    sha256: str
    notices: tuple[Notice, ...] = Field((), description="What was left out, guessed or done otherwise than asked")
