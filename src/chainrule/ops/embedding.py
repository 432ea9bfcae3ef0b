"""Embeddings: rows of a table, looked up by number, alone or in bags."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import errors
from ..errors import explained, scalar_type
from ..modes import no_grad
from ..primitive import Primitive, bind
from ..tensor import Tensor, wrap
from .keys import hidden
from .kinds import export, public
from .places import within
from .scatter import positions
from .whole import whole

cat, where = public["cat"], public["where"]


class Embedding(Primitive):
    """The rows of ``weight`` (rows, dim) at ``index``, of ``rank`` axes.

    In the cotangent a row counts as often as it is looked up; or not at all, if it is ``padding``; or once, if
    ``average`` is set.
    """

    formula = False
    forward = lambda xp, weight, index, *, rank, padding, average: looked_up(weight, index, rank)
    vjp_weight = lambda xp, g, index, weight_shape, rank, padding, average: _added(
        weighed(xp, g, index, rank, padding, average), index, rank=rank, rows=weight_shape[-2]
    )
    linear = ("weight",)
    samples = [
        (((4, 3), [[2, 0], [2, 3]]), {"rank": 2, "padding": -1, "average": False}),
        (((3, 2), [1, 1, 0]), {"rank": 1, "padding": -1, "average": False}),
    ]  # fmt: skip

    def batch(self, size: int, arrays: Any, batched: Any, params: dict[str, Any]) -> Any:
        if not batched[0] and len(arrays[0].shape) == 2:  # one table for all
            return bind(self, arrays, {**params, "rank": params["rank"] + 1, "average": False})
        return super().batch(size, arrays, batched, params)


class EmbeddingAdded(Primitive):
    """The transpose of :class:`Embedding`: what was looked up, added to the rows that it came from."""

    formula = False
    forward = lambda xp, x, index, *, rank, rows: added(x, index, rank, rows)
    vjp_x = lambda xp, g, index, rank: _embedding(g, index, rank=rank, padding=-1, average=False)
    linear = ("x",)
    samples = [(((2, 2, 3), [[2, 0], [2, 3]]), {"rank": 2, "rows": 4})]


class EmbeddingCounts(Primitive):
    """By what the cotangent at each place of an index is divided: 1, or how often its row occurs; 0 drops it."""

    formula = False
    differentiable = False
    forward = lambda xp, index, *, rank, padding, average: counted(index, rank, padding, average)
    samples = [(([[2, 0], [2, 3]],), {"rank": 2, "padding": 0, "average": True})]


_ROUNDS = 4


def flat_rows(index: Any, rank: int, rows: int) -> Any:
    """The index as rows of all tables, one after the other."""
    lead = index.shape[: index.ndim - rank]
    if not lead:
        return index
    return index + np.arange(0, int(np.prod(lead)) * rows, rows).reshape(*lead, *(1,) * rank)


def _must_be_rows(index: Any, rows: int) -> None:
    within(index, rows, 0, IndexError, "index out of range in self\nThe table has {n} rows; the index has {i}.")


def looked_up(weight: Any, index: Any, rank: int) -> Any:
    rows = weight.shape[-2]
    _must_be_rows(index, rows)
    return np.take(weight.reshape(-1, weight.shape[-1]), flat_rows(index, rank, rows), 0)


def added(x: Any, index: Any, rank: int, rows: int) -> Any:
    _must_be_rows(index, rows)  # a program may have left out the look-up itself
    lead, dim = index.shape[: index.ndim - rank], x.shape[-1]
    out: Any = np.zeros((int(np.prod(lead)) * rows, dim), x.dtype)
    at, x = flat_rows(index, rank, rows).reshape(-1), x.reshape(-1, dim)
    left = _once(out, at, x)
    at, x = at[left], x[left]
    places = at[:, None] * dim + np.arange(dim)  # one index is much quicker than several
    np.add.at(out.reshape(-1), places.reshape(-1), x.reshape(-1))
    return out.reshape(*lead, rows, dim)


def _once(out: Any, at: Any, x: Any) -> Any:
    """Add what comes first to each row, then what comes second, as whole rows; what is left after a few rounds."""
    left, owner = np.arange(len(at)), np.empty(len(out), np.intp)
    for turn in range(_ROUNDS if x.size > 2**14 else 0):
        rows = at[left]
        owner[rows[::-1]] = left[::-1]  # the last to be written is the first in order
        first = owner[rows] == left
        now, to = left[first], rows[first]
        if turn:
            out[to] += x[now]
        else:
            out[to] = x[now]
        left = left[~first]
        if 8 * len(now) < len(rows) or not len(left):  # few rows that come often: entries one by one are quicker
            break
    return left


def counted(index: Any, rank: int, padding: int, average: bool) -> Any:
    out = np.ones_like(index)
    if average:
        lead = index.shape[: index.ndim - rank]
        for at in np.ndindex(*lead):
            _, back, counts = np.unique(index[at], return_inverse=True, return_counts=True)
            out[at] = counts[back].reshape(out[at].shape)
    out[index == padding] = 0
    return out


def weighed(xp: Any, g: Any, index: Any, rank: int, padding: int, average: bool) -> Any:
    if padding < 0 and not average:
        return g
    found = xp.expand_dims(_counts(index, rank=rank, padding=padding, average=average), axis=-1)
    return xp.where(found == 0, 0, g / xp.astype(xp.maximum(found, 1), g.dtype))


_embedding: Primitive = Embedding()
_added: Primitive = EmbeddingAdded()
_counts: Primitive = EmbeddingCounts()


def _index(index: Tensor, rows: int, function: str) -> Any:
    """The index's numbers where they can be seen, after PyTorch's checks."""
    if index._dtype.kind != "i" or index._dtype.itemsize < 4:
        kind = scalar_type(index._dtype)
        raise explained(
            RuntimeError(
                "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
                f"torch.{kind}Tensor instead (while checking arguments for {function})\nThe index comes first, then the "
                "table; convert it: index.long()."
            )
        )
    a = index._a
    if function == "embedding_bag" and type(a) is np.ndarray and a.size and (a.min() < 0 or a.max() >= rows):
        at = int(np.flatnonzero((a < 0) | (a >= rows))[0])
        raise RuntimeError(_BEYOND.format(place=at, i=a.flat[at], n=rows))
    return a


def _padding(padding_idx: int | None, rows: int) -> int:
    if padding_idx is None:
        return -1
    if not -rows <= padding_idx < rows:
        raise explained(
            AssertionError(
                f"Padding_idx must be within num_embeddings\nThere are {rows} rows, and it is {padding_idx}."
            )
        )
    return padding_idx % rows


def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """The rows of ``weight`` (rows, dim) that ``input``, integers of any shape (...), names: (..., dim).

    The row ``padding_idx`` gets no gradient.  With ``max_norm``, rows that are looked up and have a larger
    ``norm_type``-norm are first shortened to it, in place.  ``scale_grad_by_freq`` divides each row's gradient by
    how often it is looked up.  Gradients are dense, also if ``sparse`` is asked for.  IndexError for a number that
    names no row.

    Source: ``torch.nn.functional.embedding``.

    >>> import chainrule as torch
    >>> table = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> embedding(torch.tensor([2, 0]), table)
    tensor([[4., 5.],
            [0., 1.]])
    """
    if weight.ndim == 2:
        padding_idx = _padding(padding_idx, weight._shape[0])
    if max_norm is not None:
        embedding_renorm_(weight, input, max_norm, norm_type)
    return plain_embedding(weight, input, -1 if padding_idx is None else padding_idx, scale_grad_by_freq, sparse)


def plain_embedding(
    weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Tensor:
    """The rows of ``weight`` at ``indices``.  Source: ``torch.embedding``."""
    if not isinstance(indices, Tensor):
        raise errors.not_tensor("embedding", weight=weight, indices=indices)
    if weight.ndim != 2:
        raise explained(RuntimeError("'weight' must be 2-D\nIt is the table, (rows, dim), and comes after the index."))
    _index(indices, weight._shape[0], "embedding")
    return _embedding(weight, indices, rank=indices.ndim, padding=padding_idx, average=scale_grad_by_freq)


def embedding_renorm_(weight: Tensor, indices: Tensor, max_norm: float, norm_type: float = 2.0) -> Tensor:
    """The rows of ``weight`` at ``indices`` shortened, in place, to a norm of at most ``max_norm``.

    Source: ``torch.embedding_renorm_``.
    """
    with no_grad():
        rows = wrap(np.unique(positions("embedding_renorm_", indices)))
        table = weight.detach()
        found = table[rows]
        norm = found.norm(norm_type, -1, keepdim=True)
        table[rows] = where(norm > max_norm, found * (max_norm / (norm + 1e-7)), found)
    return weight


export("embedding", plain_embedding, method=False)
export("embedding_renorm_", embedding_renorm_, method=False)


# --- bags ---

_BEYOND = "Index {place} of input takes value {i} which is not in the valid range [0, {n})"
_FIRST = (
    "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. However, got {}"
)


@whole("EmbeddingBagBackward0")
def embedding_bag(
    input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None,
    norm_type: float = 2, scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
    per_sample_weights: Tensor | None = None, include_last_offset: bool = False, padding_idx: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean, "sum" or "max" (``mode``) of rows of ``weight`` (rows, dim), for each bag of numbers: (bags, dim).

    ``input`` is (bags, n), or all bags one after the other, which begin at ``offsets``; with ``include_last_offset``
    the last of those is where the last bag ends.  An empty bag gives zeros.  ``per_sample_weights``, of input's shape,
    are factors of the rows, for sums.  Numbers that are ``padding_idx`` do not count.  The others are as in
    :func:`embedding`.

    Source: ``torch.nn.functional.embedding_bag``.

    >>> import chainrule as torch
    >>> table = torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> embedding_bag(torch.tensor([0, 1, 2]), table, torch.tensor([0, 2]))
    tensor([[1., 2.],
            [4., 5.]])
    """
    if per_sample_weights is not None and input._shape != per_sample_weights._shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, then it must have the same "
            f"shape as the input ({input.shape})"
        )
    if weight.ndim != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.ndim}")
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise ValueError("max mode does not support sparse weights")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' "
            f"(got mode='{mode}'). Please open a feature request on GitHub."
        )
    starts = _starts(input, offsets, include_last_offset)
    rows = weight._shape[0]
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise RuntimeError(
            f"padding_idx must be within the number of embeddings, -{rows} through {rows - 1}, but got {padding_idx}"
        )
    padding = -1 if padding_idx is None else padding_idx % rows
    if max_norm is not None:
        embedding_renorm_(weight, input, max_norm, norm_type)
    _index(input, rows, "embedding_bag")
    numbers = positions("embedding_bag", input, weight).reshape(-1)
    at = within(numbers.long(), rows, 0, RuntimeError, _BEYOND) if isinstance(numbers, Tensor) else wrap(numbers)
    found = _embedding(weight, at, rank=1, padding=-1, average=scale_grad_by_freq)
    if per_sample_weights is not None:
        found = found * per_sample_weights.reshape(-1, 1)
    if isinstance(numbers, Tensor) or isinstance(starts, Tensor):
        return _bags_unseen(found, at != padding, starts, mode)
    return _bags(found, numbers != padding, starts, mode)


