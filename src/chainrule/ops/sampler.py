"""Sampling at any place: values between the points of a regular grid, where another tensor says."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import explained, scalar_type
from ..lanes import general
from ..primitive import Primitive
from ..tensor import Tensor, wrap
from .kinds import export, export_all, no_kernel
from .resampling import cubic_weights
from .taps import _against, _spread, _taps

GRID: Any = [[[[0.3, -0.2], [-0.71, 0.55]], [[1.4, 0.1], [-0.1, -1.3]]]]
_MODES, _PADDINGS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


def _clipped(xp: Any, at: Any, slope: Any, n: int) -> Any:
    """Kept among the points; with slope 0 where that moves them, and at the ends, as in PyTorch."""
    kept = xp.where(at <= 0, xp.zeros_like(at), xp.where(at >= n - 1, xp.zeros_like(at) + (n - 1), at))
    return kept, slope * xp.astype((at > 0) & (at < n - 1), at.dtype)


def _reflected(xp: Any, at: Any, slope: Any, n: int, align: bool) -> Any:
    """Mirrored at the outermost points, or at their outer edges, as often as it takes."""
    low, span = (0.0, n - 1) if align else (-0.5, n)
    if not span:
        return xp.zeros_like(at), xp.zeros_like(at)
    away = at - low
    sign = xp.where(away < 0, -xp.ones_like(at), xp.ones_like(at))
    turns = xp.floor(away * sign / span)
    turned = turns % 2 == 1
    extra = away * sign - turns * span
    return xp.where(turned, span - extra, extra) + low, slope * sign * xp.where(
        turned, -xp.ones_like(at), xp.ones_like(at)
    )


def _inside(xp: Any, at: Any, slope: Any, n: int, padding: str, align: bool) -> Any:
    """Positions that the padding leaves or moves, and their slopes."""
    if padding == "zeros":
        return at, slope
    if padding == "reflection":
        at, slope = _reflected(xp, at, slope, n, align)
    return _clipped(xp, at, slope, n)


def _hats(t: Any) -> Any:
    return [1 - t, t], [-1, 1]


def _cubics(t: Any, a: float = -0.75) -> Any:
    """What the four points around count at the part ``t`` of the way from the second to the third; and the slopes."""

    def near(x: Any) -> Any:
        return (3 * (a + 2) * x - 2 * (a + 3)) * x

    def far(x: Any) -> Any:
        return (3 * a * x - 10 * a) * x + 8 * a

    return cubic_weights(t, a), [far(t + 1), near(t), -near(1 - t), -far(2 - t)]


def _along(xp: Any, g: Any, n: int, mode: str, padding: str, align: bool) -> Any:
    """Along one axis of n points, for the coordinates g: the neighbours, what they count, and the slopes of that, as
    factors and one more for all."""
    scale = (n - 1) / 2 if align else n / 2
    at, slope = (g + 1) * scale, scale
    if not align:
        at = at - 0.5
    if mode != "bicubic":
        at, slope = _inside(xp, at, slope, n, padding, align)
    if mode == "nearest":
        return [xp.round(xp.stop(at))], None, None, None
    low = xp.floor(xp.stop(at))
    counts, slopes = (_cubics if mode == "bicubic" else _hats)(at - low)
    first = -1 if mode == "bicubic" else 0
    places = [low + (k + first) for k in range(len(counts))]
    if mode == "bicubic":
        places = [_inside(xp, p, 1, n, padding, align)[0] for p in places]
    return places, counts, slopes, slope


def _neighbours(xp: Any, grid: Any, size: Any, mode: str, padding: str, align: bool) -> Any:
    """For grid (..., m, rank) the places (..., k, m) in the flattened points, and along each axis which of the taps each is,
    what that counts (..., m), and the slopes."""
    rank, total = len(size), math.prod(size)
    parts = [
        _along(xp, xp.getitem(grid, (..., rank - 1 - d)), n, mode, padding, align) for d, n in enumerate(size)
    ]  # the last axis comes first
    steps = [math.prod(size[d + 1 :]) for d in range(rank)]
    lines = [
        [_step(xp, p, n, step, total) for p in places] for (places, *_), n, step in zip(parts, size, steps, strict=True)
    ]
    chosen = list(itertools.product(*[range(len(p[0])) for p in parts]))
    at = []
    for entry in chosen:
        place = lines[0][entry[0]]
        for line, k in zip(lines[1:], entry[1:], strict=True):
            place = place + line[k]
        at.append(place)
    index = xp.stack(at, axis=-2)
    return xp.minimum(index, total), chosen, parts


def _step(xp: Any, p: Any, n: int, step: int, outside: int) -> Any:
    there = (p >= 0) & (p < n)
    beyond = p.dtype.type(2 * outside) if hasattr(xp, "between") else xp.zeros_like(p) + 2.0 * outside
    return xp.astype(xp.where(there, p, beyond), np.int64) * step


def _product(counts: Any) -> Any:
    total = counts[0]
    for c in counts[1:]:
        total = total * c
    return total


def _weights(xp: Any, grid: Any, chosen: Any, parts: Any, axis: int | None = None) -> Any:
    """What each neighbour counts, or the slope of that in the position along ``axis``: (..., k, m)."""
    if parts[0][1] is None:
        one = xp.ones_like(xp.getitem(grid, (..., 0)))
        return xp.stack([one if axis is None else one * 0], axis=-2)
    counts = [p[1] if d != axis else [s * p[3] for s in p[2]] for d, p in enumerate(parts)]
    return xp.stack([_product([c[k] for c, k in zip(counts, entry, strict=True)]) for entry in chosen], axis=-2)


def _flat(xp: Any, x: Any, rank: int) -> Any:
    """Without the last ``rank`` axes but for one, that they become."""
    shape = tuple(x.shape)
    return xp.reshape(x, (*shape[: len(shape) - rank], math.prod(shape[len(shape) - rank :])))


def _points(xp: Any, grid: Any) -> Any:
    """grid (..., m, rank), with all positions along one axis."""
    rank, shape = grid.shape[-1], tuple(grid.shape)
    lead = shape[: len(shape) - 1 - rank]
    return xp.reshape(grid, (*lead, math.prod(shape[len(lead) : -1]), rank))


def _taken(xp: Any, x: Any, grid: Any, how: Any, value: Any) -> Any:
    """Samples of ``value``, which lies as x does, at the grid's places."""
    rank = grid.shape[-1]
    points = _points(xp, grid)
    at, chosen, parts = _neighbours(xp, points, x.shape[-rank:], *how)
    out = _taps(_flat(xp, value, rank), _weights(xp, points, chosen, parts), at)
    return xp.reshape(out, (*x.shape[:-rank], *grid.shape[-1 - rank : -1]))


