"""The four roads to a mask, tried from the surest to the last resort, and what is done to a mask on each of them.

It decides between roads; how a road works stands in its own file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from jobs.errors import NoSurface
from jobs.requests import Notice
from worker.masks.border import mask_from_border
from worker.masks.clean import Holes, clean, has_hole
from worker.masks.grabcut import mask_by_grabcut
from worker.masks.picture import WorkingPicture

Road = Literal["alpha", "border", "grabcut", "frame"]
RoadChoice = Literal["auto", "alpha", "border", "grabcut", "frame"]

VISIBLE = 8 / 255  # opacity under which nobody sees a pixel
SURE = 0.5  # confidence under which a person is told that the mask may be wrong
LEAST_SURE = 0.15  # confidence under which `auto` tries the next method
FULL_FRAME = 0.995  # share of opaque pixels from which an alpha channel needs a hole to carry a shape


@dataclass(frozen=True)
class Mask:
    """Coverage in 0..1 (height, width; float32; the outline is at 0.5), the road taken, confidence in 0..1."""

    coverage: np.ndarray
    road: Road
    confidence: float

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What a person should know of it: whether it may be wrong, and what to try."""
        if self.road == "alpha" or self.confidence >= SURE:
            return ()
        found = {
            "border": "the shape was told from a plain ground that it hardly differs from",
            "grabcut": "the shape was guessed from its colours",
            "frame": "no shape was found, so the whole picture was taken",
        }[self.road]
        message = (
            f"{found} (confidence {self.confidence:.2f}); if it is wrong, try mask=border, mask=grabcut or mask=frame,"
            " or cut the thing out and send it with transparency"
        )
        return (Notice(code="uncertain_mask", message=message),)


def find_mask(picture: WorkingPicture, *, road: RoadChoice = "auto", holes: Holes = "auto", seed: int = 0) -> Mask:
    """The shape in the picture. `auto` takes the first road that is sure enough; a named road falls back to the frame.

    Raises:
        NoSurface: every pixel is transparent.
    """
    peak = float(picture.alpha.max())
    if peak < VISIBLE:
        raise NoSurface("the picture is transparent everywhere: there is no shape to build")
    for candidate in _candidates(picture, road, peak, seed):
        coverage = clean(candidate.coverage, holes=holes, made=candidate.road == "alpha")
        if coverage.max() >= 0.5:
            return Mask(coverage, candidate.road, candidate.confidence)
    return Mask(np.ones(picture.shape, np.float32), "frame", 1.0 if road == "frame" else 0.1)


def _candidates(picture: WorkingPicture, road: RoadChoice, peak: float, seed: int):
    if road in ("auto", "alpha"):
        coverage = np.minimum(picture.alpha / peak, 1.0) if peak < 0.9 else picture.alpha
        if _carries_shape(coverage):
            yield Mask(coverage, "alpha", 1.0)
    if road in ("auto", "border"):
        found = mask_from_border(picture.lab, least_agreement=0.8 if road == "auto" else 0.0)
        if found and (road == "border" or found.confidence >= LEAST_SURE):
            yield Mask(found.coverage, "border", found.confidence)
    if road in ("auto", "grabcut"):
        found = mask_by_grabcut(picture, seed=seed, least_confidence=0.5 if road == "auto" else 0.0)
        if found:
            yield Mask(found.coverage, "grabcut", found.confidence)


def _carries_shape(coverage: np.ndarray) -> bool:
    """Rounded corners alone make no shape of a picture; a hole does, however small."""
    inside = float((coverage >= 0.5).mean())
    return inside > 0 and (inside < FULL_FRAME or (inside < 1 and has_hole(coverage)))