def _starts(input: Tensor, offsets: Tensor | None, last: bool) -> Any:
    """Where the bags begin."""
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length "
                f"sequences. However, found offsets of type {type(offsets)}"
            )
        return np.arange(input._shape[0]) * input._shape[1]
    if input.ndim != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")
    if offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    if offsets.ndim != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    if hidden(offsets):
        ends = f"offsets[-1] can not be greater than input's length {input._shape[0]} but got offsets[-1] of {{i}}"
        positions("embedding_bag", offsets)
        parts = [within(offsets[:1].long(), 1, 0, RuntimeError, _FIRST.format("{i}")), offsets[1:-1].long()]
        if offsets._shape[0] > 1:
            parts.append(within(offsets[-1:].long(), input._shape[0] + 1, 0, RuntimeError, ends))
        return cat(parts)[: -1 if last else None]
    starts = np.array(positions("embedding_bag", offsets))  # its own: backward needs them
    if len(starts) and starts[0]:
        raise RuntimeError(_FIRST.format(starts[0]))
    if len(starts) and starts[-1] > input._shape[0]:
        raise RuntimeError(
            f"offsets[-1] can not be greater than input's length {input._shape[0]} but got offsets[-1] of {starts[-1]}"
        )
    return starts[:-1] if last else starts


