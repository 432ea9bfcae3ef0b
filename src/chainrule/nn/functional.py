"""The functions behind the layers, for those who keep their parameters themselves.

Source: ``torch.nn.functional``.

>>> import chainrule as torch
>>> import chainrule.nn.functional as F
>>> F.softmax(torch.tensor([1.0, 1.0]), dim=0)
tensor([0.5000, 0.5000])
"""

from __future__ import annotations

from ..creation import arange
from ..errors import explained
from ..ops import activation as _activation
from ..ops import loss as _loss
from ..ops.activation import log_softmax, sigmoid, softmax, softplus
from ..ops.convolution import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    fold,
    unfold,
)
from ..ops.linalg import linear
from ..ops.loss import _reduction, aligned, legacy_reduction
from ..ops.losses import (
    cosine_embedding_loss,
    gaussian_nll_loss,
    hinge_embedding_loss,
    huber_loss,
    kl_div,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    poisson_nll_loss,
    smooth_l1_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from ..ops.normalisation import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    rms_norm,
)
from ..ops.padding import pad
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
from ..tensor import Tensor

__all__ = [
    "batch_norm", "binary_cross_entropy", "binary_cross_entropy_with_logits", "celu", "conv1d", "conv2d", "conv3d",
    "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cosine_embedding_loss", "cosine_similarity",
    "cross_entropy", "elu", "fold", "gaussian_nll_loss", "gelu", "glu", "group_norm", "hardshrink", "hardsigmoid",
    "hardswish", "hardtanh", "hinge_embedding_loss", "huber_loss", "instance_norm", "kl_div", "l1_loss",
    "layer_norm", "leaky_relu", "linear", "local_response_norm", "log_softmax", "logsigmoid", "margin_ranking_loss",
    "mish", "mse_loss", "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss", "nll_loss",
    "normalize", "one_hot", "pad", "pairwise_distance", "poisson_nll_loss", "prelu", "relu", "relu6", "relu_",
    "rms_norm", "rrelu", "selu", "sigmoid", "silu", "smooth_l1_loss", "soft_margin_loss", "softmax", "softmin",
    "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold", "triplet_margin_loss",
    "triplet_margin_with_distance_loss", "unfold",
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
    else:
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


# --- losses ----------------------------------------------------------------------------------------------


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
