"""What the built-in generators have in common: nothing to load but a device, and a shape to find in the picture."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

from worker.generators.base import GeneratorParams


class ShapeParams(GeneratorParams):
    """How the shape in the picture is found."""

    mask: Literal["auto", "alpha", "border", "grabcut", "frame"] = Field("auto", description="How the shape is found")
    holes: Literal["auto", "keep", "fill"] = Field("auto", description="Whether gaps in the shape stay open")


class WeightFree:
    """A generator without weights: available everywhere, ready as soon as it knows its device."""

    needs: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._device = torch.device("cpu")

    def unavailable_because(self) -> str | None:
        return None

    def load(self, device: torch.device) -> None:
        self._device = device