def _bags(found: Tensor, counted: Any, starts: Any, mode: str) -> Tensor:
    """Rows (n, dim), of which those count that are ``counted``, folded bag by bag."""
    n, bags = len(counted), len(starts)
    which = np.searchsorted(starts, np.arange(n), side="right") - 1
    rows, which = np.flatnonzero(counted), which[counted]
    counts = np.bincount(which, minlength=bags)
    if not counted.all():
        found = found[wrap(rows)]
    if mode == "max":
        most = int(counts.max(initial=0))
        if not most:
            return found.new_zeros(bags, found._shape[-1])
        first = np.cumsum(counts) - counts
        at = first[:, None] + np.minimum(np.arange(most), np.maximum(counts[:, None] - 1, 0))  # the last one repeated
        at[counts == 0] = 0
        largest: Tensor = where(wrap((counts > 0)[:, None]), found[wrap(at)].max(1).values, 0)
        return largest
    total: Tensor = _added(found, wrap(which), rank=1, rows=bags)
    if mode == "sum":
        return total
    mean: Tensor = total / wrap(np.maximum(counts, 1).astype(found._dtype)[:, None])
    return mean


def _bags_unseen(found: Tensor, counted: Tensor, starts: Any, mode: str) -> Tensor:
    """:func:`_bags`, where numbers are known only later: with masks, and shapes that do not depend on them."""
    n, bags, none = counted._shape[0], len(starts), counted.reshape(-1, 1).logical_not()
    if not n:
        return found.new_zeros(bags, found._shape[-1])
    if isinstance(starts, Tensor):
        marks = _added(wrap(np.ones((bags, 1))), starts, rank=1, rows=n + 1)
        which = marks[:-1, 0].cumsum(0).long() - 1
    else:
        which = wrap(np.searchsorted(starts, np.arange(n), side="right") - 1)
    counts = _added(counted.reshape(-1, 1).double(), which, rank=1, rows=bags)
    if mode == "max":
        if isinstance(starts, Tensor):
            np.array(starts)  # how many rows are to be compared at once is a matter of numbers
        rows = found.masked_fill(none, -np.inf).reshape(bags, -1, found._shape[-1])
        largest: Tensor = where(counts > 0, rows.max(1).values, 0)
        return largest
    total: Tensor = _added(found.masked_fill(none, 0), which, rank=1, rows=bags)
    return total if mode == "sum" else total / counts.clamp(min=1).to(found.dtype)
