"""A batch normalisation that no longer learns, worked into the layer before it."""

from __future__ import annotations

import copy
from typing import TypeVar

from ...creation import ones_like, zeros_like
from ...tensor import Tensor
from ..batchnorm import _BatchNorm
from ..conv import _ConvNd
from ..linear import Linear
from ..parameter import Parameter

Conv = TypeVar("Conv", bound=_ConvNd)


def fuse_conv_bn_eval(conv: Conv, bn: _BatchNorm, transpose: bool = False) -> Conv:
    """A convolution that does what ``conv`` and then ``bn`` do; ``transpose`` for a transposed one.

    AssertionError unless both are in evaluation and ``bn`` has running statistics.

    Source: ``torch.nn.utils.fuse_conv_bn_eval``.

    >>> import chainrule as torch
    >>> conv, norm = torch.nn.Conv1d(1, 2, 3).eval(), torch.nn.BatchNorm1d(2).eval()
    >>> torch.nn.utils.fuse_conv_bn_eval(conv, norm)
    Conv1d(1, 2, kernel_size=(3,), stride=(1,))
    """
    if conv.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")
    fused = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def fuse_conv_bn_weights(
    conv_w: Tensor, conv_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor | None,
    bn_b: Tensor | None, transpose: bool = False,
) -> tuple[Parameter, Parameter]:  # fmt: skip
    """Weight and bias of the fused convolution, from those of both layers.

    Source: ``torch.nn.utils.fuse_conv_bn_weights``.
    """
    bn_w = ones_like(bn_rm) if bn_w is None else bn_w
    shape = [1] * conv_w.ndim
    shape[1 if transpose else 0] = -1
    return _fused(conv_w, conv_b, bn_rm, (bn_rv + bn_eps).rsqrt() * bn_w, bn_b, shape)


def fuse_linear_bn_eval(linear: Linear, bn: _BatchNorm) -> Linear:
    """A linear layer that does what ``linear`` and then ``bn`` do.

    AssertionError unless both are in evaluation, the features agree, and ``bn`` has running statistics.

    Source: ``torch.nn.utils.fuse_linear_bn_eval``.

    >>> import chainrule as torch
    >>> torch.nn.utils.fuse_linear_bn_eval(torch.nn.Linear(3, 2).eval(), torch.nn.BatchNorm1d(2).eval())
    Linear(in_features=3, out_features=2, bias=True)
    """
    if linear.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.num_features not in (linear.out_features, 1):
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1, got linear.out_features="
            f"{linear.out_features} and bn.num_features={bn.num_features}"
        )
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")
    fused = copy.deepcopy(linear)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused


def fuse_linear_bn_weights(
    linear_w: Tensor, linear_b: Tensor | None, bn_rm: Tensor, bn_rv: Tensor, bn_eps: float, bn_w: Tensor | None,
    bn_b: Tensor | None,
) -> tuple[Parameter, Parameter]:  # fmt: skip
    """Weight and bias of the fused linear layer, from those of both layers.

    Source: ``torch.nn.utils.fuse_linear_bn_weights``.
    """
    bn_w = ones_like(bn_rm) if bn_w is None else bn_w
    return _fused(linear_w, linear_b, bn_rm, (bn_rv + bn_eps).rsqrt() * bn_w, bn_b, [-1, 1])


def _fused(
    w: Tensor, b: Tensor | None, mean: Tensor, scale: Tensor, shift: Tensor | None, shape: list[int]
) -> tuple[Parameter, Parameter]:
    """``(w x + b - mean) * scale + shift`` as one weight and one bias, in the dtypes of the layer's own."""
    old = zeros_like(mean) if b is None else b
    bias = (old - mean) * scale
    bias = bias if shift is None else bias + shift
    return (
        Parameter((w * scale.reshape(shape)).to(w.dtype), w.requires_grad),
        Parameter(bias.to(w.dtype if b is None else b.dtype), old.requires_grad),
    )
