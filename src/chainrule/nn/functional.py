"""The functions behind the layers, for those who keep their parameters themselves.

Source: ``torch.nn.functional``.

>>> import chainrule as torch
>>> import chainrule.nn.functional as F
>>> F.softmax(torch.tensor([1.0, 1.0]), dim=0)
tensor([0.5000, 0.5000])
"""

from __future__ import annotations

import warnings
from typing import Any

from ..creation import arange, zeros_like
from ..errors import explained
from ..ops import activation as _activation
from ..ops import loss as _loss
from ..ops.activation import log_softmax, sigmoid, softmax, softplus
from ..ops.adaptive import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    fractional_max_pool2d,
    fractional_max_pool3d,
)
from ..ops.alignment import ctc_loss
from ..ops.attention import multi_head_attention_forward, scaled_dot_product_attention
from ..ops.convolution import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from ..ops.distances import pdist
from ..ops.dropout import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
)
from ..ops.embedding import embedding, embedding_bag
from ..ops.linalg import linear
from ..ops.loss import _reduction, aligned, legacy_reduction
from ..ops.losses import gaussian_nll_loss, huber_loss, kl_div, poisson_nll_loss, smooth_l1_loss
from ..ops.margins import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from ..ops.native import conv_tbc
from ..ops.normalisation import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    rms_norm,
)
from ..ops.padding import pad
from ..ops.pairs import bilinear
from ..ops.patches import fold, unfold
from ..ops.pixels import channel_shuffle, pixel_shuffle, pixel_unshuffle
from ..ops.pooling import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from ..ops.random import fresh
from ..ops.resampling import interpolate, upsample, upsample_bilinear, upsample_nearest
from ..ops.sampler import affine_grid, grid_sample
from ..ops.trigonometric import tanh
from ..ops.units import (
    celu,
    cosine_similarity,
    elu,
    gelu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    logsigmoid,
    mish,
    normalize,
    pairwise_distance,
    prelu,
    relu6,
    rrelu,
    selu,
    silu,
    softmin,
    softshrink,
    softsign,
    tanhshrink,
    threshold,
)  # fmt: skip
from ..ops.unpooling import max_unpool1d, max_unpool2d, max_unpool3d
from ..random import drawing
from ..tensor import Tensor
from ..transforms import batches

