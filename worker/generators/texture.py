"""The picture as the mesh's colour: foreground carried past the outline, planar UV, a PBR material.

It shades nothing and invents no back side: the back wears the front's colours, as seen from the front.
"""

from __future__ import annotations

import cv2
import numpy as np
import trimesh
from PIL import Image
from trimesh.visual.material import PBRMaterial
from trimesh.visual.texture import TextureVisuals

from worker.generators.outline import Outline
from worker.generators.solid import Solid
from worker.masks.picture import WorkingPicture

MARGIN_PX = 8  # bled colour kept around the shape, so that mipmaps meet no background
FRINGE_PX = 2  # how far the background's colour reaches into the shape: anti-aliasing, JPEG ringing
PLAIN_WHITE = (230, 230, 228)


def bled_colours(picture: WorkingPicture, coverage: np.ndarray, *, fringe_px: int = FRINGE_PX) -> np.ndarray:
    """The picture with everything outside the shape, and the outermost pixels inside, replaced by the shape's colours.

    Each replaced pixel takes the nearest colour that is surely the shape's own; (height, width, 3) uint8.
    """
    sure = _surely_inside(coverage, fringe_px)
    source = picture.over_white if picture.alpha.min() < 1.0 else picture.rgb
    _, nearest = cv2.distanceTransformWithLabels(
        1 - sure.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    place = np.zeros(nearest.max() + 1, np.int64)
    place[nearest[sure]] = np.flatnonzero(sure)
    bled = source.reshape(-1, 3)[place[nearest]]
    smooth = cv2.GaussianBlur(bled, (0, 0), 1.5)
    return np.where((coverage >= 0.5)[..., None], bled, smooth)


def planar_texture(colours: np.ndarray, pixels: np.ndarray) -> TextureVisuals:
    """Visuals that show `colours` at each vertex's place in the picture.

    `pixels` is (n, 2): x and y in pixels, pixel centres at whole numbers. The picture is cut down to what is used.
    """
    height, width = colours.shape[:2]
    low = np.clip(np.floor(pixels.min(axis=0)).astype(int) - MARGIN_PX, 0, [width - 1, height - 1])
    high = np.clip(np.ceil(pixels.max(axis=0)).astype(int) + MARGIN_PX + 1, low + 1, [width, height])
    cut = colours[low[1] : high[1], low[0] : high[0]]
    uv = (pixels + 0.5 - low) / (high - low)
    uv[:, 1] = 1.0 - uv[:, 1]
    return TextureVisuals(uv=uv.astype(np.float32), material=material(cut))


def material(colours: np.ndarray) -> PBRMaterial:
    """A matt, non-metallic material whose base colour is (height, width, 3) uint8; the picture asks for JPEG."""
    image = Image.fromarray(np.ascontiguousarray(colours), "RGB")
    image.format = "JPEG"
    return PBRMaterial(name="picture", baseColorTexture=image, metallicFactor=0.0, roughnessFactor=0.85)


def textured(
    vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray | None, visual: TextureVisuals
) -> trimesh.Trimesh:
    """The mesh as it stands: nothing merged, nothing reordered."""
    return trimesh.Trimesh(vertices=vertices, faces=faces, vertex_normals=normals, visual=visual, process=False)


def dressed(solid: Solid, outline: Outline, picture: WorkingPicture, coverage: np.ndarray) -> trimesh.Trimesh:
    """The solid in the picture's colours, as seen from the front."""
    plane = solid.plane.cpu().numpy().astype(np.float64)
    visual = planar_texture(bled_colours(picture, coverage), outline.to_pixels(plane))
    return textured(solid.vertices.cpu().numpy().astype(np.float64), solid.faces.cpu().numpy(), None, visual)


def plain(solid: Solid) -> trimesh.Trimesh:
    """The solid in one light colour, for what shows the picture by its form alone."""
    place = np.full((len(solid.vertices), 2), 0.5, np.float32)
    colour = material(np.full((4, 4, 3), PLAIN_WHITE, np.uint8))
    visual = TextureVisuals(uv=place, material=colour)
    return textured(solid.vertices.cpu().numpy().astype(np.float64), solid.faces.cpu().numpy(), None, visual)


def _surely_inside(coverage: np.ndarray, fringe_px: int) -> np.ndarray:
    """Pixels untouched by the background; where the shape is too thin to have any, its middle line."""
    inside = (coverage >= 0.5).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * fringe_px + 1, 2 * fringe_px + 1))
    core = cv2.erode(inside, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    rest = inside & (
        1 - cv2.dilate(core, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * fringe_px + 3, 2 * fringe_px + 3)))
    )
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    ridge = (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8)) - 1e-3) & (rest > 0)
    return (core > 0) | ridge
