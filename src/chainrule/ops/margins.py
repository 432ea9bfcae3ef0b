"""Losses that ask for a margin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import scalar_type
from ..tensor import Tensor, wrap
from .kinds import only_floats
from .loss import CLASSES, _reduction, constants, legacy_reduction
from .losses import _mean, _softplus
from .places import within
from .units import pairwise_distance
from .whole import whole


@whole("SoftMarginLossBackward0")
def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``log(1 + exp(-target * input))`` for targets 1 and -1; the mean, sum, or each.

    ``input`` and ``target`` broadcast.

    Source: ``torch.nn.functional.soft_margin_loss``.

    >>> import chainrule as torch
    >>> soft_margin_loss(torch.tensor([0.0]), torch.tensor([1.0]))
    tensor(0.6931)
    """
    reduction = _reduction(legacy_reduction(size_average, reduce, reduction))
    constants("soft_margin_loss", target=target)
    return _mean(_softplus(-target * input), reduction)


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``max(0, margin - target * (input1 - input2))``: a target of 1 says that the first ranks higher, -1 lower.

    All three have as many dimensions, and broadcast; RuntimeError otherwise.

    Source: ``torch.nn.functional.margin_ranking_loss``.

    >>> import chainrule as torch
    >>> margin_ranking_loss(torch.tensor([2.0]), torch.tensor([3.0]), torch.tensor([1.0]))
    tensor(1.)
    """
    reduction = _reduction(legacy_reduction(size_average, reduce, reduction))
    if input1.ndim != input2.ndim or input1.ndim != target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.size()}, input2: {input2.size()}, target: {target.size()} "
        )
    return _mean((-target * (input1 - input2) + margin).clamp_min(0), reduction)


def _long(target: Tensor) -> None:
    if target._dtype != np.int64:
        raise RuntimeError(f"expected scalar type Long but found {scalar_type(target._dtype)}")


@whole("MultiMarginLossBackward0")
def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
    size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """How far each other class's score comes within ``margin`` of the target's, to the power ``p``, over the classes.

    ``input`` is (n, classes) or (classes,), ``target`` (n,) or () of class numbers, ``weight`` (classes,).
    ValueError unless ``p`` is 1 or 2; RuntimeError for a class that does not exist.

    Source: ``torch.nn.functional.multi_margin_loss``.

    >>> import chainrule as torch
    >>> multi_margin_loss(torch.tensor([[1.0, 0.5, -1.0, 0.75]]), torch.tensor([0]))
    tensor(0.3125)
    """
    reduction = _reduction(legacy_reduction(size_average, reduce, reduction))
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    constants("multi_margin_loss", weight=weight)
    only_floats("multi_margin_loss_out_frame", input)
    x = input.reshape(1, -1) if input.ndim < 2 else input
    if x.ndim != 2 or not x._shape[1]:
        raise RuntimeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(input.shape)}".replace(
                "'", ""
            )
        )
    n, classes = x._shape
    _long(target)
    if target.ndim > 1 or target.numel() != n:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch size). "
            f"Expected target size [{n}], but got {list(target.shape)}. Input has shape {list(input.shape)}."
        )
    y = within(target.reshape(n, 1), classes, 0, RuntimeError, f"target out of range\n{CLASSES}")
    each = (x - x.gather(1, y) + margin).relu()
    each = each * each if p == 2 else each
    if weight is not None:
        each = each * weight[y]
    each = each.scatter(1, y, 0).sum(1) / classes
    return _mean(each if target.ndim else each.reshape(()), reduction)


@whole("MultilabelMarginLossBackward0")
def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """How far each other class's score comes within 1 of each target class's, summed and over the classes.

    ``input`` is (n, classes) or (classes,); ``target``, of the same shape, lists class numbers up to the first
    -1.  RuntimeError for a class that does not exist.

    Source: ``torch.nn.functional.multilabel_margin_loss``.

    >>> import chainrule as torch
    >>> multilabel_margin_loss(torch.tensor([0.5, 1.0, -1.0]), torch.tensor([1, -1, 0]))
    tensor(0.1667)
    """
    reduction = _reduction(legacy_reduction(size_average, reduce, reduction))
    only_floats("multilabel_margin_loss_forward_out_frame", input)
    if input.ndim > 2 or (input.ndim and not input._shape[-1]):
        raise RuntimeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(input.shape)}"
        )
    if input.numel() != target.numel():
        raise RuntimeError(f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}")
    _long(target)
    x = input.reshape(1, -1) if input.ndim < 2 else input
    classes = x._shape[1]
    words = "argument #2 'target' is out of range\nClasses count from 0, and -1 ends the list."
    y = within(target.reshape(x._shape) + 1, classes + 1, 0, RuntimeError, words) - 1
    listed = (y >= 0).long().cumprod(1) > 0
    place = y.masked_fill(~listed, 0)
    right = (listed.unsqueeze(2) & (place.unsqueeze(2) == wrap(np.arange(classes)))).any(1)
    short = (x.unsqueeze(1) - x.gather(1, place).unsqueeze(2) + 1).relu()  # (n, label, class)
    counted = listed.unsqueeze(2) & ~right.unsqueeze(1)
    each = short.masked_fill(~counted, 0).sum((1, 2)) / classes
    return _mean(each if input.ndim == 2 else each.reshape(()), reduction)


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The cross entropy of each class's yes or no, with score ``input``, averaged over the classes (last axis).

    ``target`` holds 1 and 0 and has input's shape; ``weight`` broadcasts.

    Source: ``torch.nn.functional.multilabel_soft_margin_loss``.

    >>> import chainrule as torch
    >>> multilabel_soft_margin_loss(torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 0.0]]))
    tensor(0.6931)
    """
    reduction = _reduction(legacy_reduction(size_average, reduce, reduction))
    each = target * _softplus(-input) + (1 - target) * _softplus(input)
    if weight is not None:
        each = each * weight
    return _mean(each.sum(-1) / input.size(input.ndim - 1), reduction)


