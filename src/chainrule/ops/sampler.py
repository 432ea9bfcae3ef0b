"""Sampling at any place: values between the points of a regular grid, where another tensor says."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import explained, scalar_type
from ..tensor import Tensor, wrap
from .kinds import export, export_all, public
from .places import Gather
from .resampling import cubic_weights
from .whole import whole

where = public["where"]
_gather = Gather()

_MODES, _PADDINGS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


def _unnormalised(g: Tensor, n: int, align: bool) -> Tensor:
    """-1 to 1 as positions among n points: of the outermost points, or of their outer edges."""
    return (g + 1) * ((n - 1) / 2) if align else ((g + 1) * n - 1) * 0.5


def _clipped(at: Tensor, n: int) -> Tensor:
    """Kept among the points; without a gradient where that moves them, and at the ends, as in PyTorch."""
    low, high = wrap(np.zeros((), at._dtype)), wrap(np.asarray(n - 1, at._dtype))
    return where(at <= 0, low, where(at >= n - 1, high, at))  # type: ignore[no-any-return]


def _reflected(at: Tensor, n: int, align: bool) -> Tensor:
    """Mirrored at the outermost points, or at their outer edges, as often as it takes."""
    low, span = (0.0, n - 1) if align else (-0.5, n)
    if not span:
        return at * 0
    far = (at - low).abs()
    extra = far % span
    turned = (far / span).floor() % 2 == 1
    return where(turned, span - extra, extra) + low  # type: ignore[no-any-return]


def _inside(at: Tensor, n: int, padding: str, align: bool) -> Tensor:
    if padding == "zeros":
        return at
    return _clipped(_reflected(at, n, align) if padding == "reflection" else at, n)


def _points(x: Tensor, at: Sequence[Tensor]) -> Tensor:
    """The values of x (n, channels, ...) at whole positions (n, m) along each axis, 0 where there is no point."""
    size = x._shape[2:]
    place: Any = 0
    there: Any = None
    for a, n in zip(at, size, strict=True):
        a = a.detach()
        fits = (a >= 0) & (a < n)
        there = fits if there is None else there & fits
        place = place * n + where(fits, a, wrap(np.zeros((), a._dtype)))
    index = place.long().unsqueeze(1)
    values: Tensor = _gather(x.reshape(*x._shape[:2], math.prod(size)), index, axis=-1)
    return where(there.unsqueeze(1), values, wrap(np.zeros((), x._dtype)))  # type: ignore[no-any-return]


def _sampled(x: Tensor, grid: Tensor, mode: str, padding: str, align: bool) -> Tensor:
    rank = x.ndim - 2
    shape = (*x._shape[:2], *grid._shape[1:-1])
    flat = grid.reshape(grid._shape[0], math.prod(grid._shape[1:-1]), rank)
    size = x._shape[2:]
    at = [_unnormalised(flat[:, :, rank - 1 - d], n, align) for d, n in enumerate(size)]  # the last axis comes first
    if mode != "bicubic":
        at = [_inside(a, n, padding, align) for a, n in zip(at, size, strict=True)]
    if mode == "nearest":
        return _points(x, [a.round() for a in at]).reshape(*shape)
    low = [a.detach().floor() for a in at]
    part = [a - b for a, b in zip(at, low, strict=True)]
    taps = [cubic_weights(t) if mode == "bicubic" else [1 - t, t] for t in part]
    first = -1 if mode == "bicubic" else 0
    total: Any = None
    for entry in itertools.product(*[range(len(t)) for t in taps]):
        weight: Any = None
        for t, k in zip(taps, entry, strict=True):
            weight = t[k] if weight is None else weight * t[k]
        places = [b + (k + first) for b, k in zip(low, entry, strict=True)]
        if mode == "bicubic":
            places = [_inside(p, n, padding, align) for p, n in zip(places, size, strict=True)]
        value = _points(x, places) * weight.unsqueeze(1)
        total = value if total is None else total + value
    return total.reshape(*shape)  # type: ignore[no-any-return]


_by_rank = {4: whole("GridSampler2DBackward0")(_sampled), 5: whole("GridSampler3DBackward0")(_sampled)}


def _check(x: Tensor, grid: Tensor, mode: str) -> None:
    shapes = f"but got input with sizes {list(x.shape)} and grid with sizes {list(grid.shape)}"
    if x.ndim not in (4, 5) or grid.ndim != x.ndim:
        raise explained(
            RuntimeError(
                f"grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, {shapes}"
                "\nThe input is (n, channels, height, width), the grid (n, out_height, out_width, 2)."
            )
        )
    if grid._shape[0] != x._shape[0]:
        raise RuntimeError(f"grid_sampler(): expected grid and input to have same batch size, {shapes}")
    if grid._shape[-1] != x.ndim - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {x.ndim - 2} in last dimension, but got grid with sizes "
            f"{list(grid.shape)}"
        )
    for d in range(2, x.ndim):
        if not x._shape[d]:
            raise RuntimeError(
                f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes {list(x.shape)} "
                f"with dimension {d} being empty"
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
    return _by_rank[input.ndim](input, grid, mode, padding_mode, _aligned(align_corners))


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
    return _by_rank[input.ndim](input, grid, mode, _PADDINGS[padding_mode], align_corners)


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
