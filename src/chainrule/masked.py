"""PyTorch's ``torch.masked``: reductions and normalisations that leave out the entries where a mask is False.

Each replaces what is masked by a number that does not count (0 for a sum, -inf for a maximum) and goes on as without
a mask.  The mask is broadcast to the input; it may have fewer dimensions, not more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import dtypes
from .errors import explained
from .linalg import vector_norm
from .ops import find, public
from .tensor import Tensor, wrap

__all__ = [
    "amax", "amin", "argmax", "argmin", "cumprod", "cumsum", "log_softmax", "logaddexp", "logsumexp", "mean", "median",
    "norm", "normalize", "prod", "softmax", "softmin", "std", "sum", "var",
]  # fmt: skip

Dims = int | Sequence[int] | None
where: Any = public["where"]
_softmax: Any = public["softmax"]
_log_softmax: Any = public["log_softmax"]


def _mask(input: Tensor, mask: Tensor) -> Tensor:
    if mask.ndim > input.ndim:
        raise explained(IndexError(
            "_input_mask expected broadcastable mask (got mask dimensionality higher than of the input)"
            f"\nThe mask has shape {list(mask.shape)}, the input {list(input.shape)}."
        ))  # fmt: skip
    return mask.bool() if mask._shape == input._shape else mask.broadcast_to(input._shape).bool()


def _without(input: Tensor, mask: Tensor | None, neutral: Any) -> Tensor:
    """``input`` with the number that does not count where ``mask`` is False."""
    if mask is None:
        return input
    return where(_mask(input, mask), input, wrap(np.asarray(neutral, input._dtype)))  # type: ignore[no-any-return]


def _lowest(name: str, input: Tensor) -> Any:
    return _extreme(name, input, -math.inf, "min")


def _highest(name: str, input: Tensor) -> Any:
    return _extreme(name, input, math.inf, "max")


def _extreme(name: str, input: Tensor, infinite: float, limit: str) -> Any:
    kind = input._dtype.kind
    if kind == "f" or (kind == "c" and name == "logsumexp"):
        return infinite
    if kind not in "iu":
        raise NotImplementedError(f"identity of {name} on {input.dtype} input")
    return getattr(np.iinfo(input._dtype), limit)


def _dims(dim: Dims, n: int) -> tuple[int, ...]:
    """The dimensions to reduce: all of them for None or ()."""
    if dim is None or dim == ():
        return tuple(range(n))
    found: list[int] = []
    n = max(n, 1)
    for d in (dim,) if isinstance(dim, int) else dim:
        if d in found:
            raise RuntimeError(f"dim={d} appears multiple times in the list of dims")
        if not -n <= d < n:
            raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {d})")
        found.append(d % n)
    return tuple(sorted(found))


def _wide(input: Tensor, dtype: Any) -> Any:
    """The dtype of a sum: that of the input, but no narrow integers."""
    if dtype is None and input._dtype.kind in "iub" and input._dtype not in (np.uint16, np.uint32, np.uint64):
        return dtypes.int64
    return input.dtype if dtype is None else dtype


def _to(x: Tensor, like: Tensor, dtype: Any) -> Tensor:
    """``x`` in ``dtype``, or in that of ``like``."""
    return x.to(like.dtype if dtype is None else dtype)


# --- reductions ---


def sum(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The sum over ``dim`` of the entries that ``mask`` lets through; 0 if there are none.

    Source: ``torch.masked.sum``.

    >>> import chainrule as torch
    >>> x, mask = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[True, False], [True, True]])
    >>> torch.masked.sum(x, 1, mask=mask)
    tensor([1., 7.])
    """
    return _without(input, mask, 0).sum(_dims(dim, input.ndim), keepdim, dtype=_wide(input, dtype))


