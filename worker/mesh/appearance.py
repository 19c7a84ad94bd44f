"""How a mesh looks: its texture with UV coordinates, or its vertex colours, behind one small vocabulary.

trimesh has two kinds of visuals and three of materials; nothing else in this folder needs to know. Colours are sRGB.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.color import DEFAULT_COLOR
from trimesh.visual.material import PBRMaterial, SimpleMaterial

CLAY = (200, 196, 190)  # a mesh without colours of its own
Colours = NDArray[np.uint8]


@dataclass(frozen=True)
class Appearance:
    """Exactly one of a texture with UV (n, 2), origin at the lower left, or vertex colours (n, 3); or neither."""

    texture: Image.Image | None = None
    uv: NDArray[np.float64] | None = None
    colours: Colours | None = None
    factor: tuple[float, float, float] = (1.0, 1.0, 1.0)


def appearance(mesh: trimesh.Trimesh) -> Appearance:
    """What the mesh looks like, as this folder understands it."""
    visual = mesh.visual
    if isinstance(visual, TextureVisuals):
        return _textured(visual, len(mesh.vertices))
    if isinstance(visual, ColorVisuals) and visual.kind in ("vertex", "face"):
        return Appearance(colours=np.asarray(visual.vertex_colors, dtype=np.uint8)[:, :3])
    return Appearance()


def _textured(visual: TextureVisuals, count: int) -> Appearance:
    material = visual.material
    if isinstance(material, SimpleMaterial):
        texture, rgb = material.image, _simple_factor(material)
    elif isinstance(material, PBRMaterial):
        texture, rgb = material.baseColorTexture, _unit_factor(material.baseColorFactor)
    else:
        return Appearance()
    if texture is None or visual.uv is None or np.shape(visual.uv) != (count, 2):
        return Appearance(colours=np.tile(np.rint(to_srgb(np.array(rgb)) * 255).astype(np.uint8), (count, 1)))
    return Appearance(texture=texture, uv=np.asarray(visual.uv, dtype=np.float64), factor=rgb)


def _simple_factor(material: SimpleMaterial) -> tuple[float, float, float]:
    """Its diffuse colour, made linear; trimesh fills in a dark grey where none was given, which is no tint."""
    if material.image is not None and np.array_equal(material.diffuse, DEFAULT_COLOR):
        return (1.0, 1.0, 1.0)
    r, g, b = to_linear(np.array(_unit_factor(material.diffuse))).tolist()
    return r, g, b


def _unit_factor(factor: object) -> tuple[float, float, float]:
    if factor is None:
        return (1.0, 1.0, 1.0)
    values = np.asarray(factor)
    scaled = values[:3] / (255 if values.dtype.kind in "iu" else 1)
    r, g, b = scaled.astype(float).tolist()
    return r, g, b


def visuals(look: Appearance) -> TextureVisuals | ColorVisuals:
    """trimesh's form of it, as the worker's meshes carry it."""
    if look.texture is not None:
        material = PBRMaterial(
            baseColorTexture=look.texture,
            baseColorFactor=[*look.factor, 1.0],
            metallicFactor=0.0,
            roughnessFactor=0.8,
        )
        return TextureVisuals(uv=look.uv, material=material)
    return ColorVisuals(vertex_colors=look.colours)


def keep_vertices(mesh: trimesh.Trimesh, kept: NDArray[np.bool_]) -> TextureVisuals | ColorVisuals:
    """The visuals of those vertices alone."""
    look = appearance(mesh)
    if kept.all():
        return visuals(look)
    uv = None if look.uv is None else look.uv[kept]
    colours = None if look.colours is None else look.colours[kept]
    return visuals(Appearance(look.texture, uv, colours, look.factor))


def vertex_colours(look: Appearance, count: int) -> Colours:
    """sRGB at every vertex (n, 3), sampled from the texture where there is one."""
    if look.colours is not None:
        return look.colours
    if look.texture is None or look.uv is None:
        return np.tile(np.array(CLAY, dtype=np.uint8), (count, 1))
    pixels = np.asarray(look.texture.convert("RGB"), dtype=np.float32) / 255
    return np.rint(tinted(sample(pixels, look.uv), look.factor) * 255).clip(0, 255).astype(np.uint8)


def sample(pixels: NDArray[np.float32], uv: NDArray[np.floating]) -> NDArray[np.float32]:
    """Bilinear samples (n, c) of pixels (h, w, c) at UV (n, 2), origin at the lower left, repeating outside 0…1."""
    height, width = pixels.shape[:2]
    inside = np.where((uv < 0) | (uv > 1), uv % 1.0, uv)  # 1 is the last column, not the first again
    x = inside[:, 0] * width - 0.5
    y = (1.0 - inside[:, 1]) * height - 0.5
    left, top = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    fx, fy = (x - left).astype(np.float32)[:, None], (y - top).astype(np.float32)[:, None]
    x0, x1 = left.clip(0, width - 1), (left + 1).clip(0, width - 1)
    y0, y1 = top.clip(0, height - 1), (top + 1).clip(0, height - 1)
    upper = pixels[y0, x0] * (1 - fx) + pixels[y0, x1] * fx
    lower = pixels[y1, x0] * (1 - fx) + pixels[y1, x1] * fx
    return upper * (1 - fy) + lower * fy


def tinted(srgb: NDArray[np.floating], factor: tuple[float, float, float]) -> NDArray[np.floating]:
    """Colours times glTF's base colour factor, which is linear (glTF 2.0 §3.9.2)."""
    if factor == (1.0, 1.0, 1.0):
        return srgb
    return to_srgb(to_linear(srgb) * np.array(factor, dtype=srgb.dtype))


def to_linear(srgb: NDArray[np.floating]) -> NDArray[np.floating]:
    """IEC 61966-2-1, decoding."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: NDArray[np.floating]) -> NDArray[np.floating]:
    """IEC 61966-2-1, encoding."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)
