"""Convolution and its transpose, in any number of axes: windows laid out as columns, times a matrix.

The three operations of :class:`Convolution` are each other's derivatives: with x, the weight w and the result y, the
number ``sum(y * convolution(x, w))`` is linear in all three, and each operation is its slope in one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import errors
from ..errors import explained
from ..primitive import Primitive, conj
from ..tensor import Tensor
from .columns import Grid, Ints, convolved, correlated, laid, spread_back
from .kinds import export_all
from .padding import pad
from .whole import whole

_LINE = laid((3,), (2,), (1,), (1,), (6,))
_PLANE = laid((2, 2), (1, 2), (0, 1), (2, 1), (4, 3))


class Convolution(Primitive):
    """Sums over windows of x (n, channels, *size), weighted by w (out, channels / groups, *kernel)."""

    formula = False
    forward = lambda xp, x, w, *, grid, groups: convolved(x, w, grid, groups)
    vjp_x = lambda xp, g, w, grid, groups: _transposed(g, conj(xp, w), grid=grid, groups=groups)
    vjp_w = lambda xp, g, x, grid, groups: _weights(conj(xp, x), g, grid=grid, groups=groups)
    linear = ("x", "w")
    samples = [
        (((2, 4, 6), (2, 2, 3)), {"grid": _LINE, "groups": 2}), (((1, 2, 4, 3), (3, 2, 2, 2)), {"grid": _PLANE, "groups": 1}),
    ]  # fmt: skip


class BiasedConvolution(Primitive):
    """:class:`Convolution` plus b, a number for each channel."""

    formula = False
    forward = lambda xp, x, w, b, *, grid, groups: convolved(x, w, grid, groups, b)
    vjp_x = Convolution.vjp_x
    vjp_w = Convolution.vjp_w
    vjp_b = lambda xp, g, grid: xp.sum(g, axis=(-len(grid.out) - 2, *range(-len(grid.out), 0)), keepdims=False)
    jvp_x = lambda xp, t, w, grid, groups: _convolution(t, w, grid=grid, groups=groups)
    jvp_w = lambda xp, t, x, grid, groups: _convolution(x, t, grid=grid, groups=groups)
    jvp_b = lambda xp, t, out, grid: xp.broadcast_to(xp.reshape(t, (*t.shape, *(1,) * len(grid.out))), out.shape)
    samples = [
        (((2, 4, 6), (2, 2, 3), (2,)), {"grid": _LINE, "groups": 2}),
        (((1, 2, 4, 3), (3, 2, 2, 2), (3,)), {"grid": _PLANE, "groups": 1}),
    ]  # fmt: skip


class ConvolutionTranspose(Primitive):
    """The slope of :class:`Convolution` in x: y's entries, weighted by w, added up over the windows."""

    formula = False
    forward = lambda xp, y, w, *, grid, groups: spread_back(y, w, grid, groups)
    vjp_y = lambda xp, g, w, grid, groups: _convolution(g, conj(xp, w), grid=grid, groups=groups)
    vjp_w = lambda xp, g, y, grid, groups: _weights(g, conj(xp, y), grid=grid, groups=groups)
    linear = ("y", "w")
    samples = [
        (((2, 2, 3), (2, 2, 3)), {"grid": _LINE, "groups": 2}), (((1, 3, 2, 2), (3, 2, 2, 2)), {"grid": _PLANE, "groups": 1}),
    ]  # fmt: skip


class ConvolutionWeights(Primitive):
    """The slope of :class:`Convolution` in w: x's windows, weighted by y, added up over the batch."""

    formula = False
    forward = lambda xp, x, y, *, grid, groups: correlated(x, y, grid, groups)
    vjp_x = lambda xp, g, y, grid, groups: _transposed(conj(xp, y), g, grid=grid, groups=groups)
    vjp_y = lambda xp, g, x, grid, groups: _convolution(conj(xp, x), g, grid=grid, groups=groups)
    linear = ("x", "y")
    samples = [
        (((2, 4, 6), (2, 2, 3)), {"grid": _LINE, "groups": 2}), (((1, 2, 4, 3), (1, 3, 2, 2)), {"grid": _PLANE, "groups": 1}),
    ]  # fmt: skip


_convolution: Primitive = Convolution()
_convolution_and_bias: Primitive = BiasedConvolution("ConvolutionBackward0")
_transposed: Primitive = ConvolutionTranspose("ConvolutionBackward0")
ConvolutionTranspose()
_weights: Primitive = ConvolutionWeights()


# --- as users call them ---