def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Distances of like pairs (target 1), and what those of unlike ones (-1) fall short of ``margin``.

    ``input`` and ``target`` broadcast.

    Source: ``torch.nn.functional.hinge_embedding_loss``.

    >>> import chainrule as torch
    >>> hinge_embedding_loss(torch.tensor([0.5, 0.25]), torch.tensor([1, -1]), reduction="none")
    tensor([0.5000, 0.7500])
    """
    reduction = _reduction(legacy_reduction(size_average, reduce, reduction))
    unlike = (margin - input).clamp_min(0)
    each = unlike.masked_fill(target == 1, 0) + input.masked_fill(target == -1, 0)
    return _mean(each, reduction)


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``1 - cos`` of the angle of like pairs (target 1), ``max(0, cos - margin)`` of unlike ones (-1).

    The inputs are (n, d) with ``target`` (n,), or (d,) with ``target`` ().  RuntimeError for other shapes.

    Source: ``torch.nn.functional.cosine_embedding_loss``.

    >>> import chainrule as torch
    >>> cosine_embedding_loss(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0]), torch.tensor(1))
    tensor(1.)
    """
    reduction = _reduction(legacy_reduction(size_average, reduce, reduction))
    if target.ndim not in (0, 1):
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    dims = target.ndim + 1
    if input1.ndim != dims or input2.ndim != dims:
        kind = (
            "1D target tensor expects 2D input tensors" if target.ndim else "0D target tensor expects 1D input tensors"
        )
        raise RuntimeError(f"{kind}, but found inputs with sizes {list(input1.shape)} and {list(input2.shape)}.")
    least = 1e-12
    squares = ((input1 * input1).sum(-1) + least) * ((input2 * input2).sum(-1) + least)
    cos = (input1 * input2).sum(-1) / squares.sqrt()
    like = (1 - cos).masked_fill(target != 1, 0)
    return _mean(like + (cos - margin).clamp_min(0).masked_fill(target != -1, 0), reduction)


# --- triplets ---


def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2, eps: float = 1e-6,
    swap: bool = False, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """``max(0, margin + d(anchor, positive) - d(anchor, negative))`` with the distance of the ``p``-norm.

    With ``swap``, the negative counts as near as it is to the positive, if that is nearer.  The three broadcast,
    (n, d) or (d,).  ValueError unless ``margin`` is positive.

    Source: ``torch.nn.functional.triplet_margin_loss``.

    >>> import chainrule as torch
    >>> triplet_margin_loss(torch.zeros(1, 1), torch.ones(1, 1), torch.ones(1, 1))
    tensor(1.)
    """
    reduction = _reduction(legacy_reduction(size_average, reduce, reduction))
    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=lambda x, y: pairwise_distance(x, y, p, eps), margin=margin,
        swap=swap, reduction=reduction,
    )  # fmt: skip


def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None, margin: float = 1.0, swap: bool = False,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """:func:`triplet_margin_loss` with any ``distance_function`` of two tensors.

    Source: ``torch.nn.functional.triplet_margin_with_distance_loss``.

    >>> import chainrule as torch
    >>> a, b = torch.zeros(1, 2), torch.ones(1, 2)
    >>> triplet_margin_with_distance_loss(a, b, a, distance_function=lambda x, y: (x - y).abs().sum(-1))
    tensor(3.)
    """
    _reduction(reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    distance = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return _mean((margin + near - far).clamp_min(0), reduction)