_threshold = threshold

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool2d", "adaptive_max_pool3d", "affine_grid", "alpha_dropout", "avg_pool1d", "avg_pool2d",
    "avg_pool3d", "batch_norm", "bilinear", "binary_cross_entropy", "binary_cross_entropy_with_logits", "celu",
    "celu_", "channel_shuffle", "conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d", "cosine_embedding_loss", "cosine_similarity", "cross_entropy", "ctc_loss", "dropout",
    "dropout1d", "dropout2d", "dropout3d", "elu", "elu_", "embedding", "embedding_bag", "feature_alpha_dropout",
    "fold", "fractional_max_pool2d", "fractional_max_pool3d", "gaussian_nll_loss", "gelu", "glu", "grid_sample",
    "group_norm", "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "hardtanh_",
    "hinge_embedding_loss", "huber_loss", "instance_norm", "interpolate", "kl_div", "l1_loss", "layer_norm",
    "leaky_relu", "leaky_relu_", "linear", "linear_cross_entropy", "local_response_norm", "log_softmax",
    "logsigmoid", "lp_pool1d", "lp_pool2d", "lp_pool3d", "margin_ranking_loss", "max_pool1d", "max_pool2d",
    "max_pool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d", "mish", "mse_loss",
    "multi_head_attention_forward", "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss",
    "nll_loss", "normalize", "one_hot", "pad", "pairwise_distance", "pdist", "pixel_shuffle", "pixel_unshuffle",
    "poisson_nll_loss", "prelu", "relu", "relu6", "relu_", "rms_norm", "rrelu", "rrelu_",
    "scaled_dot_product_attention", "selu", "selu_", "sigmoid", "silu", "smooth_l1_loss", "soft_margin_loss",
    "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold", "threshold_",
    "triplet_margin_loss", "triplet_margin_with_distance_loss", "unfold", "upsample", "upsample_bilinear",
    "upsample_nearest",
]  # fmt: skip


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(input, 0)``, any shape, with slope 0 at 0; with ``inplace`` written into ``input``.

    >>> import chainrule as torch
    >>> relu(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return input.relu_() if inplace else _activation.relu(input)


def relu_(input: Tensor) -> Tensor:
    """``max(input, 0)`` written into ``input``."""
    return input.relu_()


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """:func:`elu` written into ``input``."""
    return elu(input, alpha, inplace=True)


def selu_(input: Tensor) -> Tensor:
    """:func:`selu` written into ``input``."""
    return selu(input, inplace=True)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """:func:`celu` written into ``input``."""
    return celu(input, alpha, inplace=True)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """:func:`leaky_relu` written into ``input``."""
    return leaky_relu(input, negative_slope, inplace=True)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """:func:`hardtanh` written into ``input``."""
    return hardtanh(input, min_val, max_val, inplace=True)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """:func:`threshold` written into ``input``."""
    return _threshold(input, threshold, value, inplace=True)


def rrelu_(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Tensor:
    """:func:`rrelu` written into ``input``."""
    return rrelu(input, lower, upper, training, inplace=True)


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """A random draw from the classes along ``dim`` that can be differentiated: ``softmax((logits + noise) / tau)``.

    The noise makes the largest entry class i with probability ``softmax(logits)[i]``; the smaller ``tau``, the closer
    the result is to a 1 there.  ``hard`` gives that 1, with the gradient of the soft result.

    >>> import chainrule as torch
    >>> gumbel_softmax(torch.tensor([0.0, 100.0]), hard=True)
    tensor([0., 1.])
    """
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    noise = fresh(logits._shape, lambda shape: drawing(None).exponential(shape, logits._dtype, 1.0))
    soft: Tensor = ((logits - noise.log()) / tau).softmax(dim)
    if not hard:
        return soft
    index = soft.max(dim, keepdim=True)[1]
    sharp: Tensor = zeros_like(logits).scatter(dim, index, 1.0) - soft.detach() + soft
    return sharp


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """A 1 at the position that each class number gives, else 0: shape (...) to (..., num_classes), int64.

    ``num_classes`` is one more than the largest number unless given.  RuntimeError for numbers that are not
    int64, or not from 0 to ``num_classes`` - 1.

    >>> import chainrule as torch
    >>> one_hot(torch.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    if tensor._dtype != "int64":
        raise explained(
            RuntimeError(
                "one_hot is only applicable to index tensor of type LongTensor."
                f"\nThese numbers are {tensor.dtype}; convert them: tensor.long()."
            )
        )
    if not tensor.numel():
        if num_classes < 1:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
    elif num_classes < 1 or not batches(tensor):
        if tensor.min() < 0:
            raise RuntimeError("Class values must be non-negative.")
        most = int(tensor.max())
        num_classes = most + 1 if num_classes == -1 else num_classes
        if most >= num_classes:
            raise explained(
                RuntimeError(
                    "Class values must be smaller than num_classes."
                    f"\nThe largest is {most}, so num_classes must be at least {most + 1}."
                )
            )
    return (tensor.unsqueeze(-1) == arange(num_classes)).long()


# --- losses ---


def _reduced(each: Tensor, reduction: str, weight: Tensor | None = None) -> Tensor:
    """``each``, its sum or its mean; the mean over ``weight`` if it is given."""
    if reduction == "none":
        return each
    if reduction == "sum":
        return each.sum()
    return each.mean() if weight is None else each.sum() / weight.sum()


def mse_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The mean of ``(input - target)²`` (weighted by ``weight``); "sum" the sum, "none" each.

    ``input``, ``target`` and ``weight`` have one shape.  ValueError for another ``reduction``.

    >>> import chainrule as torch
    >>> mse_loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
    tensor(2.)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if weight is None:
        return _loss.mse_loss(input, target, reduction=reduction)
    input, target = aligned(input, target)
    _check_weight(weight, input)
    return _reduced((input - target) ** 2 * weight, _reduction(reduction), weight)


def l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The mean of ``|input - target|`` (weighted by ``weight``); "sum" the sum, "none" each.

    >>> import chainrule as torch
    >>> l1_loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
    tensor(1.)
    """
    reduction = _reduction(legacy_reduction(size_average, reduce, reduction))
    input, target = aligned(input, target)
    each = (input - target).abs()
    if weight is None:
        return _reduced(each, reduction)
    _check_weight(weight, input)
    return _reduced(each * weight, reduction, weight)


def _check_weight(weight: Tensor, input: Tensor) -> None:
    if weight._shape != input._shape:
        raise explained(
            ValueError(
                "Weights and input must have the same size."
                f"\nThe weights have shape {list(weight.shape)}, the input {list(input.shape)}."
            )
        )


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``-input[i, target[i]]``, weighted by class and averaged: the loss of log-probabilities.

    ``input`` is (classes,), (n, classes) or (n, classes, d1, ...), ``target`` the same without the classes,
    int64; targets equal to ``ignore_index`` do not count.

    >>> import chainrule as torch
    >>> nll_loss(torch.tensor([[-0.5, -1.0]]), torch.tensor([0]))
    tensor(0.5000)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    return _loss.nll_loss(input, target, weight, ignore_index=ignore_index, reduction=reduction)


def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """The loss of any real scores: :func:`nll_loss` of ``log_softmax(input)``.

    ``target`` holds class numbers, or probabilities of input's shape.

    >>> import chainrule as torch
    >>> cross_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([0]))
    tensor(0.6931)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    return _loss.cross_entropy(
        input, target, weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing
    )


def linear_cross_entropy(
    input: Tensor, linear_weight: Tensor, target: Tensor, *, linear_bias: Tensor | None = None,
    weight: Tensor | None = None, reduction: str = "mean", ignore_index: int | None = None,
    label_smoothing: float = 0.0, options: Any = None,
) -> Tensor:  # fmt: skip
    """:func:`cross_entropy` of the scores ``input @ linear_weight.mT + linear_bias``.

    ``input`` is (features,) or (n, features), ``linear_weight`` (classes, ..., features), ``linear_bias`` as it without
    the last axis.  ``options``, by which PyTorch saves memory, change nothing here.  RuntimeError for shapes that do
    not fit.

    >>> import chainrule as torch
    >>> linear_cross_entropy(torch.ones(1, 3), torch.ones(2, 3), torch.tensor([0]))
    tensor(0.6931)
    """
    if not 1 <= input.ndim <= 2:
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.ndim}")
    if linear_weight.ndim < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {linear_weight.ndim}")
    features, shape = input._shape[-1], tuple(linear_weight._shape[:-1])
    if features != linear_weight._shape[-1]:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{features} and {linear_weight._shape[-1]}, respectively"
        )
    if linear_bias is not None and linear_bias._shape != shape:
        raise RuntimeError(f"expected linear_bias shape {shape}, got {tuple(linear_bias.shape)}")
    if len(shape) > 1 and input.ndim == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} requires batched input, (N, "
            f"{features}), got unbatched input with shape {tuple(input.shape)}"
        )
    bias = None if linear_bias is None else linear_bias.reshape(-1)
    scores = linear(input, linear_weight.reshape(-1, features), bias).reshape(*input._shape[:-1], *shape)
    if ignore_index is not None and target._shape == scores._shape:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    return cross_entropy(
        scores, target, weight=weight, reduction=reduction, label_smoothing=label_smoothing,
        ignore_index=-100 if ignore_index is None else ignore_index,
    )  # fmt: skip


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``-(y * log(x) + (1 - y) * log(1 - x))`` of probabilities x; no logarithm counts as less than -100.

    RuntimeError where ``input`` leaves [0, 1].  :func:`binary_cross_entropy_with_logits` loses no digits.

    >>> import chainrule as torch
    >>> binary_cross_entropy(torch.tensor([0.5]), torch.tensor([1.0]))
    tensor(0.6931)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    return _loss.binary_cross_entropy(input, target, weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """:func:`binary_cross_entropy` of ``sigmoid(input)``, without overflow for any real scores.

    ``pos_weight`` weighs the positive answers, and broadcasts.

    >>> import chainrule as torch
    >>> binary_cross_entropy_with_logits(torch.tensor([0.0]), torch.tensor([1.0]))
    tensor(0.6931)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    return _loss.binary_cross_entropy_with_logits(input, target, weight, reduction, pos_weight)