def each(value: int | Sequence[int], rank: int, name: str) -> Ints:
    """``value`` for each of ``rank`` axes."""
    if isinstance(value, int):
        return (value,) * rank
    value = tuple(value)
    if len(value) not in (1, rank):
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {rank} values to match the convolution "
            f"dimensions, but got {name}={list(value)}"
        )
    return value * rank if len(value) == 1 else value


_C_NAMES = {
    "float16": "c10::Half", "float32": "float", "float64": "double", "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>", "int8": "signed char", "uint8": "unsigned char", "int16": "short int",
    "int32": "int", "int64": "long int", "bool": "bool",
}  # fmt: skip


def _batched(name: str, x: Tensor, w: Tensor, bias: Tensor | None, rank: int) -> Tensor:
    try:
        kinds = [x._dtype.name, w._dtype.name]
    except AttributeError:
        raise errors.not_tensor(name, input=x, weight=w) from None
    if x.ndim not in (rank + 1, rank + 2):
        raise explained(
            RuntimeError(
                f"Expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input to {name}, but got input of size: "
                f"{list(x.shape)}\nThe axes are (batch, channels, ...); the first may be left out."
            )
        )
    if x._dtype != w._dtype:
        first = "Input type ({}) and bias type ({}) should be the same".format(*(_C_NAMES.get(k, k) for k in kinds))
        if bias is None or "transpose" in name:
            first = f"expected scalar type {errors.scalar_type(x._dtype)} but found {errors.scalar_type(w._dtype)}"
        raise explained(RuntimeError(f"{first}\nThe input is {x.dtype}, the weight {w.dtype}: input.to(weight.dtype)."))
    return x.unsqueeze(0) if x.ndim == rank + 1 else x


def _biased(prim: Primitive, x: Tensor, weight: Tensor, bias: Tensor, **params: Any) -> Tensor:
    y: Tensor = prim(x, weight, **params)
    return y + bias.reshape(-1, *(1,) * (y.ndim - 2))


_as_one = whole("ConvolutionBackward0")(_biased)


def _finished(
    prim: Primitive, x: Tensor, weight: Tensor, bias: Tensor | None, input: Tensor, rank: int, **params: Any
) -> Tensor:
    if bias is None:
        y: Tensor = prim(x, weight, **params)
    elif prim is _convolution and x._dtype.kind != "c" and x._dtype == bias._dtype and bias.ndim == 1:
        y = _convolution_and_bias(x, weight, bias, **params)
    else:  # PyTorch adds to complex numbers in a step of its own
        y = (_biased if x._dtype.kind == "c" else _as_one)(prim, x, weight, bias, **params)
    return y.squeeze(0) if input.ndim == rank + 1 else y


