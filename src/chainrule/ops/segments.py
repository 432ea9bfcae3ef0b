"""Reductions of segments: stretches along a dimension, given by their lengths or by where they start."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import errors
from ..errors import explained
from ..tensor import Tensor, wrap
from .combining import scatter_reduce
from .kinds import export, no_kernel, public
from .scatter import scatter_add
from .whole import whole

REDUCTIONS = {"sum": "sum", "prod": "prod", "mean": "sum", "max": "amax", "min": "amin"}
EMPTY = {"sum": 0.0, "prod": 1.0, "mean": math.nan, "max": -math.inf, "min": math.inf}


@whole("SegmentReduceBackward0")
def segment_reduce(
    data: Tensor, reduce: str, *, lengths: Tensor | None = None, indices: Tensor | None = None,
    offsets: Tensor | None = None, axis: int = 0, unsafe: bool = False, initial: float | None = None,
) -> Tensor:  # fmt: skip
    """One entry for each segment of ``data`` along ``axis``: its "sum", "prod", "mean", "max" or "min".

    ``lengths`` says how long segments are, or ``offsets`` where each starts and the last ends; with more than one
    dimension, for each row apart, ``axis`` being their last.  ``initial`` counts as one more sum, factor or entry of each
    segment, and stands for those of no length, which else are 0, 1, nan, -inf and inf.  ``unsafe`` does not check that
    lengths add up.

    Source: ``torch.segment_reduce``.

    >>> import chainrule as torch
    >>> torch.segment_reduce(torch.tensor([1.0, 2.0, 3.0, 4.0]), "sum", lengths=torch.tensor([1, 3]))
    tensor([1., 9.])
    """
    at = data._dim(axis)
    if reduce not in REDUCTIONS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    counts = _lengths(data, at, lengths, offsets, unsafe)
    if data._dtype.kind != "f":
        raise errors.not_of_complex(no_kernel("_segment_reduce_cpu"), data._dtype)
    *rows, n = counts.shape
    total = int(counts.sum(-1).max(initial=0))
    number = np.full((*rows, total), n)  # of the segment that an entry is in; n: of none, behind the last
    for row in np.ndindex(*rows):
        number[(*row, slice(0, int(counts[row].sum())))] = np.repeat(np.arange(n), counts[row])
    data = data[(*(slice(None),) * at, slice(0, total))]
    shape, rest = (*rows, n + 1, *data._shape[at + 1 :]), (1,) * (data.ndim - at - 1)
    index = wrap(np.ascontiguousarray(np.broadcast_to(number.reshape(*number.shape, *rest), data._shape)))
    start = wrap(np.full(shape, EMPTY["sum" if reduce == "mean" else reduce], data._dtype))
    if REDUCTIONS[reduce] == "sum":
        found = scatter_add(start, at, index, data)
    else:
        found = scatter_reduce(start, at, index, data, REDUCTIONS[reduce], include_self=False)
    found = found[(*(slice(None),) * at, slice(0, n))]
    return _completed(found, reduce, counts.reshape(*counts.shape, *rest), initial)


def _completed(found: Tensor, reduce: str, counts: Any, initial: float | None) -> Tensor:
    """With ``initial``, and for means divided by how many there are."""
    if initial is not None:
        if reduce in ("sum", "mean"):
            found = found + initial
        elif reduce == "prod":
            found = found * initial
        else:
            better = found < initial if reduce == "max" else found > initial
            found = public["where"](better, wrap(np.asarray(initial, found._dtype)), found)
    if reduce == "mean":
        none = EMPTY["mean"] if initial is None else initial
        mean = found / wrap(np.maximum(counts, 1).astype(found._dtype))
        return public["where"](wrap(counts > 0), mean, wrap(np.asarray(none, found._dtype)))
    return found


def _lengths(data: Tensor, at: int, lengths: Tensor | None, offsets: Tensor | None, unsafe: bool) -> Any:
    if lengths is not None:
        name, counts = "lengths", lengths.detach().numpy()
    elif offsets is not None:
        name, counts = "offsets", np.diff(offsets.detach().numpy(), axis=-1)
    else:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if at != counts.ndim - 1:
        raise explained(RuntimeError(
            f"segment_reduce(): Expected axis to be the last dimension of {name} but got {at}."
            f"\nGive {name} a dimension for each of data's up to the axis: shape {list(data.shape[:at])} and the segments."
        ))  # fmt: skip
    if counts.dtype.kind not in "iu":
        kind = errors.scalar_type(counts.dtype)
        raise NotImplementedError(f"\"_segment_reduce_{name}_cpu_kernel1\" not implemented for '{kind}'")
    if not unsafe:
        if (counts < 0).any():
            raise RuntimeError("lengths contains negative value!")
        if (counts.sum(-1) != data._shape[at]).any() and lengths is not None:
            raise explained(RuntimeError(
                "segment_reduce(): Expected all rows of lengths along axis to sum to data.size(lengths.dim()-1) when !unsafe."
                f"\nThere are {data._shape[at]} entries along the axis."
            ))  # fmt: skip
    return counts


export("segment_reduce", segment_reduce, method=False)
