"""The Poisson equation on a shape drawn on a grid: −∇²u + σu = 4 inside, u = 0 on the outline, in torch.

Conjugate gradients with a multigrid V-cycle as preconditioner. It knows nothing of pictures or meshes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

LEAST_CUT = 0.02  # shortest distance to the outline, in cells: closer ones would spoil the conditioning
SMOOTHING = 2  # damped Jacobi sweeps before and after each coarse correction
DAMPING = 0.8
COARSEST_CELLS = 6
COARSEST_SWEEPS = 24


@dataclass(frozen=True)
class Operator:
    """A symmetric five-point matrix: `diagonal`, and the positive weights of the links to the right and down."""

    diagonal: Tensor
    right: Tensor
    down: Tensor
    inverse: Tensor

    @staticmethod
    def of(diagonal: Tensor, right: Tensor, down: Tensor) -> Operator:
        inverse = torch.where(diagonal > 0, 1.0 / diagonal.clamp_min(1e-30), torch.zeros_like(diagonal))
        return Operator(diagonal, right, down, inverse)

    def __call__(self, u: Tensor) -> Tensor:
        out = self.diagonal * u
        out[:, :-1] -= self.right * u[:, 1:]
        out[:, 1:] -= self.right * u[:, :-1]
        out[:-1] -= self.down * u[1:]
        out[1:] -= self.down * u[:-1]
        return out


def solve_inflation(
    field: Tensor,
    *,
    screening: Tensor | float = 0.0,
    tolerance: float = 1e-5,
    most_rounds: int = 60,
    on_round: Callable[[int], None] = lambda round: None,
) -> Tensor:
    """Solve −∇²u + σu = 4 where `field` > 0 (lengths in cells), with u = 0 where `field` crosses zero between nodes.

    `field` is (height, width), positive inside and not on the outermost nodes; the result has its shape, zero
    outside. For a disc of radius R and σ = 0 it is R² − r². The outline is met between the nodes, symmetrically and
    to second order (Gibou, Fedkiw, Cheng & Kang 2002). `tolerance` bounds the residual relative to the right side.
    """
    inside = field > 0
    levels = _hierarchy(_discretise(field, inside, screening))
    right_side = 4.0 * inside.to(field.dtype)
    u = torch.zeros_like(field)
    residual = right_side.clone()
    goal = tolerance * _norm(right_side)
    correction = _v_cycle(levels, residual)
    direction = correction
    gain = _dot(residual, correction)
    for round in range(most_rounds):
        on_round(round)
        image = levels[0](direction)
        step = gain / _dot(direction, image)
        u += step * direction
        residual -= step * image
        if _norm(residual) <= goal:
            break
        correction = _v_cycle(levels, residual)
        gain, previous = _dot(residual, correction), gain
        direction = correction + (gain / previous) * direction
    return u.clamp_min_(0.0)


def _discretise(field: Tensor, inside: Tensor, screening: Tensor | float) -> Operator:
    diagonal = torch.full_like(field, 0.0) + screening
    right = _link(field[:, :-1], field[:, 1:], diagonal[:, :-1], diagonal[:, 1:])
    down = _link(field[:-1], field[1:], diagonal[:-1], diagonal[1:])
    return Operator.of(diagonal * inside, right, down)


def _link(a: Tensor, b: Tensor, diagonal_a: Tensor, diagonal_b: Tensor) -> Tensor:
    """Weights between neighbours that are both inside; a cut link only adds 1/distance to its inner end."""
    both = (a > 0) & (b > 0)
    gap = (a - b).abs().clamp_min(1e-20)
    diagonal_a += torch.where(both, 1.0, 1.0 / (a / gap).clamp(LEAST_CUT, 1.0)) * (a > 0)
    diagonal_b += torch.where(both, 1.0, 1.0 / (b / gap).clamp(LEAST_CUT, 1.0)) * (b > 0)
    return both.to(a.dtype)


def _hierarchy(finest: Operator) -> list[Operator]:
    levels = [finest]
    while min(levels[-1].diagonal.shape) > COARSEST_CELLS:
        levels.append(_coarsen(levels[-1]))
    return levels


def _coarsen(fine: Operator) -> Operator:
    """Galerkin sums over 2 × 2 cells, halved: piecewise constants overestimate energy by two (Braess 1995)."""
    right, down = _pad_even(fine.right, columns=1), _pad_even(fine.down, rows=1)
    inner = _blocks(right[:, 0::2], rows_only=True) + _blocks(down[0::2], columns_only=True)
    diagonal = _blocks(_pad_even(fine.diagonal)) - 2.0 * inner
    across = _blocks(right[:, 1::2], rows_only=True)[:, :-1]
    along = _blocks(down[1::2], columns_only=True)[:-1]
    return Operator.of(0.5 * diagonal, 0.5 * across, 0.5 * along)


def _pad_even(values: Tensor, *, rows: int = 0, columns: int = 0) -> Tensor:
    """Zeros added below and to the right: first `rows` and `columns`, then up to even sizes."""
    rows += (values.shape[0] + rows) % 2
    columns += (values.shape[1] + columns) % 2
    return torch.nn.functional.pad(values, (0, columns, 0, rows))


def _blocks(values: Tensor, *, rows_only: bool = False, columns_only: bool = False) -> Tensor:
    if not columns_only:
        values = values[0::2] + values[1::2]
    if not rows_only:
        values = values[:, 0::2] + values[:, 1::2]
    return values


def _v_cycle(levels: list[Operator], residual: Tensor, depth: int = 0) -> Tensor:
    operator = levels[depth]
    if depth == len(levels) - 1:
        return _smooth(operator, DAMPING * operator.inverse * residual, residual, COARSEST_SWEEPS)
    u = _smooth(operator, DAMPING * operator.inverse * residual, residual, SMOOTHING - 1)
    coarse = _blocks(_pad_even(residual - operator(u)))
    correction = _v_cycle(levels, coarse, depth + 1)
    fine = correction.repeat_interleave(2, 0).repeat_interleave(2, 1)[: u.shape[0], : u.shape[1]]
    u = u + fine * (operator.diagonal > 0)
    return _smooth(operator, u, residual, SMOOTHING)


def _smooth(operator: Operator, u: Tensor, right_side: Tensor, sweeps: int) -> Tensor:
    for _ in range(sweeps):
        u = u + DAMPING * operator.inverse * (right_side - operator(u))
    return u


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dtype=torch.float64).to(a.dtype)


def _norm(a: Tensor) -> float:
    return float(_dot(a, a).sqrt())
