"""Binary glTF 2.0 with one mesh and at most one texture: written deterministically, read back fast.

It reads only what it wrote itself; a stranger's GLB goes through trimesh. trimesh's exporter is not used for writing
because it compresses a JPEG texture anew at quality 75 on every export.
Source: glTF 2.0 specification, §3.6 (binary data), §3.9 (materials) and §4.4 (the GLB container).
"""

from __future__ import annotations

import io
import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.mesh.appearance import Appearance, Colours, to_linear, to_srgb

_MAGIC, _JSON, _BIN = 0x46546C67, 0x4E4F534A, 0x004E4942
_FLOAT, _USHORT, _UINT = 5126, 5123, 5125
_DTYPES = {_FLOAT: "<f4", _USHORT: "<u2", _UINT: "<u4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_VERTEX_DATA, _INDICES = 34962, 34963
_JPEG_QUALITY = 92


@dataclass(frozen=True)
class EncodedTexture:
    """A texture as a file."""

    mime_type: str
    data: bytes


class _Buffer:
    """The binary chunk as it grows, with the views and accessors that describe it."""

    def __init__(self) -> None:
        self.chunks = bytearray()
        self.views: list[dict[str, object]] = []
        self.accessors: list[dict[str, object]] = []

    def add_bytes(self, data: bytes, **extra: object) -> int:
        self.views.append({"buffer": 0, "byteOffset": len(self.chunks), "byteLength": len(data), **extra})
        self.chunks += data
        self.chunks += bytes(-len(self.chunks) % 4)
        return len(self.views) - 1

    def add_array(self, array: NDArray[np.generic], kind: str, component: int, target: int, **extra: object) -> int:
        view = self.add_bytes(np.ascontiguousarray(array, dtype=_DTYPES[component]).tobytes(), target=target)
        count = array.size // _WIDTHS[kind]
        self.accessors.append({"bufferView": view, "componentType": component, "count": count, "type": kind, **extra})
        return len(self.accessors) - 1


def write(
    vertices: NDArray[np.floating],
    faces: NDArray[np.integer],
    look: Appearance,
    *,
    normals: NDArray[np.floating] | None,
    extras: dict[str, object] | None = None,
) -> bytes:
    """The GLB of a mesh, vertices (n, 3) in metres; the same arguments give the same bytes.

    Without `normals` (n, 3) a viewer shades every face flat (glTF 2.0 §3.7.2.1). `extras` is JSON that viewers ignore.
    """
    buffer = _Buffer()
    positions = np.asarray(vertices, dtype=np.float32)
    bounds = {"min": positions.min(axis=0).tolist(), "max": positions.max(axis=0).tolist()}
    attributes = {"POSITION": buffer.add_array(positions, "VEC3", _FLOAT, _VERTEX_DATA, **bounds)}
    if normals is not None:
        attributes["NORMAL"] = buffer.add_array(normals, "VEC3", _FLOAT, _VERTEX_DATA)
    if look.texture is not None and look.uv is not None:
        flipped = np.column_stack((look.uv[:, 0], 1.0 - look.uv[:, 1]))
        attributes["TEXCOORD_0"] = buffer.add_array(flipped, "VEC2", _FLOAT, _VERTEX_DATA)
    elif look.colours is not None:
        attributes["COLOR_0"] = buffer.add_array(
            _linear_rgba(look.colours), "VEC4", _USHORT, _VERTEX_DATA, normalized=True
        )
    index_type = _USHORT if len(positions) <= 0xFFFF else _UINT
    indices = buffer.add_array(faces, "SCALAR", index_type, _INDICES)
    document = _document(look, attributes, indices)
    if extras is not None:
        document["extras"] = extras
    if look.texture is not None:
        texture = encode_texture(look.texture)
        document["images"] = [{"bufferView": buffer.add_bytes(texture.data), "mimeType": texture.mime_type}]
        document["textures"] = [{"source": 0, "sampler": 0}]
        document["samplers"] = [{"magFilter": 9729, "minFilter": 9987, "wrapS": 10497, "wrapT": 10497}]
    document["accessors"], document["bufferViews"] = buffer.accessors, buffer.views
    document["buffers"] = [{"byteLength": len(buffer.chunks)}]
    return _container(document, bytes(buffer.chunks))


def _linear_rgba(colours: Colours) -> NDArray[np.uint16]:
    """sRGB (n, 3) of 8 bits as the linear RGBA that glTF wants (§3.7.2.1); 16 bits lose no step of the 8."""
    rgba = np.full((len(colours), 4), 0xFFFF, dtype=np.uint16)
    rgba[:, :3] = np.rint(to_linear(np.arange(256) / 255) * 0xFFFF).astype(np.uint16)[colours]
    return rgba


def _srgb(linear: NDArray[np.generic]) -> Colours:
    return np.rint(to_srgb(linear / 0xFFFF) * 255).astype(np.uint8)


def _document(look: Appearance, attributes: dict[str, int], indices: int) -> dict[str, object]:
    surface: dict[str, object] = {"metallicFactor": 0.0, "roughnessFactor": 0.8, "baseColorFactor": [*look.factor, 1.0]}
    if look.texture is not None:
        surface["baseColorTexture"] = {"index": 0}
    return {
        "asset": {"version": "2.0", "generator": "Orfeas"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": indices, "material": 0, "mode": 4}]}],
        "materials": [{"pbrMetallicRoughness": surface}],
    }


def _container(document: dict[str, object], binary: bytes) -> bytes:
    text = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + len(binary)
    header = struct.pack("<IIIII", _MAGIC, 2, total, len(text), _JSON)
    return b"".join((header, text, struct.pack("<II", len(binary), _BIN), binary))


def encode_texture(image: Image.Image) -> EncodedTexture:
    """JPEG, or PNG where the picture is see-through; a texture that came out of a GLB keeps its file untouched."""
    kept = getattr(image, "encoded", None)
    if isinstance(kept, EncodedTexture):
        return kept
    if image.has_transparency_data and image.convert("RGBA").getextrema()[3][0] < 255:
        return EncodedTexture("image/png", _saved(image.convert("RGBA"), "PNG", compress_level=6))
    return EncodedTexture("image/jpeg", _saved(image.convert("RGB"), "JPEG", quality=_JPEG_QUALITY, subsampling=0))


def _saved(image: Image.Image, form: str, **options: int) -> bytes:
    image.info.clear()  # no profile, no comment: pixels alone decide the bytes
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def read(data: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64], Appearance, dict[str, Any]]:
    """Vertices (n, 3), faces (m, 3), looks and extras of a GLB that `write` made.

    Raises:
        ValueError: not such a file, or damaged.
    """
    try:
        return _read(data)
    except (struct.error, KeyError, IndexError, TypeError, UnicodeDecodeError, OSError) as error:
        raise ValueError(f"not a GLB written by this service: {type(error).__name__}: {error}") from error


def _read(data: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64], Appearance, dict[str, Any]]:
    magic, version, total, text_bytes, kind = struct.unpack_from("<IIIII", data)
    if (magic, version, total, kind) != (_MAGIC, 2, len(data), _JSON):
        raise ValueError(f"not a whole GLB of version 2: {len(data)} bytes, {total} announced")
    document = json.loads(data[20 : 20 + text_bytes])
    binary = memoryview(data)[28 + text_bytes :]
    primitive = document["meshes"][0]["primitives"][0]
    attributes = primitive["attributes"]
    vertices = _array(document, binary, attributes["POSITION"]).astype(np.float64)
    faces = _array(document, binary, primitive["indices"]).astype(np.int64).reshape(-1, 3)
    extras = document.get("extras", {})
    surface = document["materials"][0]["pbrMetallicRoughness"]
    r, g, b, _ = surface["baseColorFactor"]
    if "TEXCOORD_0" in attributes:
        uv = _array(document, binary, attributes["TEXCOORD_0"]).astype(np.float64)
        uv[:, 1] = 1.0 - uv[:, 1]
        return vertices, faces, Appearance(texture=_texture(document, binary), uv=uv, factor=(r, g, b)), extras
    if "COLOR_0" in attributes:
        colours = _srgb(_array(document, binary, attributes["COLOR_0"])[:, :3])
        return vertices, faces, Appearance(colours=colours), extras
    return vertices, faces, Appearance(), extras


def _array(document: dict, binary: memoryview, index: int) -> NDArray[np.generic]:
    accessor = document["accessors"][index]
    view = document["bufferViews"][accessor["bufferView"]]
    width = _WIDTHS[accessor["type"]]
    flat = np.frombuffer(
        binary, _DTYPES[accessor["componentType"]], count=accessor["count"] * width, offset=view["byteOffset"]
    )
    return flat.reshape(-1, width)


def _texture(document: dict, binary: memoryview) -> Image.Image:
    entry = document["images"][0]
    view = document["bufferViews"][entry["bufferView"]]
    data = bytes(binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]])
    with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as file:
        image = file.copy()
    image.encoded = EncodedTexture(entry["mimeType"], data)  # type: ignore[attr-defined]
    return image
