"""What a road hands back: coverage and how sure it is. Nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Found:
    """Coverage in 0..1 (height, width; float32; outline at 0.5) and confidence in 0..1."""

    coverage: np.ndarray
    confidence: float
