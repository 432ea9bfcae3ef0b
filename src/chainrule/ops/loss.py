"""Losses: how far a prediction is from its target."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .. import errors
from ..arrays.namespace import is_numpy
from ..errors import explained, scalar_type
from ..lanes import alike, check_broadcast
from ..primitive import Primitive, bind, promote
from ..tensor import Tensor, wrap
from .activation import log_softmax
from .kinds import no_kernel, only_floats
from .places import within
from .reduce import average, count, kept, share
from .whole import whole


class MseLoss(Primitive):
    """``(x - y)²``: the mean, the sum, or each (``reduction`` "none")."""

    composite = True
    real_only, refused = no_kernel("mse_cpu"), "ciub"
    forward = lambda xp, x, y, *, axis, reduction: reduced(xp, xp.square(x - y), axis, reduction)
    vjp_x = lambda xp, g, x, y, axis, reduction: weighted(xp, x - y, 2 * g, axis, reduction)
    vjp_y = lambda xp, g, x, y, axis, reduction: weighted(xp, y - x, 2 * g, axis, reduction)
    jvp_x = lambda xp, t, x, y, axis, reduction: reduced(xp, 2 * (x - y) * t, axis, reduction)
    jvp_y = lambda xp, t, x, y, axis, reduction: reduced(xp, 2 * (y - x) * t, axis, reduction)
    samples = [
        (((2, 3), (2, 3)), {"axis": (-2, -1), "reduction": "mean"}),
        (((2, 3), (2, 3)), {"axis": (-2, -1), "reduction": "sum"}),
        (((3,), (3,)), {"axis": (-1,), "reduction": "none"}), (((), ()), {"axis": (), "reduction": "mean"}),
    ]  # fmt: skip


class NllLoss(Primitive):
    """``-weight * logp[target]`` along axis 1 (0 for one sample): mean over the weights, sum, or each.

    ``logp`` is (n, classes), ``target`` (n, 1) of class numbers, ``weight`` (n,).
    """

    composite = True
    real_only = no_kernel("nll_loss_out_frame")
    forward = lambda xp, logp, target, weight, *, reduction: nll_forward(xp, logp, target, weight, reduction)
    vjp_logp = lambda xp, g, logp_shape, target, weight, reduction: xp.put_along_axis(
        nll_cotangent(xp, g, weight, reduction), target, -1, logp_shape[-1]
    )
    jvp_logp = lambda xp, t, target, weight, reduction: nll_forward(xp, t, target, weight, reduction)
    samples = [
        (((3, 4), [[0], [3], [1]], [1.0, 0.5, 2.0]), {"reduction": "mean"}),
        (((3, 4), [[0], [3], [1]], [1.0, 0.5, 2.0]), {"reduction": "sum"}),
        (((3, 4), [[0], [3], [1]], [1.0, 0.5, 2.0]), {"reduction": "none"}),
    ]  # fmt: skip


def nll_forward(xp: Any, logp: Any, target: Any, weight: Any, reduction: str) -> Any:
    each = -xp.squeeze(xp.take_along_axis(logp, target, axis=-1), axis=(-1,)) * weight
    if reduction == "none":
        return each
    total = xp.sum(each, axis=(-1,), keepdims=False)
    return total / xp.sum(weight, axis=(-1,), keepdims=False) if reduction == "mean" else total


def nll_cotangent(xp: Any, g: Any, weight: Any, reduction: str) -> Any:
    if reduction == "mean":
        g = g / xp.sum(weight, axis=(-1,), keepdims=False)
    if reduction != "none":
        g = xp.expand_dims(g, axis=-1)
    return xp.expand_dims(-g * weight, axis=-1)


class BinaryCrossEntropy(Primitive):
    """``-weight * (y log x + (1 - y) log(1 - x))``, no logarithm below -100: the mean, the sum, or each.

    At x = 0 and 1 the slope is kept finite, as if x (1 - x) were no less than 1e-12.
    """

    composite = True
    real_only = no_kernel("binary_cross_entropy")
    forward = lambda xp, x, y, weight, *, axis, reduction: reduced(xp, bits(xp, x, y) * weight, axis, reduction)
    vjp_x = lambda xp, g, x, y, weight, axis, reduction: weighted(xp, bits_slope(xp, x, y) * weight, g, axis, reduction)
    vjp_y = lambda xp, g, x, weight, axis, reduction: weighted(
        xp, (xp.log1p(-x) - xp.log(x)) * weight, g, axis, reduction
    )
    jvp_x = lambda xp, t, x, y, weight, axis, reduction: reduced(xp, bits_slope(xp, x, y) * weight * t, axis, reduction)
    jvp_y = lambda xp, t, x, weight, axis, reduction: reduced(
        xp, (xp.log1p(-x) - xp.log(x)) * weight * t, axis, reduction
    )
    samples = [
        (([0.25, 0.5, 0.9], [1.0, 0.0, 0.75], 1), {"axis": (-1,), "reduction": reduction})
        for reduction in ("mean", "sum", "none")
    ]


def bits(xp: Any, x: Any, y: Any) -> Any:
    return (y - 1) * xp.maximum(xp.log1p(-x), -100) - y * xp.maximum(xp.log(x), -100)


def bits_slope(xp: Any, x: Any, y: Any) -> Any:
    return (x - y) / xp.maximum(x * (1 - x), 1e-12)


class BinaryCrossEntropyWithLogits(Primitive):
    """:class:`BinaryCrossEntropy` of sigmoid(x), without overflow; a yes counts ``yes`` times."""

    composite = True
    real_only = no_kernel("log_sigmoid_cpu")
    forward = lambda xp, x, y, weight, yes, *, axis, reduction: reduced(
        xp, ((1 - y) * x + (1 + (yes - 1) * y) * xp.softplus(-x)) * weight, axis, reduction
    )
    vjp_x = lambda xp, g, x, y, weight, yes, axis, reduction: weighted(
        xp, score_slope(xp, x, y, yes) * weight, g, axis, reduction
    )
    vjp_y = lambda xp, g, x, weight, yes, axis, reduction: weighted(
        xp, answer_slope(xp, x, yes) * weight, g, axis, reduction
    )
    jvp_x = lambda xp, t, x, y, weight, yes, axis, reduction: reduced(
        xp, score_slope(xp, x, y, yes) * weight * t, axis, reduction
    )
    jvp_y = lambda xp, t, x, weight, yes, axis, reduction: reduced(
        xp, answer_slope(xp, x, yes) * weight * t, axis, reduction
    )
    samples = [
        (((3,), [1.0, 0.0, 0.75], 1, 1), {"axis": (-1,), "reduction": "mean"}),
        (((3,), [1.0, 0.0, 0.75], [1.0, 2.0, 0.5], [3.0, 1.5, 0.5]), {"axis": (-1,), "reduction": "sum"}),
        (((2, 3), (2, 3), 1, 1), {"axis": (-2, -1), "reduction": "none"}),
    ]  # fmt: skip


def score_slope(xp: Any, x: Any, y: Any, yes: Any) -> Any:
    return (1 + (yes - 1) * y) * xp.sigmoid(x) - yes * y


def answer_slope(xp: Any, x: Any, yes: Any) -> Any:
    return -x if isinstance(yes, int) else (yes - 1) * xp.softplus(-x) - x  # a number is 1: nothing to add


def reduced(xp: Any, each: Any, axis: tuple[int, ...], reduction: str) -> Any:
    if reduction == "none":
        return each
    return average(xp, each, axis) if reduction == "mean" else xp.sum(each, axis=axis, keepdims=False)


def weighted(xp: Any, each: Any, g: Any, axis: tuple[int, ...], reduction: str) -> Any:
    """Each element's slope times its share of the loss's cotangent."""
    if reduction == "none":
        return each * g
    if reduction == "mean":
        g = share(xp, g, count(each.shape, axis))
    return each * xp.reshape(g, kept(each.shape, axis)) if g.shape != () else each * g


_mse, _nll, _bce, _bce_logits = MseLoss(), NllLoss(), BinaryCrossEntropy(), BinaryCrossEntropyWithLogits()
_ALL = [tuple(range(-n, 0)) for n in range(65)]
_REDUCTIONS = ("mean", "sum", "none")


def _reduction(name: str) -> str:
    if name not in _REDUCTIONS:
        raise explained(ValueError(f"{name} is not a valid value for reduction\nExpected 'mean', 'sum' or 'none'."))
    return name


def legacy_reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """``reduction``, or what the two older options mean, with PyTorch's warning."""
    if size_average is None and reduce is None:
        return reduction
    meant = "none" if reduce is False else "sum" if size_average is False else "mean"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{meant}' instead.",
        UserWarning, stacklevel=3,
    )  # fmt: skip
    return meant


