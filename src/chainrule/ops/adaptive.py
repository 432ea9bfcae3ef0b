"""Pooling to a size that is asked for: windows as even as whole numbers allow, or at random places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import explained
from ..primitive import Primitive
from ..random import drawing
from ..tensor import Tensor
from . import sliding
from .kinds import export
from .pooling import AvgPool, MaxPool, maxima, per_axis, put_back, read, refuse_kinds
from .random import fresh

Ints = tuple[int, ...]

_avg = {1: AvgPool("AdaptiveAvgPool2DBackward0"), 3: AvgPool("AdaptiveAvgPool3DBackward0")}
_max = {1: MaxPool("AdaptiveMaxPool2DBackward0"), 3: MaxPool("AdaptiveMaxPool3DBackward0")}
_avg[2], _max[2] = _avg[1], _max[1]


def _wanted(function: str, rank: int, x: Tensor, output_size: Any, dims: str) -> Ints:
    """The lengths asked for; None leaves an axis as it is."""
    given = (output_size,) * rank if output_size is None or isinstance(output_size, int) else tuple(output_size)
    given = given * rank if len(given) == 1 else given
    if len(given) != rank:
        raise RuntimeError(f"{function}: output_size must be {rank}")
    if x.ndim not in (rank + 1, rank + 2):
        raise explained(
            RuntimeError(
                dims.format(got=list(x.shape), n=x.ndim)
                + "\nThe axes are (batch, channels, ...); the first may be left out."
            )
        )
    size = tuple(n if m is None else int(m) for n, m in zip(x._shape[x.ndim - rank :], given, strict=True))
    if min(size) < 0:
        shown = ", ".join(map(str, size))
        raise RuntimeError(
            f"{function}: elements of output_size must be greater than or equal to 0 but received {{{shown}}}"
        )
    return size


def _dims(function: str, rank: int, colon: str) -> str:
    if rank == 1:
        return (
            "Expected 2 to 3 dimensions, but got {n}-dimensional tensor for argument #1 'self' (while checking "
            f"arguments for {function})"
        )
    return f"{function}(): Expected {rank + 1}D or {rank + 2}D tensor, but got{colon} {{got}}"


def _mean(rank: int, x: Tensor, output_size: Any) -> Tensor:
    name = f"adaptive_avg_pool{rank}d"
    size = _wanted(name, rank, x, output_size, _dims(name, rank, ""))
    if all(m == 1 for m in size):
        return x.mean(tuple(range(-rank, 0)), keepdim=True)
    if math.prod(size) and 0 in x._shape[x.ndim - rank :]:
        raise explained(
            RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes "
                f"{list(x.shape)} with dimension {x._shape.index(0, x.ndim - rank)} being empty\nOf nothing there is no mean."
            )
        )
    refuse_kinds(x, "ciub", f"adaptive_avg_pool{min(max(rank, 2), 3)}d")
    return _avg[rank](x, over=sliding.even_averages(tuple(x._shape[x.ndim - rank :]), size))


def _largest(rank: int, x: Tensor, output_size: Any, indices: bool) -> Any:
    name = f"adaptive_max_pool{rank}d"
    size = _wanted(name, rank, x, output_size, _dims(name, rank, ":"))
    for d in range(x.ndim - rank, x.ndim):
        if not x._shape[d]:
            raise explained(
                RuntimeError(
                    f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes "
                    f"{list(x.shape)} with dimension {d} being empty\nOf nothing there is no largest."
                )
            )
    refuse_kinds(x, "ciub", "adaptive_max_pool3d_cpu" if rank == 3 else "adaptive_max_pool2d")
    over = tuple([sliding.even(n, m) for n, m in zip(x._shape[x.ndim - rank :], size, strict=True)])
    return maxima(_max[rank], x, over, indices)


def adaptive_avg_pool1d(input: Tensor, output_size: int | Sequence[int]) -> Tensor:
    """The means of ``output_size`` windows that cover the last axis of ``input`` (n, channels, length).

    Window i reaches from ``floor(i * n / m)`` to ``ceil((i + 1) * n / m)``; where m does not divide n they overlap.
    The batch axis may be left out.

    Source: ``torch.nn.functional.adaptive_avg_pool1d``.

    >>> import chainrule as torch
    >>> adaptive_avg_pool1d(torch.tensor([[1.0, 2.0, 6.0]]), 2)
    tensor([[1.5000, 4.0000]])
    """
    return _mean(1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: int | Sequence[int | None] | None) -> Tensor:
    """:func:`adaptive_avg_pool1d` over two axes; None in ``output_size`` leaves one as it is.

    Source: ``torch.nn.functional.adaptive_avg_pool2d``.

    >>> import chainrule as torch
    >>> adaptive_avg_pool2d(torch.arange(16.0).reshape(1, 4, 4), (2, 1))
    tensor([[[ 3.5000],
             [11.5000]]])
    """
    return _mean(2, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: int | Sequence[int | None] | None) -> Tensor:
    """:func:`adaptive_avg_pool2d` over three axes.  Source: ``torch.nn.functional.adaptive_avg_pool3d``."""
    return _mean(3, input, output_size)


def adaptive_max_pool1d(input: Tensor, output_size: int | Sequence[int], return_indices: bool = False) -> Any:
    """The largest entries of the windows of :func:`adaptive_avg_pool1d`; with ``return_indices`` where they are, too.

    Source: ``torch.nn.functional.adaptive_max_pool1d``.

    >>> import chainrule as torch
    >>> adaptive_max_pool1d(torch.tensor([[1.0, 2.0, 6.0]]), 2)
    tensor([[2., 6.]])
    """
    return _largest(1, input, output_size, return_indices)


def adaptive_max_pool2d(
    input: Tensor, output_size: int | Sequence[int | None] | None, return_indices: bool = False
) -> Any:
    """:func:`adaptive_max_pool1d` over two axes.  Source: ``torch.nn.functional.adaptive_max_pool2d``."""
    return _largest(2, input, output_size, return_indices)


def adaptive_max_pool3d(
    input: Tensor, output_size: int | Sequence[int | None] | None, return_indices: bool = False
) -> Any:
    """:func:`adaptive_max_pool1d` over three axes.  Source: ``torch.nn.functional.adaptive_max_pool3d``."""
    return _largest(3, input, output_size, return_indices)


def both_adaptive_max_pool1d(input: Tensor, output_size: int | Sequence[int]) -> tuple[Tensor, Tensor]:
    """The largest entries of windows that cover the last axis, and where they are.

    Source: ``torch.adaptive_max_pool1d``.
    """
    found: tuple[Tensor, Tensor] = _largest(1, input, output_size, True)
    return found


export("adaptive_avg_pool1d", adaptive_avg_pool1d, method=False)
export("adaptive_max_pool1d", both_adaptive_max_pool1d, method=False)


# --- windows at random places ---


class FractionalMaxPool(Primitive):
    """The entries of x at ``at``, which holds the places of the largest ones along the last axes as if they were one."""

    formula = False
    forward = lambda xp, x, at, *, rank: read(xp, x, at, rank)
    vjp_x = lambda xp, g, at, x_shape, rank: put_back(xp, g, at, tuple(x_shape[len(x_shape) - rank :]))
    linear = ("x",)
    samples = [(((1, 3, 4), [[[5, 0], [3, 11]]]), {"rank": 2})]


class FractionalPlaces(Primitive):
    """The places of the largest entries of windows that begin where ``u``, numbers from 0 to 1, lets them."""

    formula = False
    differentiable = False
    forward = lambda xp, x, u, *, kernel, size: chosen(x, u, kernel, size)
    samples = [(((1, 5, 4), [[0.3, 0.9]]), {"kernel": (2, 2), "size": (2, 2)})]


_fractional = {
    2: FractionalMaxPool("FractionalMaxPool2DBackward0"),
    3: FractionalMaxPool("FractionalMaxPool3DBackward0"),
}
_fractional_places = FractionalPlaces()


def starts(u: Any, n: int, kernel: int, m: int) -> Any:
    """Where ``m`` windows begin: steps of (n - kernel) / (m - 1), rounded to one side or the other as ``u`` says."""
    out = np.full((*u.shape, m), n - kernel, np.int64)
    if m > 1:
        alpha = u.dtype.type(n - kernel) / u.dtype.type(m - 1)
        i = np.arange(m - 1, dtype=u.dtype)
        out[..., :-1] = ((i + u[..., None]) * alpha).astype(np.int64) - (u * alpha).astype(np.int64)[..., None]
    return out


def chosen(x: Any, u: Any, kernel: Ints, size: Ints) -> Any:
    rank = len(kernel)
    lead, shape = x.shape[: x.ndim - rank], x.shape[x.ndim - rank :]
    order = range(rank - 1, -1, -1) if rank == 2 else range(rank)  # PyTorch draws for the width first, in a plane
    at: Any = 0
    for d, which in enumerate(order):
        each = starts(u[..., which], shape[d], kernel[d], size[d])[..., None] + np.arange(kernel[d])
        spread = [1] * (2 * rank)
        spread[d], spread[rank + d] = size[d], kernel[d]
        at = at * shape[d] + each.reshape(*lead, *spread)
    entries = at.reshape(*lead, math.prod(size), math.prod(kernel))
    values = np.take_along_axis(x.reshape(*lead, 1, math.prod(shape)), entries, -1)
    best = np.take_along_axis(entries, np.argmax(values, -1)[..., None], -1)
    return best.reshape(*lead, *size)


def _fractional_pool(
    rank: int, x: Tensor, kernel_size: Any, output_size: Any, output_ratio: Any, indices: bool, samples: Any
) -> Any:
    name = f"fractional_max_pool{rank}d"
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    kernel = per_axis(kernel_size, rank, name, "kernel_size")
    shape = tuple(x._shape[x.ndim - rank :])
    if output_size is None:
        ratios = (output_ratio,) * rank if isinstance(output_ratio, float) else tuple(output_ratio)
        if not all(0 < r < 1 for r in ratios):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")
        size = tuple(int(n * r) for n, r in zip(shape, ratios, strict=True))
    else:
        size = per_axis(output_size, rank, name, "output_size")
    for what, n, k, m in zip(("time", "height", "width")[-rank:], shape, kernel, size, strict=True):
        if m + k - 1 > n:
            raise explained(
                RuntimeError(
                    f"{name}(): pool {what} {k} too large relative to input {what} {n}"
                    f"\n{m} windows of {k}, each beginning at another entry, need {m + k - 1} entries."
                )
            )
    refuse_kinds(x, "ciub", f"{name}_out_frame")
    full = x if x.ndim == rank + 2 else x.unsqueeze(0)
    drawn = (*full._shape[:2], rank)
    if samples is None:
        samples = fresh(drawn, lambda shape: drawing(None).uniform(shape, x._dtype, 0.0, 1.0))
    u = samples[: drawn[0]].detach()  # there may be more than it takes
    at = _fractional_places(full.detach(), u, kernel=kernel, size=size)
    values = _fractional[rank](full, at, rank=rank)
    if x.ndim == rank + 1:
        values, at = values.squeeze(0), at.squeeze(0)
    return (values, at) if indices else values


def fractional_max_pool2d(
    input: Tensor, kernel_size: int | Sequence[int], output_size: int | Sequence[int] | None = None,
    output_ratio: float | Sequence[float] | None = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The largest entries of ``output_size`` windows at random places, the same number of entries apart on average.

    ``input`` is (n, channels, height, width).  ``output_ratio``, below 1, gives the size relative to input's.
    ``_random_samples`` (n, channels, 2), from 0 to 1, says where the windows are; otherwise it is drawn.

    Source: ``torch.nn.functional.fractional_max_pool2d``.

    >>> import chainrule as torch
    >>> fractional_max_pool2d(torch.arange(16.0).reshape(1, 4, 4), 2, output_size=3).shape
    torch.Size([1, 3, 3])
    """
    return _fractional_pool(2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)


def fractional_max_pool3d(
    input: Tensor, kernel_size: int | Sequence[int], output_size: int | Sequence[int] | None = None,
    output_ratio: float | Sequence[float] | None = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """:func:`fractional_max_pool2d` over three axes.  Source: ``torch.nn.functional.fractional_max_pool3d``."""
    return _fractional_pool(3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples)