def prod(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The product over ``dim`` of the entries that ``mask`` lets through; 1 if there are none.

    Source: ``torch.masked.prod``.

    >>> import chainrule as torch
    >>> torch.masked.prod(torch.tensor([2.0, 0.0]), mask=torch.tensor([True, False]))
    tensor(2.)
    """
    found, wide = _without(input, mask, 1), _wide(input, dtype)
    for d in reversed(_dims(dim, input.ndim)):
        found = found.prod(d, keepdim=keepdim)
    return found.to(wide)


def amax(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The largest over ``dim`` of the entries that ``mask`` lets through; -inf, or the least integer, if there are none.

    Source: ``torch.masked.amax``.

    >>> import chainrule as torch
    >>> torch.masked.amax(torch.tensor([1, 5]), mask=torch.tensor([True, False]))
    tensor(1)
    """
    found = _without(input, mask, None if mask is None else _lowest("amax", input))
    return _to(found.amax(_dims(dim, input.ndim), keepdim), input, dtype)


def amin(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The smallest over ``dim`` of the entries that ``mask`` lets through; inf, or the largest integer, if there are none.

    Source: ``torch.masked.amin``.

    >>> import chainrule as torch
    >>> torch.masked.amin(torch.tensor([1, 5]), mask=torch.tensor([False, True]))
    tensor(5)
    """
    found = _without(input, mask, None if mask is None else _highest("amin", input))
    return _to(found.amin(_dims(dim, input.ndim), keepdim), input, dtype)


def argmax(
    input: Tensor, dim: int | None = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Where along ``dim`` the largest entry that ``mask`` lets through is, in the dtype of ``input`` unless given.

    Source: ``torch.masked.argmax``.

    >>> import chainrule as torch
    >>> torch.masked.argmax(torch.tensor([1, 5]), mask=torch.tensor([True, False]))
    tensor(0)
    """
    found = _without(input, mask, None if mask is None else _lowest("argmax", input))
    return _to(found.argmax(dim, keepdim), input, dtype)


def argmin(
    input: Tensor, dim: int | None = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """Where along ``dim`` the smallest entry that ``mask`` lets through is, in the dtype of ``input`` unless given.

    Source: ``torch.masked.argmin``.

    >>> import chainrule as torch
    >>> torch.masked.argmin(torch.tensor([1, 5]), mask=torch.tensor([False, True]))
    tensor(1)
    """
    found = _without(input, mask, None if mask is None else _highest("argmin", input))
    return _to(found.argmin(dim, keepdim), input, dtype)


def _count(input: Tensor, dim: Dims, keepdim: bool, mask: Tensor | None) -> Tensor:
    """How many entries count."""
    dims = _dims(dim, input.ndim)
    if mask is not None:
        return _mask(input, mask).sum(dims, keepdim)
    n = math.prod([input._shape[d] for d in dims] if input.ndim else ())
    shape = [1 if d in dims else m for d, m in enumerate(input._shape) if keepdim or d not in dims]
    return wrap(np.full(shape, n))


def mean(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The mean over ``dim`` of the entries that ``mask`` lets through; nan if there are none.

    Source: ``torch.masked.mean``.

    >>> import chainrule as torch
    >>> torch.masked.mean(torch.tensor([1.0, 2.0, 6.0]), mask=torch.tensor([True, True, False]))
    tensor(1.5000)
    """
    d = dtypes.to_numpy(input.dtype if dtype is None else dtype)
    if d.kind not in "fc":
        raise explained(ValueError(
            f"mean(): Could not infer output dtype. {'Input' if dtype is None else 'Optional'} dtype must be either a "
            f"floating point or complex dtype. Got: {dtypes.from_numpy(d)}\nConvert the input: x.float()."
        ))  # fmt: skip
    return sum(input, dim, keepdim=keepdim, dtype=dtype, mask=mask) / _count(input, dim, keepdim, mask)


def median(
    input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The median along ``dim`` of the entries that ``mask`` lets through, the lower of two; nan if there are none.

    Source: ``torch.masked.median``.

    >>> import chainrule as torch
    >>> torch.masked.median(torch.tensor([5.0, 1.0, 3.0]), 0, mask=torch.tensor([True, True, False]))
    tensor(1.)
    """
    floats = input if input._dtype.kind == "f" else input.float()
    at = _dims(dim, input.ndim)[0]
    found: Tensor = find("nanmedian")(_without(floats, mask, math.nan), at, keepdim).values
    if floats is input:
        return found
    if bool((found != found).any()):
        raise ValueError("masked median expects no fully masked out rows if dtype is not floating point")
    return _to(found, input, dtype)


def logsumexp(
    input: Tensor, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The logarithm of the sum of exponentials of the entries that ``mask`` lets through; -inf if there are none.

    Source: ``torch.masked.logsumexp``.

    >>> import chainrule as torch
    >>> torch.masked.logsumexp(torch.tensor([1.0, 9.0]), 0, mask=torch.tensor([True, False]))
    tensor(1.)
    """
    found = _without(input, mask, None if mask is None else _lowest("logsumexp", input))
    return _to(found.logsumexp(_dims(dim, input.ndim), keepdim), input, dtype)


def norm(
    input: Tensor, ord: float | None = 2.0, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The vector norm of order ``ord`` over ``dim`` of the entries that ``mask`` lets through.

    Source: ``torch.masked.norm``.

    >>> import chainrule as torch
    >>> torch.masked.norm(torch.tensor([3.0, 4.0, 12.0]), mask=torch.tensor([True, True, False]))
    tensor(5.)
    """
    found = _without(input, mask, math.inf if ord == -math.inf else 0)
    d = input.dtype if dtype is None else dtype
    return vector_norm(found, 2.0 if ord is None else ord, _dims(dim, input.ndim), keepdim, dtype=d)


def var(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, *, correction: float | None = None,
    keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The variance over ``dim`` of the n entries that ``mask`` lets through, divided by n - ``correction``.

    ``unbiased`` stands for a correction of 1 or 0; the default is 1.

    Source: ``torch.masked.var``.

    >>> import chainrule as torch
    >>> torch.masked.var(torch.tensor([1.0, 3.0, 8.0]), mask=torch.tensor([True, True, False]))
    tensor(2.)
    """
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    less = float(correction) if correction is not None else 1.0 if unbiased is None else float(unbiased)
    if dtype is None:
        dtype = input.dtype if input._dtype.kind in "fc" else dtypes.float32
    d = dtypes.to_numpy(dtype)
    wide = dtypes.from_numpy(d) if d.kind in "fc" else dtypes.float32
    n = _count(input, dim, True, mask)
    x = input - sum(input, dim, keepdim=True, dtype=dtype, mask=mask) / n
    total = sum(x * x.conj(), dim, keepdim=keepdim, dtype=wide, mask=mask)
    n = n.reshape(total._shape)
    if less:
        n = (n.to(wide.to_real()) - less).clamp(min=0)
    return (total / n).to(dtype)


def std(
    input: Tensor, dim: Dims = None, unbiased: bool | None = None, *, correction: float | None = None,
    keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The standard deviation over ``dim`` of the entries that ``mask`` lets through; see :func:`var`.

    Source: ``torch.masked.std``.

    >>> import chainrule as torch
    >>> torch.masked.std(torch.tensor([1.0, 3.0, 8.0]), unbiased=False, mask=torch.tensor([True, True, False]))
    tensor(1.)
    """
    return var(input, dim, unbiased, correction=correction, keepdim=keepdim, dtype=dtype, mask=mask).sqrt()  # type: ignore[no-any-return]


# --- along a dimension ---


def cumsum(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Running sums along ``dim`` of the entries that ``mask`` lets through.

    Source: ``torch.masked.cumsum``.

    >>> import chainrule as torch
    >>> torch.masked.cumsum(torch.tensor([1.0, 2.0, 3.0]), 0, mask=torch.tensor([True, False, True]))
    tensor([1., 1., 4.])
    """
    return _to(_without(input, mask, 0).cumsum(_dims(dim, input.ndim)[0]), input, dtype)


def cumprod(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Running products along ``dim`` of the entries that ``mask`` lets through.

    Source: ``torch.masked.cumprod``.

    >>> import chainrule as torch
    >>> torch.masked.cumprod(torch.tensor([2.0, 0.0, 3.0]), 0, mask=torch.tensor([True, False, True]))
    tensor([2., 2., 6.])
    """
    return _to(_without(input, mask, 1).cumprod(_dims(dim, input.ndim)[0]), input, dtype)


def softmax(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The softmax along ``dim`` of the entries that ``mask`` lets through; the others get 0.

    Source: ``torch.masked.softmax``.

    >>> import chainrule as torch
    >>> torch.masked.softmax(torch.tensor([1.0, 9.0, 1.0]), 0, mask=torch.tensor([True, False, True]))
    tensor([0.5000, 0.0000, 0.5000])
    """
    found = _without(input, mask, None if mask is None else _lowest("amax", input))
    return _softmax(found, _dims(dim, input.ndim)[0], dtype=dtype)  # type: ignore[no-any-return]


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The logarithm of :func:`softmax`; -inf where ``mask`` is False.

    Source: ``torch.masked.log_softmax``.

    >>> import chainrule as torch
    >>> torch.masked.log_softmax(torch.tensor([1.0, 9.0]), 0, mask=torch.tensor([True, False]))
    tensor([0., -inf])
    """
    found = _without(input, mask, None if mask is None else _lowest("amax", input))
    return _log_softmax(found, _dims(dim, input.ndim)[0], dtype=dtype)  # type: ignore[no-any-return]


def softmin(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The softmax along ``dim`` of what ``mask`` lets through, negated; the others get 0.

    Source: ``torch.masked.softmin``.

    >>> import chainrule as torch
    >>> torch.masked.softmin(torch.tensor([1.0, -9.0, 1.0]), 0, mask=torch.tensor([True, False, True]))
    tensor([0.5000, 0.0000, 0.5000])
    """
    found = _without(input, mask, None if mask is None else _highest("amin", input))
    return _softmax(-found, _dims(dim, input.ndim)[0], dtype=dtype)  # type: ignore[no-any-return]


def normalize(
    input: Tensor, ord: float, dim: int, *, eps: float = 1e-12, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The entries that ``mask`` lets through divided by their norm of order ``ord`` along ``dim``, which is ``eps`` at least.

    Source: ``torch.masked.normalize``.

    >>> import chainrule as torch
    >>> torch.masked.normalize(torch.tensor([3.0, 4.0, 12.0]), 2.0, 0, mask=torch.tensor([True, True, False]))
    tensor([0.6000, 0.8000, 0.0000])
    """
    length = norm(input, ord, dim, keepdim=True, dtype=dtype, mask=mask)
    return _without(input, mask, 0) / length.maximum(wrap(np.asarray(eps, length._dtype)))  # type: ignore[no-any-return]


def logaddexp(
    input: Tensor, other: Tensor, *, dtype: Any = None, input_mask: Tensor | None = None,
    other_mask: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """``log(exp(input) + exp(other))``, each of the two left out where its mask is False; -inf where both are.

    Source: ``torch.masked.logaddexp``.

    >>> import chainrule as torch
    >>> a, mask = torch.tensor([0.0, 0.0]), torch.tensor([True, False])
    >>> torch.masked.logaddexp(a, a, other_mask=mask)
    tensor([0.6931, 0.0000])
    """
    x, y = (
        _without(a, mask, None if mask is None else _lowest("logaddexp", a))
        for a, mask in ((input, input_mask), (other, other_mask))
    )
    return _to(x.logaddexp(y), input, dtype)