def aligned(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The two broadcast together, with PyTorch's warning if they had to be."""
    try:
        if input._shape == target._shape:
            return input, target
    except AttributeError:
        raise errors.no_size(target, input) from None
    warnings.warn(
        f"Using a target size ({target.size()}) that is different to the input size ({input.size()}). This will likely "
        "lead to incorrect results due to broadcasting. Please ensure they have the same size.",
        UserWarning, stacklevel=3,
    )  # fmt: skip
    check_broadcast((input, target))
    return input, target


def constants(name: str, **tensors: Tensor | None) -> None:
    """PyTorch's error if one of these, which have no derivative, requires grad."""
    for argument, t in tensors.items():
        if t is not None and t._rg:
            raise explained(RuntimeError(errors.not_differentiable(name, argument)))


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """The mean of ``(input - target)²``; with ``reduction`` "sum" the sum, with "none" each.

    Source: ``torch.nn.functional.mse_loss``.
    """
    if reduction not in _REDUCTIONS:
        _reduction(reduction)
    if type(input) is Tensor is type(target) and alike(_mse, (input, target)):
        return input._interpret(_mse, (input, target), {"axis": _ALL[input._a.ndim], "reduction": reduction})  # type: ignore[no-any-return]
    shape = getattr(input, "_shape", None)
    if shape is None or shape != getattr(target, "_shape", None):
        shape = np.broadcast_shapes(*(t._shape for t in aligned(input, target)))
        input, target = input.expand(*shape), target.expand(*shape)
    input, target = promote((input, target))
    return bind(_mse, (input, target), {"axis": _ALL[len(shape)], "reduction": reduction})  # type: ignore[no-any-return]


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """The negative log likelihood of the target classes: ``-input[i, target[i]]``, weighted, averaged.

    ``input`` holds log-probabilities, (classes,), (n, classes) or (n, classes, d1, ...).

    Source: ``torch.nn.functional.nll_loss``.
    """
    _reduction(reduction)
    try:
        rank = len(input._shape)
        target._shape  # noqa: B018
    except AttributeError:
        raise errors.not_tensor("nll_loss_nd", input=input, target=target) from None
    if rank == 2 or (rank not in (1, 4) and reduction == "none"):
        return _nll_loss(input, target, weight, ignore_index, reduction)
    return _nll_whole["NllLoss" if rank == 1 else "NllLoss2D"](input, target, weight, ignore_index, reduction)


def _fitting(input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """PyTorch's errors for targets or weights that do not fit to the scores."""
    rank, wanted = input.ndim, (input._shape[0], *input._shape[2:])
    error = None
    if rank == 1:
        if target.ndim > 1:
            error = _ONE_CLASS
    elif target.ndim and input._shape[0] != target._shape[0]:
        raise ValueError(
            f"Expected input batch_size ({input._shape[0]}) to match target batch_size ({target._shape[0]})."
        )
    elif rank == 2:
        if target.ndim > 1:
            error = _ONE_CLASS
        elif target._shape != wanted:
            error = f"size mismatch (got input: {list(input._shape)}, target: {list(target._shape)})"
    elif rank == 4 and target.ndim != 3:
        error = f"only batches of spatial targets supported (3D tensors) but got targets of dimension: {target.ndim}"
    elif rank == 4 and target._shape != wanted:
        error = f"size mismatch (got input: {list(input._shape)} , target: {list(target._shape)}"
    elif target._shape != wanted:
        error = f"Expected target size {list(wanted)}, got {list(target._shape)}"
    if error is not None:
        raise explained(RuntimeError(f"{error}\nThe target is input's shape without the axis of the classes."))
    classes = input._shape[min(rank, 2) - 1]
    if weight is not None and weight._shape != (classes,):
        error = "weight tensor should be defined either for all or no classes"
        if rank != 4:
            error = f"weight tensor should be defined either for all {classes} classes or no classes"
            error += f" but got weight tensor of shape: {list(weight._shape)}"
        raise RuntimeError(error)
    if weight is not None and weight._dtype != input._dtype:
        raise RuntimeError(f"expected scalar type {scalar_type(input._dtype)} but found {scalar_type(weight._dtype)}")


_ONE_CLASS = "0D or 1D target tensor expected, multi-target not supported"
CLASSES = "There are {n} classes, from 0 on."


def _nll_loss(input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str) -> Tensor:
    only_floats("nll_loss_out_frame", input)
    constants("nll_loss_forward", weight=weight)
    _fitting(input, target, weight)
    if target._dtype.name not in ("int64", "uint8"):
        raise explained(
            RuntimeError(
                f"expected target dtype to be Long or Byte, but got {scalar_type(target._dtype)}"
                "\nEach target is the number of a class: target.long()."
            )
        )
    shape = tuple(target._shape)
    if input.ndim == 1:
        logp, flat = input.unsqueeze(0), target.reshape(1)
    else:
        logp = input if input.ndim == 2 else input.movedim(1, -1).reshape(-1, input._shape[1])
        flat = target.reshape(-1)
    classes = logp._shape[1]
    known = flat._a if flat._rank == 2 and isinstance(flat._a, np.ndarray) else None
    if (
        known is not None
        and known.size
        and not 0 <= ignore_index < classes
        and known.min() >= 0
        and known.max() < classes
    ):
        safe, w = flat, wrap(np.ones(known.shape, logp._dtype)) if weight is None else weight[flat]
    else:
        ignored = flat == ignore_index
        if known is not None and ignored._a.all():  # the mean is 0 / 0, but nothing depends on the input
            logp = logp.masked_fill(ignored.unsqueeze(-1), 0.0)
        safe = within(
            flat.masked_fill(ignored, 0), classes, 0, IndexError, f"Target {{i}} is out of bounds.\n{CLASSES}"
        )
        w = (~ignored).to(input.dtype)
        if weight is not None:
            w = weight[safe] * w
    out: Tensor = _nll(logp, safe.unsqueeze(-1), w.detach(), reduction=reduction)
    return out.reshape(shape) if reduction == "none" and out._shape != shape else out


_nll_whole = {name: whole(f"{name}Backward0")(_nll_loss) for name in ("NllLoss", "NllLoss2D")}


def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """The cross entropy of ``softmax(input)`` with target classes, or with target probabilities of input's shape.

    Source: ``torch.nn.functional.cross_entropy``.
    """
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
    try:
        axis = 0 if len(input._shape) == 1 else 1
        target._shape  # noqa: B018
    except AttributeError:
        raise errors.not_tensor("cross_entropy_loss", input=input, target=target) from None
    logp = log_softmax(input, axis)
    if tuple(target._shape) == tuple(input._shape):
        if target._dtype.kind not in "fc":
            raise explained(
                RuntimeError(
                    f"Expected floating point type for target with class probabilities, got {scalar_type(target._dtype)}"
                    "\nA target of input's shape is a probability for each class; numbers of classes have one axis less."
                )
            )
        if ignore_index >= 0:
            raise RuntimeError("ignore_index is not supported for floating point target")
        classes = input._shape[axis]
        q = target * (1 - label_smoothing) + label_smoothing / classes
        w = 1 if weight is None else weight.reshape(*(classes if i == axis else 1 for i in range(input.ndim)))
        each = -(q * logp * w).sum(axis)
        return each if reduction == "none" else each.sum() / (each.numel() if reduction == "mean" else 1)
    hard = nll_loss(logp, target, weight, ignore_index=ignore_index, reduction=reduction)
    if not label_smoothing:
        return hard
    keep = target != ignore_index
    if weight is None:
        smooth = -logp.sum(axis)
        total = keep.sum()
    else:
        smooth = -(logp * weight.reshape(*(-1 if i == axis else 1 for i in range(input.ndim)))).sum(axis)
        total = (weight[target.masked_fill(~keep, 0)] * keep).sum()
    smooth = smooth.masked_fill(~keep, 0.0)
    soft = smooth if reduction == "none" else smooth.sum() / (total if reduction == "mean" else 1)
    return (1 - label_smoothing) * hard + label_smoothing / input._shape[axis] * soft


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """``-(y * log(x) + (1 - y) * log(1 - x))`` of probabilities x; no logarithm counts as less than -100.

    Source: ``torch.nn.functional.binary_cross_entropy``.
    """
    _reduction(reduction)
    try:
        same = input._shape == target._shape
    except AttributeError:
        raise errors.no_size(target, input) from None
    if not same:
        raise ValueError(
            f"Using a target size ({target.size()}) that is different to the input size ({input.size()}) is "
            "deprecated. Please ensure they have the same size."
        )
    constants("binary_cross_entropy", weight=weight)
    only_floats("binary_cross_entropy", input)
    for t in (target, weight):
        if t is not None and t._dtype != input._dtype:
            raise explained(
                RuntimeError(
                    f"Found dtype {scalar_type(t._dtype)} but expected {scalar_type(input._dtype)}"
                    "\nConvert it: target.to(input.dtype)."
                )
            )
    if weight is not None:
        weight = weight.expand(np.broadcast_shapes(target._shape, weight._shape))
    for what, t in {"input": input, "target": target}.items():
        if is_numpy(t._a) and not ((t._a >= 0) & (t._a <= 1)).all():
            raise explained(
                RuntimeError(
                    f"all elements of {what} should be between 0 and 1"
                    "\nProbabilities are meant. If these are scores, use binary_cross_entropy_with_logits, or sigmoid first."
                )
            )
    return _bce(input, target, 1 if weight is None else weight, axis=_ALL[input.ndim], reduction=reduction)


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """:func:`binary_cross_entropy` of ``sigmoid(input)``, without overflow for any real scores.

    Source: ``torch.nn.functional.binary_cross_entropy_with_logits``.
    """
    _reduction(reduction)
    try:
        same = input._shape == target._shape
    except AttributeError:
        raise errors.no_size(target, input) from None
    if not same:
        raise ValueError(f"Target size ({target.size()}) must be the same as input size ({input.size()})")
    constants("binary_cross_entropy_with_logits", weight=weight, pos_weight=pos_weight)
    only_floats("log_sigmoid_cpu", input)
    if target._dtype.kind not in "fc":
        first = f"result type {scalar_type(input._dtype)} can't be cast to the desired output type {scalar_type(target._dtype)}"
        if target._dtype.kind == "b":
            first = (
                "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` operator "
                "instead."
            )
        raise explained(RuntimeError(f"{first}\nThe target is a probability for each score: target.float()."))
    x, y = promote((input, target))
    factors = [1 if f is None else f.expand(x._shape) for f in (weight, pos_weight)]
    return _bce_logits(x, y, *factors, axis=_ALL[input.ndim], reduction=reduction)