def _convolve(
    rank: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, groups: int
) -> Tensor:
    x = _batched(f"conv{rank}d", input, weight, bias, rank)
    kernel = tuple(weight._shape[2:])
    steps, gaps = each(stride, rank, "stride"), each(dilation, rank, "dilation")
    if padding == "same":
        if any(s != 1 for s in steps):
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        total = [d * (k - 1) for d, k in zip(gaps, kernel, strict=True)]
        if any(t % 2 for t in total):
            x = pad(x, [n for t in reversed(total) for n in (0, t % 2)])
        around: Ints = tuple(t // 2 for t in total)
    elif isinstance(padding, str):
        if padding != "valid":
            raise RuntimeError(f"Invalid padding string: '{padding}'")
        around = (0,) * rank
    else:
        around = each(padding, rank, "padding")
    if x._shape[1] != weight._shape[1] * groups:
        raise explained(
            RuntimeError(
                f"Given groups={groups}, weight of size {list(weight.shape)}, expected input{list(x.shape)} to have "
                f"{weight._shape[1] * groups} channels, but got {x._shape[1]} channels instead"
                "\nThe weight is (out_channels, in_channels / groups, ...)."
            )
        )
    grid = laid(kernel, steps, around, gaps, tuple(x._shape[2:]))
    if any(n < r for n, r in zip(grid.padded, grid.reach, strict=True)):
        shown, reach = (" x ".join(map(str, v)) for v in (grid.padded, grid.reach))
        raise explained(
            RuntimeError(
                f"Calculated padded input size per channel: ({shown}). Kernel size: ({reach}). Kernel size can't be "
                "greater than actual input size\nA larger padding would make room for it."
            )
        )
    return _finished(_convolution, x, weight, bias, input, rank, grid=grid, groups=groups)


def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0, dilation: int | Sequence[int] = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Weighted sums over windows: ``input`` (n, channels, length) with ``weight`` (out, channels / groups, kernel).

    Windows are ``stride`` apart, their entries ``dilation``; ``padding`` zeros are added at both ends ("same": as
    many as keep the length).  The batch axis may be left out.  RuntimeError for sizes that do not fit.

    Source: ``torch.nn.functional.conv1d``.

    >>> import chainrule as torch
    >>> conv1d(torch.tensor([[1.0, 2.0, 4.0, 8.0]]), torch.tensor([[[-1.0, 1.0]]]))
    tensor([[1., 2., 4.]])
    """
    return _convolve(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0, dilation: int | Sequence[int] = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """:func:`conv1d` in two axes: (n, channels, height, width), with kernels (height, width).

    Source: ``torch.nn.functional.conv2d``.

    >>> import chainrule as torch
    >>> conv2d(torch.ones(1, 3, 3), torch.ones(1, 1, 2, 2))
    tensor([[[4., 4.],
             [4., 4.]]])
    """
    return _convolve(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0, dilation: int | Sequence[int] = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """:func:`conv1d` in three axes: (n, channels, depth, height, width).

    Source: ``torch.nn.functional.conv3d``.

    >>> import chainrule as torch
    >>> conv3d(torch.ones(1, 2, 2, 2), torch.ones(1, 1, 2, 2, 2))
    tensor([[[[8.]]]])
    """
    return _convolve(3, input, weight, bias, stride, padding, dilation, groups)


def _spread(
    rank: int, input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, more: Any, groups: int,
    dilation: Any,
) -> Tensor:  # fmt: skip
    x = _batched(f"conv_transpose{rank}d", input, weight, bias, rank)
    names = ("stride", "padding", "output_padding", "dilation")
    steps, around, extra, gaps = (
        each(v, rank, n) for v, n in zip((stride, padding, more, dilation), names, strict=True)
    )
    kernel = tuple(weight._shape[2:])
    if x._shape[1] != weight._shape[0]:
        raise explained(
            RuntimeError(
                f"Given transposed=1, weight of size {list(weight.shape)}, expected input{list(x.shape)} to have "
                f"{weight._shape[0]} channels, but got {x._shape[1]} channels instead"
                "\nThe weight is (in_channels, out_channels / groups, ...)."
            )
        )
    for s, e, d in zip(steps, extra, gaps, strict=True):
        if e >= s and e >= d:
            raise RuntimeError(
                "output padding must be smaller than either stride or dilation, but got output_padding: "
                f"{list(extra)} stride: {list(steps)} dilation: {list(gaps)}"
            )
    size = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(x._shape[2:], steps, around, gaps, kernel, extra, strict=True)
    )
    if min(size) < 1:
        before, after = (" x ".join(map(str, (1,) * (rank == 1) + s)) for s in (x._shape[2:], size))
        raise explained(RuntimeError(
            f"Given input size per channel: ({before}). Calculated output size per channel: ({after}). Output size is too "
            "small\nPadding takes entries off both ends of the result: there are not so many."
        ))  # fmt: skip
    grid = Grid(kernel, steps, around, gaps, size, tuple(x._shape[2:]))
    return _finished(_transposed, x, weight, bias, input, rank, grid=grid, groups=groups)


def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0, output_padding: int | Sequence[int] = 0, groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:  # fmt: skip
    """The transpose of :func:`conv1d`: each entry spreads ``weight`` (channels, out / groups, kernel) over a window.

    ``output_padding`` more entries stand at the far end of the result.  RuntimeError for sizes that do not fit.

    Source: ``torch.nn.functional.conv_transpose1d``.

    >>> import chainrule as torch
    >>> conv_transpose1d(torch.tensor([[1.0, 2.0]]), torch.tensor([[[1.0, 10.0]]]))
    tensor([[ 1., 12., 20.]])
    """
    return _spread(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0, output_padding: int | Sequence[int] = 0, groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:  # fmt: skip
    """The transpose of :func:`conv2d`.

    Source: ``torch.nn.functional.conv_transpose2d``.

    >>> import chainrule as torch
    >>> conv_transpose2d(torch.ones(1, 1, 1), torch.ones(1, 1, 2, 2)).shape
    torch.Size([1, 2, 2])
    """
    return _spread(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0, output_padding: int | Sequence[int] = 0, groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Tensor:  # fmt: skip
    """The transpose of :func:`conv3d`.

    Source: ``torch.nn.functional.conv_transpose3d``.

    >>> import chainrule as torch
    >>> conv_transpose3d(torch.ones(1, 1, 1, 1), torch.ones(1, 1, 2, 2, 2)).shape
    torch.Size([1, 2, 2, 2])
    """
    return _spread(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


export_all(conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d, method=False)