def _back(xp: Any, g: Any, x: Any, grid: Any, how: Any, wanted: Any) -> Any:
    rank = grid.shape[-1]
    points, size = _points(xp, grid), tuple(x.shape[-rank:])
    at, chosen, parts = _neighbours(xp, points, size, *how)
    flat = _flat(xp, g, rank)
    of_x = of_grid = None
    if wanted[0]:
        of_x = _spread(flat, _weights(xp, points, chosen, parts), at, size=math.prod(size))
        of_x = xp.reshape(of_x, tuple(x.shape))
    if wanted[1]:
        shares = _against(flat, _flat(xp, x, rank), at)
        slopes = [xp.sum(shares * _weights(xp, points, chosen, parts, d), axis=-2) for d in range(rank)[::-1]]
        of_grid = xp.reshape(xp.stack(slopes, axis=-1), tuple(grid.shape))
    return of_x, of_grid


def _moving(xp: Any, t: Any, x: Any, grid: Any, how: Any) -> Any:
    """The tangent that the grid's tangent makes."""
    rank = grid.shape[-1]
    points, moves = _points(xp, grid), _points(xp, t)
    at, chosen, parts = _neighbours(xp, points, x.shape[-rank:], *how)
    w: Any = 0
    for d in range(rank):
        move = xp.expand_dims(xp.getitem(moves, (..., rank - 1 - d)), axis=-2)
        w = _weights(xp, points, chosen, parts, d) * move + w
    out = _taps(_flat(xp, x, rank), w, at)
    return xp.reshape(out, (*x.shape[:-rank], *grid.shape[-1 - rank : -1]))


class GridSampler(Primitive):
    """x (..., channels, *points) at the places of a grid (..., *out, rank): (..., channels, *out)."""

    forward = lambda xp, x, grid, *, how: _taken(xp, x, grid, how, x)
    vjp_all = lambda xp, g, x, grid, how, wanted: _back(xp, g, x, grid, how, wanted)
    jvp_x = lambda xp, t, x, grid, how: _taken(xp, x, grid, how, t)
    jvp_grid = lambda xp, t, x, grid, how: _moving(xp, t, x, grid, how)
    depends = lambda xp, x, grid, out_shape: _dependence(xp, x, grid, out_shape)
    formula = False
    real_only = no_kernel("grid_sampler_2d_cpu")
    samples = [
        (((1, 2, 3, 4), GRID), {"how": how})
        for how in (("bilinear", "zeros", False), ("bicubic", "reflection", True), ("nearest", "border", False))
    ]


def _dependence(xp: Any, x: Any, grid: Any, out_shape: Any) -> Any:
    rank = grid.shape[-1]
    lead = xp.sum(x, axis=tuple(range(-rank, 0)), keepdims=True)
    return xp.broadcast_to(lead + xp.expand_dims(xp.sum(grid, axis=-1), axis=-1 - rank), out_shape)


_by_rank = {4: GridSampler("GridSampler2DBackward0"), 5: GridSampler("GridSampler3DBackward0")}


