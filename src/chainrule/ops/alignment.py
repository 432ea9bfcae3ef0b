"""The CTC loss: how likely a sequence of labels is, summed over all its alignments with a longer sequence.

Between the labels, before and after them, stands a blank.  An alignment goes through labels and blanks in order, stays
at each as long as it likes, and may leave out a blank between two different labels.  Probabilities of alignments up to
a place are summed from the left, for the value, and from the right too, for the gradient (Graves et al., 2006).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import explained, scalar_type
from ..primitive import Primitive
from ..tensor import Tensor, wrap
from .kinds import export, no_kernel, public
from .loss import _reduction

where = public["where"]
_SAMPLE = (
    np.log(np.array([[[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]], [[0.1, 0.2, 0.7], [0.3, 0.3, 0.4]],
                     [[0.4, 0.5, 0.1], [0.2, 0.2, 0.6]], [[0.3, 0.3, 0.4], [0.1, 0.8, 0.1]]])),
    [[1, 2], [1, 1]], [4, 3], [2, 1],
)  # fmt: skip


_LOW = -1e30  # the logarithm of a probability of 0, with which one can calculate


class CtcLoss(Primitive):
    """Minus the logarithm of the probability of each sequence of ``targets``, of x (time, n, classes).

    The gradient is that of log-probabilities as ``log_softmax`` makes them, as in PyTorch: what a common factor of the
    probabilities would change is left out.
    """

    formula = False
    real_only = no_kernel("ctc_loss_cpu")
    forward = lambda xp, x, targets, lengths, counts, *, blank, finite: loss(xp, x, targets, lengths, counts, blank)
    vjp_x = lambda xp, g, x, targets, lengths, counts, blank, finite: (
        g[..., None, :, None] * gradient(xp, x, targets, lengths, counts, blank, finite)
    )
    jvp_x = lambda xp, t, x, targets, lengths, counts, blank, finite: xp.sum(
        t * gradient(xp, x, targets, lengths, counts, blank, finite), axis=(-3, -1)
    )
    samples = [(_SAMPLE, {"blank": 0, "finite": False})]


_loss: Primitive = CtcLoss("CtcLossBackward0")


def extended(xp: Any, targets: Any, counts: Any, blank: int) -> tuple[Any, Any, Any]:
    """Labels with blanks around them (n, 2 s + 1), which may follow the last but one, and which may be the end."""
    around = targets * 0 + blank
    s = targets.shape[-1]
    pairs = xp.reshape(xp.stack([around, targets], axis=-1), (*targets.shape[:-1], 2 * s))
    last = xp.expand_dims(counts * 0 + blank, axis=-1)
    labels = xp.concat([pairs, last], axis=-1)
    at, many = np.arange(2 * s + 1), xp.expand_dims(counts, axis=-1)
    jumps = xp.concat([last != last] * min(2, 2 * s + 1) + [labels[..., 2:] != labels[..., :-2]], axis=-1)
    return labels, jumps, (at == 2 * many) | ((at == 2 * many - 1) & (many > 0))


def added(xp: Any, *xs: Any) -> Any:
    """``log(sum(exp(x)))`` over several arrays."""
    top = xs[0]
    for x in xs[1:]:
        top = xp.maximum(top, x)
    top, total = xp.stop(top), 0
    for x in xs:
        total = xp.exp(x - top) + total
    return xp.log(total) + top


def moved(xp: Any, a: Any, by: int) -> Any:
    """The entries ``by`` places further on, or back."""
    low = xp.zeros_like(a[..., : abs(by)]) + _LOW
    return xp.concat([low, a[..., :-by]] if by > 0 else [a[..., -by:], low], axis=-1)


def from_left(xp: Any, p: Any, jumps: Any) -> Any:
    """The probabilities of all beginnings of alignments, (time, n, labels), without that of the last label itself."""
    found = [xp.where(np.arange(p.shape[-1]) < 2, xp.zeros_like(p[..., 0, :, :]), _LOW)]
    for t in range(1, p.shape[-3]):
        a = found[-1] + p[..., t - 1, :, :]
        found.append(added(xp, a, moved(xp, a, 1), xp.where(jumps, moved(xp, a, 2), _LOW)))
    return xp.stack(found, axis=-3)


def from_right(xp: Any, p: Any, jumps: Any, ends: Any, lengths: Any) -> Any:
    """The probabilities of all ends of alignments."""
    last = xp.where(ends, xp.zeros_like(p[..., 0, :, :]), _LOW)
    found: list[Any] = []
    for t in range(p.shape[-3] - 1, -1, -1):
        on = last
        if found:
            a = found[-1]
            on = added(xp, a, moved(xp, a, -1), moved(xp, xp.where(jumps, a, _LOW), -2))
            on = xp.where(xp.expand_dims(lengths == t + 1, axis=-1), last, on)
        found.append(on + p[..., t, :, :])
    return xp.stack(found[::-1], axis=-3)


def totals(xp: Any, whole: Any, ends: Any, lengths: Any, counts: Any) -> Any:
    """Minus the logarithms of the probabilities of whole sequences, from those of all beginnings."""
    at = xp.broadcast_to(lengths[..., None, :, None] - 1, (*whole.shape[:-3], 1, *whole.shape[-2:]))
    end = xp.where(ends, xp.take_along_axis(whole, xp.where(at < 0, 0, at), axis=-3)[..., 0, :, :], _LOW)
    top = xp.stop(xp.max(end, axis=-1, keepdims=True))
    found = (xp.log(xp.sum(xp.exp(end - top), axis=-1, keepdims=True)) + top)[..., 0]
    found = xp.where(found < _LOW / 2, math.inf, -found)
    return xp.where(lengths == 0, xp.where(counts == 0, xp.zeros_like(found), math.inf), found)


def parts(xp: Any, x: Any, targets: Any, lengths: Any, counts: Any, blank: int) -> tuple[Any, ...]:
    """Labels, their log-probabilities, those of all beginnings, and what may follow or be the end."""
    labels, jumps, ends = extended(xp, targets, counts, blank)
    labels = xp.broadcast_to(labels[..., None, :, :], (*x.shape[:-1], labels.shape[-1]))
    p = xp.take_along_axis(x, labels, axis=-1)
    return labels, p, from_left(xp, p, jumps), jumps, ends


def loss(xp: Any, x: Any, targets: Any, lengths: Any, counts: Any, blank: int) -> Any:
    if not x.shape[-3]:
        return xp.where(counts == 0, xp.zeros_like(xp.sum(x, axis=(-3, -1))), math.inf)
    _, p, left, _, ends = parts(xp, x, targets, lengths, counts, blank)
    return totals(xp, left + p, ends, lengths, counts)


def gradient(xp: Any, x: Any, targets: Any, lengths: Any, counts: Any, blank: int, finite: bool) -> Any:
    labels, p, left, jumps, ends = parts(xp, x, targets, lengths, counts, blank)
    total = totals(xp, left + p, ends, lengths, counts)[..., None, :, None]
    through = xp.exp(left + from_right(xp, p, jumps, ends, lengths) + total)  # the part that goes through each label
    found = xp.exp(x) - xp.put_along_axis(through, labels, -1, x.shape[-1])
    found = xp.where(total == math.inf, 0.0 if finite else math.nan, found)
    inside = np.arange(x.shape[-3])[:, None] < lengths[..., None, :]
    return xp.where(xp.expand_dims(inside, axis=-1), found, 0.0)


# --- as users call it ---


def _lengths(given: Any, name: str, n: int, most: int | None = None) -> Any:
    if isinstance(given, Tensor):
        if given._dtype.kind not in "iu":
            raise RuntimeError(f"{name} must be integral")
        given = given.detach().numpy().reshape(-1)
    a = np.asarray(given, np.int64)
    if len(a) != n:
        raise explained(
            RuntimeError(f"{name} must be of size batch_size\nThe batch has {n} sequences; there are {len(a)} lengths.")
        )
    checking = "(while checking arguments for ctc_loss_allocate_outputs)"
    if n and a.min() < 0:
        raise RuntimeError(f"Expected {name} to have value at least 0, but got value {a.min()} {checking}")
    if most is not None and n and a.max() > most:
        raise RuntimeError(f"Expected {name} to have value at most {most}, but got value {a.max()} {checking}")
    return a


def _rows(targets: Tensor, counts: Any) -> Tensor:
    """The targets as a row for each sequence."""
    checking = "for argument #2 'targets' (while checking arguments for ctc_loss_allocate_outputs)"
    most = int(counts.max(initial=0))
    if targets.ndim == 1:
        if targets._shape[0] != counts.sum():
            raise RuntimeError(
                f"Expected tensor to have size {counts.sum()} at dimension 0, but got size {targets._shape[0]} {checking}"
            )
        first = np.cumsum(counts) - counts
        at = np.minimum(first[:, None] + np.arange(most), max(targets._shape[0] - 1, 0))
        return targets[wrap(at)].long() if targets._shape[0] else wrap(np.zeros((len(counts), 0), np.int64))
    if targets._shape[0] != len(counts):
        raise RuntimeError(
            f"Expected tensor to have size {len(counts)} at dimension 0, but got size {targets._shape[0]} {checking}"
        )
    if targets._shape[1] < most:
        raise RuntimeError(
            f"Expected tensor to have size at least {most} at dimension 1, but got size {targets._shape[1]} {checking}"
        )
    return targets[:, :most].long()


def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any, blank: int = 0,
    reduction: str = "mean", zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """Minus the logarithm of how likely ``targets`` are, summed over all their alignments with ``log_probs``.

    ``log_probs`` (time, n, classes) come from ``log_softmax``; ``targets`` are class numbers, (n, most) or one sequence
    after the other; the lengths, tensors or lists, say how much of each counts.  ``blank`` is the class that stands for
    nothing.  "mean" divides each loss by its target's length first.  Where a target is too long for its input the loss
    is inf, or with ``zero_infinity`` 0.  The batch axis may be left out.  RuntimeError for lengths that do not fit.

    Source: ``torch.nn.functional.ctc_loss``.

    >>> import chainrule as torch
    >>> even = torch.zeros(2, 1, 2).log_softmax(-1)
    >>> ctc_loss(even, torch.tensor([[1]]), [2], [1]).exp()  # of four paths all but one give this label
    tensor(1.3333)
    """
    _reduction(reduction)
    alone = log_probs.ndim == 2
    x = log_probs.unsqueeze(1) if alone else log_probs
    targets = targets.unsqueeze(0) if alone and targets.ndim == 1 else targets
    time, n, classes = x._shape
    if not 0 <= blank < classes:
        raise explained(RuntimeError(f"blank must be in label range\nThere are {classes} classes; it is {blank}."))
    lengths = _lengths(input_lengths, "input_lengths", n, time)
    counts = _lengths(target_lengths, "target_lengths", n)
    rows = _rows(targets, counts)
    if x._dtype.kind != "f":
        raise NotImplementedError(f"\"ctc_loss_cpu\" not implemented for '{scalar_type(x._dtype)}'")
    each = _loss(x, rows, wrap(lengths), wrap(counts), blank=blank, finite=zero_infinity)
    if zero_infinity:
        each = where(each == math.inf, wrap(np.zeros((), x._dtype)), each)
    if reduction == "mean":
        return (each / wrap(np.maximum(counts, 1).astype(x._dtype))).mean()
    if reduction == "sum":
        return each.sum()
    return each.squeeze(0) if alone else each


_REDUCTIONS = ("none", "mean", "sum")


def numbered_ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any, blank: int = 0, reduction: int = 1,
    zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """:func:`ctc_loss` with its reduction as a number.  Source: ``torch.ctc_loss``."""
    return ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, _REDUCTIONS[reduction], zero_infinity)


export("ctc_loss", numbered_ctc_loss, method=False)
