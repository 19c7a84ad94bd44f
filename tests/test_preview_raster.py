"""What the rasteriser sees: the nearest face at each pixel's centre, and how far away it is."""

from __future__ import annotations

import numpy as np

from worker.mesh.raster import NO_FACE, NOTHING, Lens, depths, look

LENS = Lens(side_px=64, half_width=0.25)


def triangle(distance: float, *, tilt: float = 0.0) -> np.ndarray:
    """One that covers the left half of the view and more, farther away to the left by `tilt` a unit."""
    x, y = np.array([0.0, -9.0, -9.0]), np.array([0.0, 30.0, -30.0])
    return np.column_stack((x, y, -distance + tilt * x)).astype(np.float32)


def test_the_nearest_face_is_seen_whatever_the_order() -> None:
    near, far = triangle(3), triangle(5)
    for stack, number in (((near, far), 0), ((far, near), 1)):
        sight = look(np.stack(stack), LENS)
        assert (sight.face[32, :30] == number).all()
        assert (sight.face[:, 34:] == NO_FACE).all()
        assert np.array_equal(sight.covered, sight.face != NO_FACE)


def test_a_face_is_seen_from_both_sides() -> None:
    assert (look(triangle(3)[None, ::-1], LENS).face[32, :30] == 0).all()


def test_distances_are_exact_to_a_hundred_thousandth() -> None:
    sloping = triangle(4, tilt=0.5)
    row, column = (axis.ravel() for axis in np.mgrid[20:44, 0:26])
    rays = LENS.directions(row, column)
    expected = 4 / (1 + 0.5 * rays[:, 0])  # where the ray meets z = x/2 − 4
    for depth in (look(sloping[None], LENS).depth, depths(sloping, np.array([[0, 1, 2]]), LENS)):
        assert np.abs(depth[row, column] - expected).max() < 1e-5
        assert (depth[:, 34:] > NOTHING).all()


def test_a_ray_leads_back_to_its_pixel() -> None:
    row, column = (axis.ravel() for axis in np.mgrid[0:64:7, 0:64:5])
    place = LENS.pixels(LENS.directions(row, column) * 3.7)
    assert np.allclose(place, np.column_stack((column, row)) + 0.5, atol=1e-3)