def _check(x: Tensor, grid: Tensor, mode: str) -> None:
    def shapes() -> str:
        return f"but got input with sizes {list(x.shape)} and grid with sizes {list(grid.shape)}"

    if x.ndim not in (4, 5) or grid.ndim != x.ndim:
        raise explained(
            RuntimeError(
                f"grid_sampler(): expected {5 if x.ndim == 5 else 4}D input and grid with same number of dimensions, {shapes()}"
                "\nThe input is (n, channels, height, width), the grid (n, out_height, out_width, 2)."
            )
        )
    if grid._shape[0] != x._shape[0]:
        raise RuntimeError(f"grid_sampler(): expected grid and input to have same batch size, {shapes()}")
    if grid._shape[-1] != x.ndim - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {x.ndim - 2} in last dimension, but got grid with sizes "
            f"{list(grid.shape)}"
        )
    if 0 in x._shape[2:]:
        raise RuntimeError(
            f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes {list(x.shape)} "
            f"with dimension {x._shape.index(0, 2)} being empty"
        )
    if mode == "bicubic" and x.ndim == 5:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    if x._dtype != grid._dtype:
        raise explained(
            RuntimeError(
                f"expected scalar type {scalar_type(x._dtype)} but found {scalar_type(grid._dtype)}"
                "\nThe grid must have input's dtype: grid.to(input.dtype)."
            )
        )


def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:  # fmt: skip
    """``input`` (n, channels, height, width) at the places (x, y) of ``grid`` (n, out_height, out_width, 2).

    Coordinates reach from -1 to 1, between the outer edges of the outermost points, or with ``align_corners`` between
    these themselves.  ``mode`` is "bilinear", "nearest" or "bicubic"; beyond the ends stands what ``padding_mode`` says:
    "zeros", the "border" again, or a "reflection".  With a depth axis, places are (x, y, z).  The result is
    (n, channels, out_height, out_width), differentiable in both.  RuntimeError for shapes that do not fit.

    Source: ``torch.nn.functional.grid_sample``.

    >>> import chainrule as torch
    >>> image = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    >>> grid_sample(image, torch.zeros(1, 1, 1, 2), align_corners=False)
    tensor([[[[1.5000]]]])
    """
    if mode not in _MODES:
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in _PADDINGS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    _check(input, grid, mode)
    return general(_by_rank[input.ndim], (input, grid), params={"how": (mode, padding_mode, _aligned(align_corners))})


def _aligned(align: bool | None) -> bool:
    if align is None:
        warnings.warn(
            "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
            "align_corners=True if the old behavior is desired. See the documentation of grid_sample for details.",
            stacklevel=3,
        )
    return bool(align)


def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """:func:`grid_sample` with its modes as numbers.  Source: ``torch.grid_sampler``."""
    mode = _MODES[interpolation_mode]
    _check(input, grid, mode)
    how = mode, _PADDINGS[padding_mode], align_corners
    return general(_by_rank[input.ndim], (input, grid), params={"how": how})


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The places that affine maps ``theta`` (n, 2, 3) take the points of a grid to, for :func:`grid_sample`.

    ``size`` is (n, channels, height, width) of the result; or with a depth, and ``theta`` (n, 3, 4).  ValueError for
    other shapes.

    Source: ``torch.nn.functional.affine_grid``.

    >>> import chainrule as torch
    >>> same = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> affine_grid(same, (1, 1, 1, 2), align_corners=False)
    tensor([[[[-0.5000,  0.0000],
              [ 0.5000,  0.0000]]]])
    """
    align = _aligned(align_corners)
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    rank = len(size) - 2
    if rank not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size "
            f"{size}."
        )
    if theta.ndim != 3 or theta._shape[1:] != (rank, rank + 1):
        raise explained(
            ValueError(
                f"Expected a batch of {rank}D affine matrices of shape Nx{rank}x{rank + 1} for size {size}. Got "
                f"{theta.shape}.\nEach matrix is a linear map with a shift in its last column."
            )
        )
    if align and min(size[2:]) == 1:
        warnings.warn(
            "Since version 1.3.0, affine_grid behavior has changed for unit-size grids when align_corners=True. This is "
            "not an intended use case of affine_grid. See the documentation of affine_grid for details.",
            stacklevel=2,
        )
    elif min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    return affine_grid_generator(theta, size, align)


def affine_grid_generator(theta: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """:func:`affine_grid` without its checks.  Source: ``torch.affine_grid_generator``."""

    def points(n: int) -> Any:
        ends = np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
        return ends if align_corners else ends * (n - 1) / n

    lengths = tuple(size[2:])
    axes = np.meshgrid(*[points(n) for n in lengths], indexing="ij")[::-1]
    base = np.stack([*axes, np.ones(lengths)], -1).reshape(-1, len(lengths) + 1).astype(theta._dtype)
    return (wrap(base) @ theta.transpose(-2, -1)).reshape(size[0], *lengths, len(lengths))


export_all(grid_sampler, affine_grid_generator, method=False)
export("grid_sampler_2d", grid_sampler, method=False)
export("grid_sampler_3d", grid_sampler, method=False)
