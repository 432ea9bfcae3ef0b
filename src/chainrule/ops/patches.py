"""Windows of images as columns, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..errors import explained
from ..primitive import Primitive
from ..tensor import Tensor
from .columns import Grid, Ints, columns, laid, scattered
from .convolution import _LINE, _PLANE, each


class Im2Col(Primitive):
    """x's windows as columns: (n, channels * kernel, windows)."""

    formula = False
    forward = lambda xp, x, *, grid: columns(x, grid, 1)[..., 0, :, :]
    vjp_x = lambda xp, g, grid: _col2im(g, grid=grid)
    linear = ("x",)
    samples = [(((2, 2, 6),), {"grid": _LINE}), (((1, 2, 4, 3),), {"grid": _PLANE})]


class Col2Im(Primitive):
    """Columns added up where :class:`Im2Col` takes them from."""

    formula = False
    forward = lambda xp, x, *, grid: scattered(x[..., None, :, :], grid, x.shape[-2] // math.prod(grid.kernel))
    vjp_x = lambda xp, g, grid: _im2col(g, grid=grid)
    linear = ("x",)
    samples = [(((2, 6, 3),), {"grid": _LINE}), (((1, 4, 4),), {"grid": _PLANE})]


_im2col: Primitive = Im2Col()
_col2im: Primitive = Col2Im()


def _pairs(size: Ints, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> Grid:
    names = ("kernel_size", "stride", "padding", "dilation")
    kernel, steps, around, gaps = (
        each(v, 2, n) for v, n in zip((kernel_size, stride, padding, dilation), names, strict=True)
    )
    grid = laid(kernel, steps, around, gaps, size)
    if min(grid.out) < 1:
        raise explained(
            RuntimeError(
                f"Given input with spatial size {size}, kernel_size={grid.kernel}, dilation={grid.dilation}, "
                f"padding={grid.padding}, calculated shape of the array of sliding blocks as {grid.out}, but its "
                "components must be at least one.\nThe kernel is larger than the padded input."
            )
        )
    return grid


def unfold(
    input: Tensor, kernel_size: int | Sequence[int], dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0, stride: int | Sequence[int] = 1,
) -> Tensor:  # fmt: skip
    """The windows of ``input`` (n, channels, height, width) as columns, (n, channels * kernel, windows).

    Source: ``torch.nn.functional.unfold``.

    >>> import chainrule as torch
    >>> unfold(torch.tensor([[[1.0, 2.0, 3.0]]]), (1, 2))
    tensor([[1., 2.],
            [2., 3.]])
    """
    x = input.unsqueeze(0) if input.ndim == 3 else input
    grid = _pairs(tuple(x._shape[-2:]), kernel_size, dilation, padding, stride)
    y: Tensor = _im2col(x, grid=grid)
    return y.squeeze(0) if input.ndim == 3 else y


def fold(
    input: Tensor, output_size: int | Sequence[int], kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1, padding: int | Sequence[int] = 0, stride: int | Sequence[int] = 1,
) -> Tensor:  # fmt: skip
    """Columns as :func:`unfold` gives them, added up where they come from: (n, channels, *output_size).

    RuntimeError if there are not as many as the sizes say.

    Source: ``torch.nn.functional.fold``.

    >>> import chainrule as torch
    >>> fold(torch.tensor([[1.0, 2.0], [2.0, 3.0]]), (1, 3), (1, 2))
    tensor([[[1., 4., 3.]]])
    """
    grid = _pairs(each(output_size, 2, "output_size"), kernel_size, dilation, padding, stride)
    if input._shape[-2] % math.prod(grid.kernel):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={input._shape[-2]} and kernel_size={grid.kernel}."
        )
    if input._shape[-1] != math.prod(grid.out):
        raise RuntimeError(
            f"Given output_size={grid.size}, kernel_size={grid.kernel}, dilation={grid.dilation}, "
            f"padding={grid.padding}, stride={grid.stride}, expected size of input's dimension 2 to match the "
            f"calculated number of sliding blocks {grid.out[0]} * {grid.out[1]} = {math.prod(grid.out)}, but got "
            f"input.size(2)={input._shape[-1]}."
        )
    x = input.unsqueeze(0) if input.ndim == 2 else input
    y: Tensor = _col2im(x, grid=grid)
    return y.squeeze(0) if input.ndim == 2 else y
