"""Normalisation and convolution under the names that PyTorch's own layers are built on.

They take their arguments in another order than ``torch.nn.functional``'s, and give mean and deviation too, which are
constants of differentiation, but for groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..outputs import SCALAR, takes_out
from ..tensor import Tensor, wrap
from . import normalisation
from .convolution import _convolve, _spread
from .kinds import export, export_all
from .whole import whole


def _spread_of(x: Tensor, axis: tuple[int, ...], eps: float) -> tuple[Tensor, Tensor]:
    """The mean over ``axis``, which is kept, and one over the standard deviation."""
    mean = x.mean(axis, keepdim=True)
    return mean, (x.var(axis, correction=0, keepdim=True) + eps).rsqrt()


@whole("NativeLayerNormBackward0")
def native_layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """``layer_norm``, the means, and one over the standard deviations, which have no gradient, as in PyTorch.

    Source: ``torch.native_layer_norm``.

    >>> import chainrule as torch
    >>> torch.native_layer_norm(torch.tensor([[1.0, 3.0]]), [2], None, None, 0.0)
    (tensor([[-1.,  1.]]), tensor([[2.]]), tensor([[1.]]))
    """
    out = normalisation.layer_norm(input, normalized_shape, weight, bias, eps)
    return (out, *_spread_of(input.detach(), tuple(range(-len(normalized_shape), 0)), eps))


@whole("NativeGroupNormBackward0")
def native_group_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, N: int, C: int, HxW: int, group: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """``group_norm`` of ``N`` samples of ``C`` channels of ``HxW``, the means, and one over the standard deviations.

    Source: ``torch.native_group_norm``.
    """
    x = input.reshape(N, group, C // group * HxW)
    mean, rstd = _spread_of(x, (-1,), eps)
    out = normalisation._standardise(x, axis=(-1,), eps=eps).reshape(*input._shape)
    out = normalisation._affine(out, weight, bias, (C, *(1,) * (input.ndim - 2)))
    return out, mean.squeeze(-1), rstd.squeeze(-1)


@whole("NativeBatchNormBackward0")
@takes_out(SCALAR)
def native_batch_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None,
    running_var: Tensor | None, training: bool, momentum: float, eps: float, *, out: Any = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """``batch_norm``, and from training the batch's means and one over its standard deviations, else nothing.

    Source: ``torch.native_batch_norm``.
    """
    out = normalisation.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    if not training:
        return out, input.new_empty(0), input.new_empty(0)
    mean, rstd = _spread_of(input.detach(), (0, *range(2, input.ndim)), eps)
    return out, mean.reshape(-1), rstd.reshape(-1)


@whole("NativeBatchNormLegitBackward0")
@takes_out(SCALAR)
def native_batch_norm_legit(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, *rest: Any, out: Any = None
) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`native_batch_norm`, of which the running mean and variance may be left out.

    Source: ``torch._native_batch_norm_legit``.
    """
    running = rest if len(rest) == 5 else (None, None, *rest)
    return native_batch_norm(input, weight, bias, *running)


@whole("BatchNormWithUpdateBackward0")
def batch_norm_with_update(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor, running_var: Tensor,
    momentum: float, eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """:func:`native_batch_norm` in training, and a reserve that is empty.  Source: ``torch._batch_norm_with_update``."""
    found = native_batch_norm(input, weight, bias, running_mean, running_var, True, momentum, eps)
    return (*found, wrap(np.zeros(0, np.uint8)))


def batch_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None,
    running_var: Tensor | None, training: bool, momentum: float, eps: float, cudnn_enabled: bool,
) -> Tensor:  # fmt: skip
    """Each channel shifted to mean 0 and scaled to variance 1.  Source: ``torch.batch_norm``."""
    return normalisation.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, running_mean: Tensor | None,
    running_var: Tensor | None, use_input_stats: bool, momentum: float, eps: float, cudnn_enabled: bool,
) -> Tensor:  # fmt: skip
    """:func:`batch_norm` of each sample alone.  Source: ``torch.instance_norm``."""
    return normalisation.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


def layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5, cudnn_enable: bool = True,
) -> Tensor:  # fmt: skip
    """The last axes shifted to mean 0 and scaled to variance 1.  Source: ``torch.layer_norm``."""
    return normalisation.layer_norm(input, normalized_shape, weight, bias, eps)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:  # fmt: skip
    """Groups of channels shifted to mean 0 and scaled to variance 1.  Source: ``torch.group_norm``."""
    return normalisation.group_norm(input, num_groups, weight, bias, eps)


def convolution(
    input: Tensor, weight: Tensor, bias: Tensor | None, stride: Sequence[int], padding: Sequence[int],
    dilation: Sequence[int], transposed: bool, output_padding: Sequence[int], groups: int,
) -> Tensor:  # fmt: skip
    """A convolution over as many axes as ``weight`` has beyond the first two, or its transpose.

    Source: ``torch.convolution``.

    >>> import chainrule as torch
    >>> x, w = torch.tensor([[[1.0, 2.0, 4.0]]]), torch.tensor([[[-1.0, 1.0]]])
    >>> torch.convolution(x, w, None, [1], [0], [1], False, [0], 1)
    tensor([[[1., 2.]]])
    """
    rank = weight.ndim - 2
    if transposed:
        return _spread(rank, input, weight, bias, stride, padding, output_padding, groups, dilation)
    return _convolve(rank, input, weight, bias, stride, padding, dilation, groups)


def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """A convolution along the first axis of ``input`` (time, n, channels), by ``weight`` (kernel, channels, out).

    Source: ``torch.conv_tbc``.

    >>> import chainrule as torch
    >>> torch.conv_tbc(torch.ones(3, 1, 1), torch.ones(2, 1, 1), torch.zeros(1)).flatten()
    tensor([2., 2.])
    """
    found = _convolve(1, input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, 1, pad, 1, 1)
    return found.permute(2, 0, 1)


export_all(
    native_layer_norm, native_group_norm, native_batch_norm, batch_norm, instance_norm, layer_norm, group_norm,
    convolution, conv_tbc, method=False,
)  # fmt: skip
export("_native_batch_norm_legit", native_batch_norm_legit, method=False)
export("_batch_norm_with_update", batch_norm_with_update, method=False)
